"""``study``: the human preference study."""

from __future__ import annotations

import typer

from vapbench.cli import study_analyse as analysing
from vapbench.cli import study_judge as judging
from vapbench.cli import study_plan as designing
from vapbench.cli import study_serve as serving


def register(app: typer.Typer) -> None:
    """Add the command group."""
    study = typer.Typer(help="Run a human preference study.", no_args_is_help=True)
    designing.add_to(study)
    serving.add_to(study)
    judging.add_to(study)
    analysing.add_to(study)
    app.add_typer(study, name="study")
