"""``check``: what is wrong, before an hour of GPU time says it."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    target: Annotated[
        list[str] | None,
        typer.Argument(
            help="A method (name or folder), a run folder, or a results folder. Default: everything declared.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check declarations, methods, results.

    Cards, tasks, suites, methods and the data of results: the same code as continuous integration.

    vapbench check ./my_method   vapbench check results/
    """
    from rich.markup import escape

    from vapbench.checks import check_declarations, check_target
    from vapbench.cli.console import output

    findings = [f for text in target for f in check_target(text)] if target else check_declarations()
    for finding in findings:
        mark = "[green]ok[/green]  " if finding.ok else "[red]bad[/red] "
        output().print(
            f"{mark}{escape(finding.what)}{': ' + escape(finding.problem) if finding.problem else ''}",
            soft_wrap=True,
        )
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 3)
