"""The verbs of ``import vapbench as vb``: run, score, probe, load, tabulate, compare.

    run = vb.run("vap", task="camera", limit=4)
    vb.score(run, metrics=["my.py:Sharpness"])
    vb.load_runs().to_dataframe()
    vb.table([run, "i2v"], task="camera").to_latex()
    vb.compare(run, "i2v").to_dataframe()
    vb.probe("vap", task="camera").to_dataframe()
    vb.metric("temporal_flickering")("clip.mp4")

The commands call what these call, and give the same rows and tables. A verb takes paths as strings or
:class:`~pathlib.Path`; where it takes a run, that is a :class:`Run`, its folder, its name in the results folders, or
the label of its row in tables. ``metrics`` takes one name or several. What a verb refuses, it refuses with a
:class:`vapbench.VapbenchError` of one sentence.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, get_args

from vapbench.errors import ErrorKind, UsageError, VapbenchError
from vapbench.report.runs import Run, StrPath
from vapbench.report.runs import load_run as load_run
from vapbench.report.runs import load_runs as load_runs
from vapbench.results.places import RUNS
from vapbench.results.run import RunFolder

if TYPE_CHECKING:
    from vapbench.report.tabulate import Comparison, Table
    from vapbench.running.clip_metric import ClipMetric
    from vapbench.running.context import Settings
    from vapbench.validation.probe.outcome import ProbeResult

Refresh = Literal["missing", "failed", "all"]
Cells = Literal["core", "balanced", "full"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_ARGUMENTS = {
    **{name: name for name in ("data", "device", "dtype", "limit", "name", "offload", "refresh", "results")},
    **{"suite": "suite", "task": "task", "max-failures": "max_failures", "metric": "metrics", "seed": "seeds"},
}
"""Arguments, by the commands' options of the same meaning."""
_OPTION = re.compile(rf"--({'|'.join(_ARGUMENTS)})(?![\w-])")


@contextmanager
def _naming_run_and_first_failure(folder: RunFolder) -> Iterator[None]:
    """Let the error that ends a run name it and what failed first: there is no run to ask."""
    from vapbench.errors import TooManyFailures
    from vapbench.report.read.run_summary import explain

    try:
        yield
    except TooManyFailures as error:
        failed = [row.attempts[-1] for row in folder.current() if row.status == "failed" and row.attempts]
        failed += [row.failure for name in folder.columns() for row in folder.scores(name).values() if row.failure]
        first = f" First: {explain(failed[0])}" if failed else ""
        error.args = (f"{folder.path}: {error}{first}", *error.args[1:])
        raise


