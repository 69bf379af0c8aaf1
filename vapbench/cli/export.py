"""``export``: the scores as one frame, for pandas, polars, DuckDB, R."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    runs: opt.Rows = None,
    format_: Annotated[
        Literal["csv", "parquet", "jsonl", "dataset"],
        typer.Option("--format", help="A file; or dataset: a folder with Parquet, a card and a Croissant description."),
    ] = "csv",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File or folder to write. [default: scores.FORMAT]", show_default=False),
    ] = None,
    suite: opt.OnlySuite = None,
    results: opt.ReadResults = None,
) -> None:
    """Write the scores that count now as one frame.

    It has a row per case, seed and column. Rows of replaced videos are left out; what failed or
    does not apply is there, without a value and with its reason.

    \b
    vapbench export --format parquet --out scores.parquet
    vapbench export vap i2v --format dataset --out scores
    """
    from vapbench.cli.layout import runs_named
    from vapbench.core.console import configure_logging
    from vapbench.report.render.export import export as write
    from vapbench.report.runs import Run, Runs

    configure_logging(verbose=None, quiet=False)
    folders = runs_named(runs, results, suite)
    frame = Runs(Run(folder.path) for folder in folders).to_dataframe()
    path = out or Path("scores" if format_ == "dataset" else f"scores.{format_}")
    for file in write(frame, format_, path):
        typer.echo(str(file))
    typer.echo(f"{counted(len(frame), 'row')} of {counted(len(folders), 'run')}", err=True)
