"""``score``: a run again, or videos that are there already; clip by clip, or as a set."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vapbench.cli import options as opt
from vapbench.cli.help import FOLDER, Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vapbench.methods.preflight import Preflight
    from vapbench.metrics.sets import SetMetric
    from vapbench.results.run import RunFolder
    from vapbench.running.context import Settings
    from vapbench.running.pending import Refresh
    from vapbench.running.plan import Column, RunPlan
    from vapbench.running.run import Selection


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(score)


@opt.flat
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
    from vapbench.cli.report import print_tables
    from vapbench.errors import UsageError
    from vapbench.report.naming import find_target
    from vapbench.report.tables.layout import read_layout
    from vapbench.running.costs import limit_calls
    from vapbench.running.progress import progress
    from vapbench.running.run import choose, columns_for
    from vapbench.suites import find_suite

    output.begin()
    settings = execution.settings(scoring=scoring)
    suite = find_suite(cases.suite)
    target = find_target(target, execution.results, suite.name)
    # The variable may be meant for other suites; a path spells it otherwise, as without a slash at its end.
    if suite.data == "videos" and cases.data and cases.data != Path(os.environ.get("VAPBENCH_DATA", "")):
        raise UsageError(f"--suite {cases.suite} has no data but the videos in {target}; leave --data out.")
    data = target if suite.data == "videos" else cases.data
    selection = choose(cases.suite, data, cases.task, cases.limit, progress(output.quiet))
    sets, clips = _sets_and_clips(scoring.metric or (), cases.limit)
    wanted = columns_for(selection.suite, clips) if clips or not sets else []
    work = _Work.on(target, selection, cases, panel, template, execution, output)
    if output.dry_run:
        work.describe(selection, wanted, list(sets), execution.refresh, scoring.max_judge_calls, output.json)
        return
    limit_calls(wanted, scoring.max_judge_calls)
    stopped = work.score(selection, wanted, settings, every_case=execution.max_failures is None, quiet=output.quiet)
    for text, (metric, params) in sets.items():
        _score_set(work.folder, selection, text, metric, params, execution.device, output.json)
    shown = [*(column.label for column in wanted), *(metric.name for metric, _ in sets.values())]
    bounds = _bounds(selection, cases, clips, execution.results)
    layout = read_layout(None, style="wide", task=selection.task.name, columns=shown)
    print_tables([work.folder], layout, output.json, not output.quiet, bounds=bounds)
    raise typer.Exit(1 if stopped else 0)


@dataclass(frozen=True)
class _Work:
    """What is scored: a run, or a folder of videos with the plan to take it in."""

    folder: RunFolder
    plan: RunPlan | None = None
    found: Preflight | None = None

    @classmethod
    def on(
        cls,
        target: Path,
        selection: Selection,
        cases: opt.Cases,
        panel: str,
        template: Path | None,
        execution: opt.Execution,
        output: opt.Output,
    ) -> _Work:
        """Open a run, or look through a folder of videos and say what was found."""
        from vapbench.cli import preflight
        from vapbench.errors import UsageError
        from vapbench.results.run import RunFolder, is_run
        from vapbench.running.run import open_folder

        if is_run(target):
            given = {
                "--seed": cases.seed,
                "--template": template,
                "--name": execution.name,
                "--panel": panel != "all",
            }
            if strange := [option for option, value in given.items() if value]:
                goes = "go" if len(strange) > 1 else "goes"
                raise UsageError(f"{target} is a run; {' and '.join(strange)} {goes} with a folder of videos.")
            return cls(RunFolder(target))
        say = preflight.Saying(output.dry_run, output.json, output.quiet, output.verbose)
        method, _ = open_folder(target, panel, selection)
        plan, found = preflight.plan_videos(
            *(method, cases.seed, execution.name, selection, execution.results, template, say)
        )
        return cls(plan.folder, plan, found)

    def describe(
        self,
        selection: Selection,
        wanted: Sequence[Column],
        sets: Sequence[str],
        refresh: Refresh,
        max_judge_calls: int | None,
        json: bool,
    ) -> None:
        """Say what would be scored, and what it would cost."""
        from vapbench.cli.costs import print_costs
        from vapbench.cli.dry_run import show_scores
        from vapbench.running.costs import estimate_folder, estimate_plan

        cases = {case.id: case for case in selection.cases}
        costs = (
            estimate_plan(self.plan, wanted, refresh)
            if self.plan
            else estimate_folder(self.folder, cases, wanted, refresh)
        )
        show_scores(self.folder, cases, wanted, refresh, self.plan, costs if json else None, self.found, sets)
        if not json:
            print_costs(costs, max_judge_calls)

    def score(
        self, selection: Selection, wanted: Sequence[Column], settings: Settings, every_case: bool, quiet: bool
    ) -> bool:
        """Score each clip; whether too much failed, or the budget of paid calls ended."""
        from vapbench.cli.execute import execute_all

        if self.plan is None:
            return _rescore(self.folder, selection, wanted, settings, quiet)
        return execute_all([self.plan], wanted, replace(settings, every_case=every_case), selection, quiet, self.found)


def _sets_and_clips(
    metrics: Sequence[str], limit: int | None
) -> tuple[dict[str, tuple[SetMetric, dict[str, Any]]], list[str]]:
    """Metrics of whole sets with their parameters, by what was written; and those of single clips.

    Raises:
        UsageError: a set metric has an unknown parameter or lacks one, or only some of the cases are asked for.
    """
    from vapbench.core.registry import Spec
    from vapbench.errors import UsageError
    from vapbench.metrics.sets import REGISTRY, resolve

    known = {entry.name for entry in REGISTRY}
    sets = {text: resolve(text) for text in metrics if Spec.parse(text).name in known}
    if sets and limit is not None:
        raise UsageError(
            f"--limit goes with metrics of single clips; {next(iter(sets))} takes every video of the task."
        )
    return sets, [text for text in metrics if text not in sets]


def _score_set(
    folder: RunFolder,
    selection: Selection,
    text: str,
    metric: SetMetric,
    params: dict[str, Any],
    device: str,
    json: bool,
) -> None:
    """Score a run's videos as one set, keep the value in RUN/sets, and print it unless JSON is asked for."""
    from vapbench.core.console import output
    from vapbench.results.sets import write_result
    from vapbench.running.device import torch_device
    from vapbench.running.score_sets import score_run

    cases = {case.id: case for case in selection.cases}
    scored = score_run(folder, cases, metric, params, torch_device(device), selection.task.name)
    write_result(folder, scored)
    if json:
        return
    if scored.value is None:
        output().print(f"{text}: no value: {scored.note}", markup=False, soft_wrap=True)
        return
    digits = metric.digits
    interval = "" if scored.low is None else f" [{scored.low:.{digits}f}, {scored.high:.{digits}f}]"
    better = "higher" if metric.higher_is_better else "lower"
    said = (
        f"{scored.value:.{digits}f}{interval}  n={scored.n} videos, {scored.clusters} conditions  ({better} is better)"
    )
    output().print(f"{text}: {said}", markup=False, soft_wrap=True)


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


def _rescore(
    folder: RunFolder, selection: Selection, wanted: Sequence[Column], settings: Settings, quiet: bool
) -> bool:
    from vapbench.cli.execute import say_stopped
    from vapbench.errors import BudgetSpent, TooManyFailures
    from vapbench.running.progress import progress
    from vapbench.running.run import rescore

    try:
        rescore(folder, selection, wanted, settings, progress(quiet))
    except (TooManyFailures, BudgetSpent) as error:
        say_stopped(folder.path.name, error)
        return True
    return False
