"""``report`` and ``show``: what came of runs, as a table and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vapbench.cli import options as opt
from vapbench.cli.extras import Extras
from vapbench.cli.help import Command
from vapbench.cli.layout import TableLayout, runs_of
from vapbench.cli.records import flat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vapbench.report.tables.layout import Layout
    from vapbench.results.run import RunFolder


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(cls=Command)(report)
    app.command()(show)


@flat
def report(
    layout: TableLayout,
    runs: opt.Rows = None,
    by_condition: Annotated[
        bool, typer.Option("--by-condition", help="Also every column condition by condition.")
    ] = False,
    votes: Annotated[
        Path | None,
        typer.Option(
            "--votes", help="votes.csv of a study's export: how far metrics agree with people.", show_default=False
        ),
    ] = None,
    figure: Annotated[
        list[Path] | None,
        typer.Option(
            "--figure",
            metavar="FILE",
            help="Draw it, repeatable: forest, categories, conditions, heatmap, matrix, pareto or human, as .pdf, .svg "
            "or .png.",
            show_default=False,
        ),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            "--width",
            metavar="column|page|INCHES",
            help="Of figures: 3.25 inches (a column of two), 5.5 (a page), or inches; letters have 8 pt. "
            "[default: column]",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        Literal["text", "json", "vbench"],
        typer.Option("--format", help="vbench writes RUN_eval_results.json files for VBench's tools."),
    ] = "text",
    results: opt.ReadResults = None,
    json: opt.Json = False,
) -> None:
    """Print tables of finished runs.

    Methods by metrics, one table per task, with n, intervals and the ranks a method may have.

    \b
    vapbench report
    vapbench report vap frozen --task camera --figure forest.pdf --width page
    vapbench report --metric first_frame_psnr --label vap="VAP (ours)"
    vapbench report --metric semantic_alignment --by-category
    """
    from vapbench.core.console import configure_logging

    configure_logging(verbose=None, quiet=False)
    wanted = layout.read(runs=runs or None, style="wide", width=width)
    folders = runs_of(wanted, results)
    if format_ == "vbench":
        _write_vbench(folders, wanted.task)
        return
    extras = Extras(by_condition, votes or wanted.votes, tuple(figure or ()), wanted.width)
    # Votes are set against the metrics; as a column of their own they are what ``table`` writes.
    wanted = wanted.model_copy(update={"votes": None})
    print_tables(folders, wanted, as_json=json or format_ == "json", next_steps=False, checked=True, extras=extras)


def show(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Runs: folders, names in the results folder, or labels of rows.", show_default=False
        ),
    ],
    case: Annotated[str | None, typer.Option("--case", help="Only this case.", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write. [default: RUN/show.html; of several, show-A-B.html beside]",
            show_default=False,
        ),
    ] = None,
    results: opt.ReadResults = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write a page that plays every case.

    Reference, first frame and output side by side, in step, with the scores below. Of several runs, each case shows
    what every run made of it; sort by where they disagree. The page needs no network and no other file: send it to
    anyone.

    \b
    vapbench show vap                 # the run runs/*/vap
    vapbench show vap i2v lora        # the same cases side by side
    vapbench show vap i2v --case mini_bepazu--1
    vapbench show elsewhere/mini/vap  # any run folder
    """
    from vapbench.core.console import configure_logging, say
    from vapbench.report.naming import own_folder
    from vapbench.report.page.page import write_page

    configure_logging(verbose=None, quiet=False)
    folders = _runs_to_show(runs, results)
    usual = own_folder(folders[0]) / "show.html"
    if len(folders) > 1:
        usual = own_folder(folders[0]).parent / f"show-{'-'.join(folder.path.name for folder in folders)}.html"
    path = write_page(folders, out or usual, case)
    say(str(path))
    if open_:
        typer.launch(path.resolve().as_uri())


