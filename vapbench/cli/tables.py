"""``compare`` and ``table``: is A better than B, and the table for the paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vapbench.cli import options as opt

if TYPE_CHECKING:
    from vapbench.report.model import TableModel

_Task = Annotated[
    str | None, typer.Option("--task", "-t", help="Only this task. [default: every task]", show_default=False)
]
_Suite = Annotated[str | None, typer.Option("--suite", "-s", help="Only runs of this suite.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(compare)
    app.command()(table)


def compare(
    a: Annotated[
        str,
        typer.Argument(
            help="A run: its folder, its name in the results folder, or its row's label.", show_default=False
        ),
    ],
    b: Annotated[str, typer.Argument(help="Another run of the same suite.", show_default=False)],
    task: _Task = None,
    suite: _Suite = None,
    results: opt.ReadResults = None,
    json: opt.Json = False,
) -> None:
    """Is A better than B?

    Differences case by case, with intervals and p-values that know that cases of a condition go together; adjusted
    for the number of metrics. Cases that either lacks are left out, and counted.

    \b
    vapbench compare vap i2v
    vapbench compare runs/mini/vap results/mini/vap --task camera
    """
    from vapbench import api
    from vapbench.cli.naming import find_run
    from vapbench.core.console import configure_logging, output, print_json
    from vapbench.report.tables.comparison import to_json

    configure_logging(verbose=0, quiet=False)
    found = api.compare(find_run(a, results, suite).path, find_run(b, results, suite).path, task)
    if json:
        print_json([to_json(model) for model in found.models])
        return
    output().print(f"\n{found}", markup=False, highlight=False, emoji=False, soft_wrap=True)


def table(
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Runs: folders, names or labels. Default: all there are.", show_default=False),
    ] = None,
    style: Annotated[
        Literal["paper", "wide", "ablation"],
        typer.Option(
            "--style",
            help="paper: the paper's six columns, means. wide: every column, intervals, ranks, n. "
            "ablation: the --reference row, the others with their difference from it.",
        ),
    ] = "paper",
    format_: Annotated[
        Literal["latex", "markdown", "html", "csv", "json"], typer.Option("--format", help="What to write.")
    ] = "markdown",
    task: _Task = None,
    suite: _Suite = None,
    metric: opt.Columns = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="Row that the others are tested against; a dagger marks p < 0.05. [ablation: the first]",
            show_default=False,
        ),
    ] = None,
    mark: Annotated[
        Literal["displayed", "significant"],
        typer.Option(
            "--mark",
            help="Bold and underlined: by the digits shown, or whatever is not significantly worse than the best.",
        ),
    ] = "displayed",
    published: Annotated[
        bool,
        typer.Option("--published", help="Add the paper's rows: below runs on its data, else as a table of their own."),
    ] = False,
    votes: Annotated[
        Path | None,
        typer.Option("--votes", help="votes.csv of a study's export: add what people preferred.", show_default=False),
    ] = None,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="LaTeX: a document that compiles by itself.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write. [default: the terminal]", show_default=False)
    ] = None,
    results: opt.ReadResults = None,
) -> None:
    """Write the table for the paper.

    Bold is best, underlined second best, by the digits shown or by significance; what is incomplete is never ranked;
    the notes say how many cases, which definitions, which tests, which commit.

    \b
    vapbench table vap i2v lora --task all --format latex --out table.tex
    vapbench table --published --suite vap-data
    """
    from vapbench.core.console import configure_logging
    from vapbench.errors import UsageError
    from vapbench.files.atomic import write_text
    from vapbench.report.render.formats import render_all

    configure_logging(verbose=0, quiet=False)
    if standalone and format_ != "latex":
        raise UsageError(f"--standalone makes a LaTeX document; drop it, or write --format latex instead of {format_}.")
    models = _models(runs, results, suite, task, metric, reference, style == "ablation", published, votes)
    text = render_all(models, style, format_, mark, standalone)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        typer.echo(str(out))


def _models(
    runs: list[str] | None,
    results: Path | None,
    suite: str | None,
    task: str | None,
    metrics: list[str] | None,
    reference: str | None,
    ablation: bool,
    published: bool,
    votes: Path | None,
) -> list[TableModel]:
    from vapbench.cli.naming import run_folders, where
    from vapbench.cli.report import check_columns
    from vapbench.errors import UsageError
    from vapbench.report.tables.published import beside_published, publications
    from vapbench.report.tables.summary import summarise

    folders = run_folders(runs, results, suite)
    if not folders and published:
        return beside_published([], publications())
    if not folders:
        of_suite = f" of suite {suite}" if suite else ""
        raise UsageError(f"No runs in {where(results)}{of_suite}; make one: vapbench run --help")
    check_columns(folders, metrics)
    models = summarise(folders, task, metrics, reference=reference)
    if ablation and reference is None:
        first = next((row.label for row in models[0].rows if row.competes), models[0].rows[0].label)
        models = summarise(folders, task, metrics, reference=first)
    if votes is not None:
        models = _with_votes(models, votes)
    return beside_published(models, publications()) if published else models


def _with_votes(models: list[TableModel], path: Path) -> list[TableModel]:
    from vapbench.errors import DataError
    from vapbench.report.tables.agreement import read_votes
    from vapbench.report.tables.preference import with_votes

    cast = read_votes(path)
    voted = [with_votes(model, cast) for model in models]
    if not any(len(after.columns) > len(before.columns) for before, after in zip(models, voted, strict=True)):
        raise DataError(f"{path}: no vote is on cases and methods of these runs; name the runs that were judged.")
    return voted
