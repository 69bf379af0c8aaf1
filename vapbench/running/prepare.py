"""The one way into a run, from the command line and from Python: what was asked for, then work, then its outcome.

``vapbench run``, ``generate`` and ``vb.run`` fill a :class:`RunRequest`; ``vapbench score`` and ``vb.score`` fill a
:class:`ScoreRequest`. Either becomes one or more :class:`PreparedRun`, and those are executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vapbench.core.registry import Spec
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import quoted
from vapbench.methods import ResolvedMethod, resolve
from vapbench.methods.folder import Folder
from vapbench.metrics import sets
from vapbench.metrics.sets import SetMetric
from vapbench.results.run import RunFolder, is_run
from vapbench.results.sets import SetResult, write_result
from vapbench.running.context import Progress, Settings
from vapbench.running.costs import limit_calls
from vapbench.running.device import torch_device
from vapbench.running.plan import MetricSpec, RunPlan, columns, plan_run
from vapbench.running.run import RunOutcome, Selection, choose, columns_for, execute, open_folder, rescore
from vapbench.running.score_sets import score_run
from vapbench.running.shards import Shard
from vapbench.suites import find_suite


@dataclass(frozen=True)
class RunRequest:
    """Methods to run on the cases of a task."""

    methods: Sequence[str]
    """As the command line spells them."""
    results: Path
    """Where runs are kept."""
    suite: str = "mini"
    task: str = "all"
    data: Path | None = None
    limit: int | None = None
    """Only the first cases."""
    seeds: Sequence[int] = (0,)
    """Of every case."""
    metrics: Sequence[str] | None = None
    """None for the suite's."""
    name: str | None = None
    """Name of the run, instead of the method's."""
    shared: Mapping[str, str | None] = field(default_factory=dict)
    """Parameters for every method that has them."""
    shard: Shard | None = None
    """Only this piece of the cases."""
    max_judge_calls: int | None = None


@dataclass(frozen=True)
class ScoreRequest:
    """A run, or a folder of videos, to score."""

    target: Path
    results: Path
    """Where the run of a folder of videos is kept."""
    suite: str | None = None
    """None for the run's own; of a folder of videos, mini."""
    task: str = "all"
    data: Path | None = None
    limit: int | None = None
    seeds: Sequence[int] | None = None
    """Of a folder of videos; None for those it holds."""
    metrics: Sequence[str] | None = None
    """None for the suite's; metrics of whole sets are among them."""
    name: str | None = None
    """Name of the run of a folder of videos, instead of the folder's."""
    panel: str = "all"
    """Which part of a folder's videos."""
    max_judge_calls: int | None = None


@dataclass(frozen=True)
class PreparedRun:
    """One run to bring up to date."""

    selection: Selection
    columns: Sequence[MetricSpec]
    folder: RunFolder
    plan: RunPlan | None
    """None: the run exists, and only its videos are scored."""
    sets: Mapping[str, tuple[SetMetric, dict[str, Any]]] = field(default_factory=dict)
    """Metrics of the whole set with their parameters, by what was written."""

    def execute(self, settings: Settings, progress: Progress) -> RunOutcome:
        """Do what the run lacks; see :func:`~vapbench.running.run.execute` and :func:`~vapbench.running.run.rescore`.

        Raises:
            DataError: the folder holds results of something else, or another process is writing it.
            TooManyFailures: more failed than the settings allow; everything finished is kept.
            BudgetSpent: paid calls ran out; the same request goes on.
        """
        if self.plan is None:
            return rescore(self.folder, self.selection, self.columns, settings, progress)
        return execute(self.plan, self.columns, settings, progress)

    def score_sets(self, device: str) -> dict[str, SetResult]:
        """Score the run's videos as one set by each set metric, and keep the values in ``RUN/sets``.

        Raises:
            NotApplicable: a network is absent.
            DataError: a video cannot be read.
        """
        cases = {case.id: case for case in self.selection.cases}
        found = {}
        for text, (metric, params) in self.sets.items():
            found[text] = score_run(self.folder, cases, metric, params, torch_device(device), self.selection.task.name)
            write_result(self.folder, found[text])
        return found


@dataclass(frozen=True)
class PreparedRuns:
    """What a request comes to: cases, columns, and a run for each method."""

    selection: Selection
    columns: Sequence[MetricSpec]
    runs: Sequence[PreparedRun]

    @property
    def plans(self) -> list[RunPlan]:
        """Plans of the runs."""
        return [run.plan for run in self.runs if run.plan]


