"""``study``: the human preference study."""

from __future__ import annotations

import typer

from vapbench.cli.help import OneTask
from vapbench.cli.study_analyse import export, report
from vapbench.cli.study_judge import judge
from vapbench.cli.study_plan import plan
from vapbench.cli.study_serve import allow, backup, close, invite, payments, preview, serve


def register(app: typer.Typer) -> None:
    """Add the command group."""
    study = typer.Typer(help="Run a human preference study.", no_args_is_help=True)
    study.command(cls=OneTask)(plan)
    for command in (preview, serve, invite, close, backup, allow, payments, judge, export, report):
        study.command()(command)
    app.add_typer(study, name="study")
