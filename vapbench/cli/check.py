"""``check``: what is wrong, before an hour of GPU time says it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vapbench.cli.help import OneTask


class _Check(TyperGroup):
    """``check TARGET…`` checks targets, whatever they are called; only the subcommands' names are taken."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = [_TARGETS, *args]
        return super().parse_args(ctx, args)


_TARGETS = "targets"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    from vapbench.cli import audit as auditing
    from vapbench.cli import judge as judging
    from vapbench.cli import parity

    group = typer.Typer(
        cls=_Check,
        rich_markup_mode=None,
        help="Check what you declare, a metric, a judge, or official parity.\n\n"
        "vapbench check [TARGET…], vapbench check metric, vapbench check judge, or vapbench check parity",
    )
    group.command(_TARGETS)(check)
    group.command("metric", cls=OneTask)(auditing.check_metric)
    group.command("judge", cls=OneTask)(judging.check_judge)
    group.command("parity")(parity.check_parity)
    app.add_typer(group, name="check")


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

    \b
    vapbench check ./my_method
    vapbench check runs
    """
    from rich.markup import escape

    from vapbench.core.console import output
    from vapbench.validation.declarations import check_declarations, check_target

    findings = [f for text in target for f in check_target(text)] if target else check_declarations()
    for finding in findings:
        mark = "[green]ok[/green]  " if finding.ok else "[red]bad[/red] "
        output().print(
            f"{mark}{escape(finding.what)}{': ' + escape(finding.problem) if finding.problem else ''}",
            soft_wrap=True,
        )
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 3)