def _in_python(verb: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a verb's errors name arguments where those of the commands name options. Whole commands stay as they are."""

    @wraps(verb)
    def called(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return verb(*args, **kwargs)
        except VapbenchError as error:
            said, command, rest = str(error).partition("vapbench ")
            reworded = _OPTION.sub(lambda found: _ARGUMENTS[found[1]], said)
            error.args = (reworded + command + rest, *error.args[1:])
            raise

    return called


@_in_python
def run(
    method: str,
    *,
    task: str = "all",
    suite: str = "mini",
    data: StrPath | None = None,
    metrics: str | Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    limit: int | None = None,
    results: StrPath | None = None,
    name: str | None = None,
    refresh: Refresh = "missing",
    retries: int = 1,
    max_failures: float = 0.1,
    device: str = "auto",
    dtype: str | None = None,
    offload: str | None = None,
    progress: bool = True,
) -> Run:
    """Generate and score what the run lacks. The same call resumes; a finished one loads no model.

    Args:
        method: a name, ``name:key=value,…``, or a folder with ``card.yaml`` and ``method.py``.
        task: a task of the suite, or a task file.
        suite: a suite, or a suite file.
        data: folder of the suite's data; ``mini`` needs none.
        metrics: names, ``my.py:MyMetric``, ``torchmetrics:…``; None for the suite's own, ``()`` for none.
        seeds: seeds of every case.
        limit: only the first cases of the task.
        results: where runs are kept; by default ``VAPBENCH_RESULTS``, or ``./runs``.
        name: name of the run, instead of the method's.
        refresh: what to do again: what is ``missing``, what ``failed``, or ``all``.
        retries: attempts after the first, for what may pass by itself (memory, timeouts, busy services).
        max_failures: a count, or a fraction below 1; more end the run.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto`` takes an accelerator if there is one.
        dtype: type of the weights, for methods that have such a parameter.
        offload: ``model`` or ``sequential``, for methods that have such a parameter.
        progress: show progress on standard error.

    Raises:
        UsageError: an unknown method, task, suite, metric or parameter.
        DataError: data or results that do not fit.
        TooManyFailures: more failed than ``max_failures`` allows; everything finished is kept.
    """
    from vapbench.running.prepare import RunRequest, prepare_runs
    from vapbench.running.progress import progress as watch

    settings = _settings(device, refresh, retries, max_failures)
    shared = {"dtype": dtype, "offload": offload}
    request = RunRequest(
        *([method], _results(results), suite, task, _path(data), limit, seeds, _names(metrics), name, shared)
    )
    (prepared,) = prepare_runs(request).runs
    with _naming_run_and_first_failure(prepared.folder):
        prepared.execute(settings, watch(not progress))
    return Run(prepared.folder.path)


@_in_python
def score(
    target: Run | StrPath,
    *,
    metrics: str | Sequence[str] | None = None,
    task: str = "all",
    suite: str | None = None,
    data: StrPath | None = None,
    results: StrPath | None = None,
    name: str | None = None,
    refresh: Refresh = "missing",
    max_failures: float = 0.1,
    device: str = "auto",
    progress: bool = True,
) -> Run:
    """Score a run, or a folder of videos you have. No method is loaded; what is scored already is kept.

    Args:
        target: a run, or a folder of videos named after their cases.
        metrics: as in :func:`run`; also of the whole set of videos, such as ``fvd:model=…``.
        task: which cases to score.
        suite: the suite of the cases; by default the run's own, and ``mini`` for a folder of videos.
        data: folder of the suite's data.
        results: where the run of a folder of videos is kept; as in :func:`run`.
        name: name of that run, instead of the folder's.
        refresh: as in :func:`run`.
        max_failures: as in :func:`run`.
        device: as in :func:`run`.
        progress: show progress on standard error.

    Returns:
        The run with its new scores.

    Raises:
        UsageError: an unknown task, suite or metric.
        DataError: the run is of another suite, or the folder holds no video of a case.
        TooManyFailures: more failed than ``max_failures`` allows; everything finished is kept.
    """
    from vapbench.report.naming import find_target
    from vapbench.running.prepare import ScoreRequest, prepare_score
    from vapbench.running.progress import progress as watch

    path = target.path if isinstance(target, Run) else find_target(Path(target), _path(results), suite)
    settings = _settings(device, refresh, 0, max_failures)
    request = ScoreRequest(*(path, _results(results), suite, task, _path(data)), metrics=_names(metrics), name=name)
    prepared = prepare_score(request, watch(not progress))
    # Finished videos cost nothing to try: all of them are, whatever fails.
    with _naming_run_and_first_failure(prepared.folder):
        prepared.execute(replace(settings, every_case=True), watch(not progress))
    prepared.score_sets(device)
    return Run(prepared.folder.path)


@_in_python
def probe(
    methods: str | Sequence[str],
    *,
    task: str = "all",
    suite: str = "mini",
    data: StrPath | None = None,
    metrics: str | Sequence[str] | None = None,
    cells: Cells = "balanced",
    captions: StrPath | None = None,
    seeds: Sequence[int] = (0,),
    limit: int | None = None,
    results: StrPath | None = None,
    refresh: Refresh = "missing",
    retries: int = 1,
    max_failures: float = 0.1,
    device: str = "auto",
    dtype: str | None = None,
    offload: str | None = None,
    progress: bool = True,
) -> ProbeResult:
    """Measure what reference and caption each do to a method's videos. The same call resumes.

    Every case is made again with another reference or another caption, and scored against its own reference.

    Args:
        methods: one or several, as in :func:`run`.
        task: as in :func:`run`, like every argument that is not named here.
        suite: as in :func:`run`.
        data: as in :func:`run`.
        metrics: the first says how much of the effect is there; None for the suite's that look at the reference.
        cells: ``core``: reference own or wrong, caption with or without the effect. ``balanced``: every other reference
            and caption too, one at a time. ``full``: each with each.
        captions: a table of captions without the effect; by default the suite's, or ``probe_captions.csv`` in its data.
        seeds: as in :func:`run`.
        limit: as in :func:`run`.
        results: as in :func:`run`; the probe's own runs and files are in its folder ``probe``.
        refresh: as in :func:`run`.
        retries: as in :func:`run`.
        max_failures: as in :func:`run`.
        device: as in :func:`run`.
        dtype: as in :func:`run`.
        offload: as in :func:`run`.
        progress: as in :func:`run`.

    Raises:
        UsageError: as in :func:`run`, or the first metric does not look at the reference.
        DataError: data, captions or results that do not fit.
        TooManyFailures: more failed than ``max_failures`` allows; everything finished is kept.
    """
    from vapbench.running.progress import progress as watch
    from vapbench.running.run import choose, execute
    from vapbench.validation.probe.outcome import conclude
    from vapbench.validation.probe.plans import set_up

    selection = choose(suite, _path(data), task, limit)
    settings = _settings(device, refresh, retries, max_failures)
    _check_one_of("cells", cells, get_args(Cells))
    shared = {"dtype": dtype, "offload": offload}
    setting = set_up(
        *(selection, _names(methods) or [], shared, _names(metrics), cells, seeds),
        *(_results(results), _path(data), _path(captions)),
    )
    for plan in setting.plans:
        execute(plan, setting.columns, settings, watch(not progress))
    return conclude(setting)


@_in_python
def table(
    runs: Run | StrPath | Iterable[Run | StrPath],
    task: str | None = None,
    *,
    config: StrPath | None = None,
    metrics: str | Sequence[str] | None = None,
    **layout: Any,
) -> Table:
    """Tabulate runs: means over cases with intervals clustered by condition, ranks, n of total.

    Args:
        runs: one or several; a folder with runs stands for them.
        task: the task; None for a table per task, the one of most cases first.
        config: a ``table.yaml``; what is given here overrides it.
        metrics: columns to show, in this order; ``+name`` adds one to the style's; None for the style's.
        layout: any other field of :class:`vapbench.report.tables.layout.Layout`: ``style`` (``wide``: every column,
            intervals, ranks, n; ``paper``: the paper's columns, means; ``ablation``: differences from ``reference``),
            ``reference``, ``labels`` (a mapping), ``groups`` (mappings with ``title`` and ``rows``), ``sort`` (rows by
            the first column; ``"given"`` keeps their order), ``by_category``, ``intervals``, ``decimals``, ``caption``,
            ``width`` (``"column"``, ``"page"`` or inches), ``notes``, ``mark``, ``published``, ``votes``.

    Raises:
        UsageError: no run has a case of the task, or a name is of no row or column.
        DataError: a run or ``config`` is damaged, or a field has a value that it cannot have.
    """
    from vapbench.report.tables.layout import read_layout
    from vapbench.report.tabulate import table_of

    several = [runs] if isinstance(runs, (Run, str, os.PathLike)) else list(runs)
    usual = {} if config else {"style": "wide"}
    wanted = read_layout(_path(config), **{**usual, **layout, "task": task, "columns": _names(metrics)})
    if not several:
        raise UsageError('No run to tabulate; name one or more: vb.table(["vap", "i2v"])', ErrorKind.MISSING, "runs")
    return table_of([folder for each in several for folder in _folders(each)], wanted)


@_in_python
def compare(a: Run | StrPath, b: Run | StrPath, task: str | None = None) -> Comparison:
    """Is ``a`` better than ``b``? Paired by case, tested by condition, adjusted over the columns.

    Args:
        a: a run.
        b: another of the same suite.
        task: the task; None for every task that both have cases of.

    Raises:
        UsageError: they are one run, or share no case.
        DataError: they are of different suites, or damaged.
    """
    from vapbench.report.tables.comparison import compare as compare_folders
    from vapbench.report.tabulate import Comparison

    return Comparison(tuple(compare_folders(_folder(a), _folder(b), task)))


@_in_python
def metric(name: str, *, device: str = "auto") -> ClipMetric:
    """A metric for single clips, loaded: ``vb.metric("temporal_flickering")("clip.mp4")``.

    Args:
        name: as in :func:`run`.
        device: as in :func:`run`.

    Raises:
        UsageError: nothing has the name (with a suggestion).
        NotApplicable: its weights are absent; the message says how to fetch them.
    """
    from vapbench.metrics import resolve
    from vapbench.running.clip_metric import ClipMetric

    return ClipMetric(resolve(name)[0], device)


def list_methods() -> list[str]:
    """Names of the methods: built-in, baselines, installed packages."""
    from vapbench.methods import methods

    return sorted(entry.name for entry in methods())


def list_metrics() -> list[str]:
    """Names of the metrics of single videos."""
    from vapbench.metrics import REGISTRY

    return sorted(entry.name for entry in REGISTRY)


def list_tasks() -> list[str]:
    """Names of the tasks."""
    from vapbench.suites.tasks import load_tasks

    return sorted(load_tasks())


def _folder(run: Run | StrPath) -> RunFolder:
    from vapbench.report.naming import find_run

    return RunFolder(run.path) if isinstance(run, Run) else find_run(str(run))


def _folders(runs: Run | StrPath) -> list[RunFolder]:
    from vapbench.report.naming import runs_meant

    return [RunFolder(runs.path)] if isinstance(runs, Run) else runs_meant(str(runs))


def _path(path: StrPath | None) -> Path | None:
    return None if path is None else Path(path)


def _results(results: StrPath | None) -> Path:
    return Path(results if results is not None else os.environ.get("VAPBENCH_RESULTS") or RUNS)


def _names(names: str | Sequence[str] | None) -> Sequence[str] | None:
    return [names] if isinstance(names, str) else names


def _check_one_of(argument: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(
            f"{argument} {value!r}: give {', '.join(known[:-1])} or {known[-1]}.", ErrorKind.INVALID, argument
        )


def _settings(device: str, refresh: Refresh, retries: int, max_failures: float) -> Settings:
    from vapbench.running.context import FailureLimit, Settings

    _check_one_of("refresh", refresh, get_args(Refresh))
    return Settings(device, refresh, retries, FailureLimit.parse(str(max_failures)), ["python", *sys.argv[:1]])
