"""``score``: a run again, or videos that are there already; clip by clip, or as a set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vapbench.cli import options as opt
from vapbench.cli.help import FOLDER, Command
from vapbench.cli.records import flat
from vapbench.files.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vapbench.methods import ResolvedMethod
    from vapbench.methods.folder import Folder
    from vapbench.methods.preflight import Preflight
    from vapbench.results.sets import SetResult
    from vapbench.running.pending import Refresh
    from vapbench.running.prepare import PreparedRun
    from vapbench.running.run import Selection


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(score)


@flat
def score(
    target: Annotated[
        Path,
        typer.Argument(help="A run (its folder, name or label), or a folder of videos you have.", show_default=False),
    ],
    cases: opt.Cases,
    scoring: opt.Scoring,
    execution: opt.Execution,
    output: opt.Output,
    panel: Annotated[
        Literal["all", "last"],
        typer.Option(
            "--panel",
            help="last: the right third of [reference | target | output] videos.",
            rich_help_panel=FOLDER,
        ),
    ] = "all",
    template: Annotated[
        Path | None,
        typer.Option(
            "--template",
            metavar="FILE",
            help="Write a manifest.csv to fill in, with a row for each case.",
            show_default=False,
            rich_help_panel=FOLDER,
        ),
    ] = None,
) -> None:
    """Score a run, or videos you have.

    \b
    vapbench score vap --metric dynamic_degree
    vapbench score ./my_outputs --suite vap-data --data DIR --dry-run

    Videos belong to the case they are named after, at any depth: CASE.mp4, CASE__s1.mp4 or CASE_seed1.mp4 with a seed,
    CASE/video.mp4; or to the one that manifest.csv in the folder (columns case,video) says. Problems are listed first;
    with --dry-run, nothing else is done. Nothing is written into the folder.

    Any videos, each a case of its own, for metrics that need nothing else:

    \b
    vapbench score ./videos --suite custom

    A metric of whole sets compares all videos of the task with their targets, and gives one number:

    \b
    vapbench score vap --suite vap-data --data DIR --metric fvd:model=./videomae
    """
    from dataclasses import replace

    from vapbench.cli.execute import execute_all
    from vapbench.cli.preflight import Saying, look_and_say
    from vapbench.cli.report import print_tables
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.report.naming import find_target
    from vapbench.report.tables.layout import read_layout
    from vapbench.results.run import is_run
    from vapbench.running.prepare import ScoreRequest, prepare_score
    from vapbench.running.progress import progress
    from vapbench.suites import find_suite

    output.begin()
    settings = execution.settings(scoring=scoring)
    suite = find_suite(cases.suite)
    target = find_target(target, execution.results, suite.name)
    if template and is_run(target):
        raise UsageError(f"{target} is a run; --template goes with a folder of videos.", ErrorKind.CONFLICT, "template")
    # The variable may be meant for other suites; a path spells it otherwise, as without a slash at its end.
    meant = suite.data != "videos" or cases.data != Path(os.environ.get("VAPBENCH_DATA", ""))
    found: Preflight | None = None

    def look(method: ResolvedMethod, folder: Folder, selection: Selection, seeds: Sequence[int]) -> None:
        nonlocal found
        say = Saying(output.dry_run, output.json, output.quiet, output.verbose, template)
        found = look_and_say(method, folder, selection, seeds or [0], execution.name, say)

    request = ScoreRequest(
        *(target, execution.results, cases.suite, cases.task, cases.data if meant else None, cases.limit, cases.seed),
        *(scoring.metric, execution.name, panel, scoring.max_judge_calls),
    )
    run = prepare_score(request, progress(output.quiet), look)
    if output.dry_run:
        _describe(run, found, execution.refresh, scoring.max_judge_calls, output.json)
        return
    if run.plan:
        settings = replace(settings, every_case=execution.max_failures is None)
    stopped = execute_all([run], settings, output.quiet, found)
    for text, scored in run.score_sets(execution.device).items():
        if not output.json:
            _print_set(text, scored)
    shown = [*(column.label for column in run.columns), *(metric.name for metric, _ in run.sets.values())]
    clips = [text for text in scoring.metric or () if text not in run.sets]
    bounds = _bounds(run.selection, cases, clips, execution.results)
    layout = read_layout(None, style="wide", task=run.selection.task.name, columns=shown)
    print_tables([run.folder], layout, output.json, not output.quiet, bounds=bounds)
    raise typer.Exit(1 if stopped else 0)


def _describe(
    run: PreparedRun, found: Preflight | None, refresh: Refresh, max_judge_calls: int | None, json: bool
) -> None:
    """Say what would be scored, and what it would cost."""
    from vapbench.cli.costs import print_costs
    from vapbench.cli.dry_run import show_scores
    from vapbench.running.costs import estimate_folder, estimate_plan

    cases = {case.id: case for case in run.selection.cases}
    costs = (
        estimate_plan(run.plan, run.columns, refresh)
        if run.plan
        else estimate_folder(run.folder, cases, run.columns, refresh)
    )
    show_scores(run.folder, cases, run.columns, refresh, run.plan, costs if json else None, found, list(run.sets))
    if not json:
        print_costs(costs, max_judge_calls)


def _print_set(text: str, scored: SetResult) -> None:
    """Print what a metric of the whole set said."""
    from vapbench.core.console import say

    if scored.value is None:
        say(f"{text}: no value: {scored.note}")
        return
    digits = scored.digits
    interval = "" if scored.low is None else f" [{scored.low:.{digits}f}, {scored.high:.{digits}f}]"
    better = "higher" if scored.higher_is_better else "lower"
    size = f"{counted(scored.n, 'video')}, {counted(scored.clusters, 'condition')}"
    said = f"{scored.value:.{digits}f}{interval}  n={size}  ({better} is better)"
    say(f"{text}: {said}")


def _bounds(selection: Selection, cases: opt.Cases, metrics: Sequence[str], results: Path) -> str:
    """The command that runs floor and ceiling on what was scored; there is no ceiling where no case has a target."""
    import shlex

    methods = ["frozen", *(["ground-truth"] if any(case.target for case in selection.cases) else [])]
    options: list[tuple[str, object]] = [("--method", method) for method in methods]
    options += [("--suite", cases.suite), ("--task", cases.task)]
    options += [("--data", cases.data)] if cases.data else []
    options += [("--limit", cases.limit)] if cases.limit else []
    options += [("--metric", metric) for metric in metrics]
    options += [("--results", results)] if results != opt.RUNS else []
    return shlex.join(["vapbench", "run", *(str(part) for option in options for part in option)])