def prepare_runs(request: RunRequest, tentative: bool = False) -> PreparedRuns:
    """Choose the cases and lay out one run for each method, without those that a shard leaves no case.

    Args:
        request: what was asked for.
        tentative: whether absent weights are only noted, since nothing will be run.

    Raises:
        UsageError: an unknown method, task, suite, metric or parameter, or one name for several methods.
        DataError: data that does not fit.
        WeightsError: a checkpoint is absent.
    """
    suite = find_suite(request.suite)
    wanted = columns(suite.metrics if request.metrics is None else request.metrics)
    limit_calls(wanted, request.max_judge_calls)
    selection = choose(request.suite, request.data, request.task, request.limit)
    resolved = [resolve(text, request.shared, suite.name) for text in dict.fromkeys(request.methods)]
    if request.name and len(resolved) > 1:
        raise UsageError(
            f"--name {request.name} cannot stand for {len(resolved)} methods; give one --method, or no --name.",
            ErrorKind.CONFLICT,
            "name",
        )
    plans = [
        _plan(selection, method, request.seeds, request.results, request.name, request.shard, tentative)
        for method in resolved
    ]
    return PreparedRuns(
        selection, wanted, [PreparedRun(selection, wanted, plan.folder, plan) for plan in plans if plan.jobs]
    )


Look = Callable[[ResolvedMethod, Folder, Selection, Sequence[int]], None]
"""Looks at a folder of videos before it is planned; raises :class:`DataError` where there is nothing to score."""


def _need_a_video(method: ResolvedMethod, folder: Folder, selection: Selection, seeds: Sequence[int]) -> None:
    if not seeds:
        see = f"vapbench score {quoted(folder.path)} --suite {quoted(Path(selection.suite.name))} --dry-run"
        raise DataError(f"{folder.path}: no video of any case of the task; see: {see}", ErrorKind.MISSING, "target")


def prepare_score(request: ScoreRequest, progress: Progress, look: Look = _need_a_video) -> PreparedRun:
    """Open a run, or take in a folder of videos, to score it. No method is loaded.

    Args:
        request: what was asked for.
        progress: told of videos that are decoded to know what the cases of a folder of videos are.
        look: looks at a folder of videos before it is planned.

    Raises:
        UsageError: an unknown task, suite or metric, or something that goes with a folder of videos only.
        DataError: the folder holds no video of a case, or the run is damaged.
    """
    made = is_run(request.target)
    run = RunFolder(request.target)
    own = run.manifest().identity.suite if made and request.suite is None else "mini"
    suite = request.suite or own
    videos = find_suite(suite).data == "videos"
    if videos and request.data is not None:
        raise UsageError(
            f"--suite {suite} has no data but the videos in {request.target}; leave --data out.",
            ErrorKind.CONFLICT,
            "data",
        )
    if made:
        _refuse_what_goes_with_videos(request)
    data = request.target if videos else request.data
    selection = choose(suite, data, request.task, request.limit, progress)
    of_sets, clips = _sets_and_clips(request.metrics or (), request.limit)
    wanted = columns_for(selection.suite, clips) if clips or not of_sets else []
    limit_calls(wanted, request.max_judge_calls)
    if made:
        return PreparedRun(selection, wanted, run, None, of_sets)
    method, folder = open_folder(request.target, request.panel, selection)
    seeds = list(dict.fromkeys(request.seeds or folder.seeds(selection.cases)))
    look(method, folder, selection, seeds)
    plan = _plan(selection, method, seeds, request.results, request.name)
    return PreparedRun(selection, wanted, plan.folder, plan, of_sets)


def _refuse_what_goes_with_videos(request: ScoreRequest) -> None:
    given = {"--seed": request.seeds, "--name": request.name, "--panel": request.panel != "all"}
    if strange := [option for option, value in given.items() if value]:
        goes = "go" if len(strange) > 1 else "goes"
        raise UsageError(
            f"{request.target} is a run; {' and '.join(strange)} {goes} with a folder of videos.",
            ErrorKind.CONFLICT,
            strange[0].removeprefix("--"),
        )


def _sets_and_clips(
    metrics: Sequence[str], limit: int | None
) -> tuple[dict[str, tuple[SetMetric, dict[str, Any]]], list[str]]:
    """Metrics of whole sets with their parameters, by what was written; and those of single clips.

    Raises:
        UsageError: a set metric has an unknown parameter or lacks one, or only some of the cases are asked for.
    """
    known = {entry.name for entry in sets.REGISTRY}
    found = {text: sets.resolve(text) for text in metrics if Spec.parse(text).name in known}
    if found and limit is not None:
        raise UsageError(
            f"--limit goes with metrics of single clips; {next(iter(found))} takes every video of the task.",
            ErrorKind.CONFLICT,
            "limit",
        )
    return found, [text for text in metrics if text not in found]


def _plan(
    selection: Selection,
    method: ResolvedMethod,
    seeds: Sequence[int],
    results: Path,
    name: str | None,
    shard: Shard | None = None,
    tentative: bool = False,
) -> RunPlan:
    suite, task = selection.suite, selection.task.name
    return plan_run(
        *(suite.name, task, method, selection.cases, seeds, results, name, selection.among),
        tentative=tentative,
        shard=shard,
        suite_version=suite.version,
    )