def _runs_to_show(names: Sequence[str], results: Path | None) -> list[RunFolder]:
    """The runs, each once.

    Raises:
        UsageError: there is none of a name; of a name that is a case, with the command that shows it.
    """
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.report.naming import find_run

    folders = [find_run(names[0], results, suite=None)]
    for name in names[1:]:
        try:
            folders.append(find_run(name, results, suite=folders[0].manifest().identity.suite or None))
        except UsageError:
            if name in folders[0].manifest().cases:
                raise UsageError(
                    f"{name} is a case, not a run; try: vapbench show {names[0]} --case {name}",
                    ErrorKind.CONFLICT,
                    "run",
                ) from None
            raise
    return list({folder.path.resolve(): folder for folder in folders}.values())


def print_tables(
    folders: Sequence[RunFolder],
    layout: Layout,
    as_json: bool,
    next_steps: bool,
    checked: bool = False,
    extras: Extras | None = None,
    bounds: str = "the same with --method frozen --method ground-truth",
) -> None:
    """Print the runs' tables; after a run, also where to look next, and by ``bounds`` how to get floor and ceiling."""
    from vapbench.core.console import output, print_json, say, tell
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.report.render.json import to_json
    from vapbench.report.render.terminal import print_tables as print_terminal
    from vapbench.report.tabulate import table_of

    if not (folders or layout.published):
        return
    extras = extras or Extras()
    # As the runs were told to score them: what a suite names first is what it is about.
    order = list(dict.fromkeys(name for folder in folders for name in folder.manifest().metrics))
    tables = table_of(folders, layout, order, check=checked).models
    extras.check(tables)
    if as_json:
        print_json([{**to_json(table), **extras.data(table)} for table in tables])
    else:
        print_terminal(tables, output(), extras.lines)
    for path in extras.draw(tables):
        tell(str(path))
    if extras.failed:
        raise UsageError("; ".join(extras.failed), ErrorKind.FAILED, "figure")
    if next_steps and not as_json:
        say(*_next_steps(folders, tables[0].suite, bounds))


def _write_vbench(folders: Sequence[RunFolder], task: str | None) -> None:
    from vapbench.core.console import say, tell
    from vapbench.errors import DataError, ErrorKind
    from vapbench.files.atomic import write_json
    from vapbench.report.naming import own_folder
    from vapbench.report.read.read_runs import read_summary
    from vapbench.report.render.vbench import eval_results

    written = 0
    for folder in folders:
        content, left_out = eval_results(read_summary(folder), task)
        tell(*(f"{folder.path}: {reason}" for reason in left_out))
        if content:
            path = own_folder(folder) / f"{folder.path.name}_eval_results.json"
            write_json(path, content)
            say(str(path))
            written += 1
    if not written:
        raise DataError(
            "No run has a complete column of VBench's definition; see docs/reference/metrics.md, and: "
            "vapbench score --help",
            ErrorKind.MISSING,
            "vbench",
        )


def _next_steps(folders: Sequence[RunFolder], suite: str, bounds: str) -> list[str]:
    from vapbench.files.atomic import quoted
    from vapbench.suites import family

    manifests = {folder.path: folder.manifest() for folder in folders}
    kinds = {path: manifest.card.kind for path, manifest in manifests.items()}
    given = any(case.image for manifest in manifests.values() for case in manifest.cases.values())
    shown = next((path for path, kind in kinds.items() if kind not in _REFERENCE_KINDS), folders[0].path)
    beside = " beside its reference" if given else ""
    lines = [f"Next:  vapbench show {quoted(shown)}", f"           look at every clip{beside}"]
    if given and not _REFERENCE_KINDS & set(kinds.values()):
        lines += [f"       {bounds}", f"           the floor{' and the ceiling' * ('ground-truth' in bounds)}"]
    lines += ["       vapbench list methods", "           what else there is"]
    if family(suite) == "mini":
        lines.insert(0, "Tiny models and procedural video: these numbers are never to be set beside the paper's.")
        lines += ["       vapbench run --method vap --suite vap-data --data DIR --task camera"]
        lines += ["           the released models on a GPU; docs/guides/full-size.md says how"]
    return lines


_REFERENCE_KINDS = {"floor", "ceiling"}
