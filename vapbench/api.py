"""The verbs of ``import vapbench as vb``: run, score, load, tabulate, compare.

    run = vb.run("vap", task="camera", limit=4)
    vb.score(run, metrics=["my.py:Sharpness"])
    vb.load_runs().to_dataframe()
    vb.table([run], task="camera").to_latex()
    vb.compare(run, "i2v").to_dataframe()
    vb.metric("temporal_flickering")("clip.mp4")

The verbs stand on the same rooms as the commands (``running``, ``report``): both give the same rows and tables. Every
verb takes paths as strings or :class:`~pathlib.Path`, and raises a :class:`vapbench.VapbenchError` of one sentence.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from vapbench.errors import DataError, UsageError
from vapbench.files.walk import is_hidden
from vapbench.results.places import RUNS, places
from vapbench.results.run import RunFolder, readable, runs_below

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from vapbench.core.clip import Clip
    from vapbench.metrics.base import Metric, Score
    from vapbench.report.model import TableModel
    from vapbench.report.read.evidence import Evidence
    from vapbench.report.tables.comparison import Comparison as ComparisonModel
    from vapbench.report.tables.layout import Layout
    from vapbench.running.context import Settings

StrPath = str | os.PathLike[str]
Refresh = Literal["missing", "failed", "all"]


@dataclass(frozen=True)
class Run:
    """One run folder: a method on the cases of a suite, read when it is first asked."""

    path: Path

    @cached_property
    def evidence(self) -> Evidence:
        """What the folder says of each case, read once; :meth:`reloaded` reads again."""
        from vapbench.report.read.evidence import read_evidence

        return read_evidence(RunFolder(self.path))

    def reloaded(self) -> Run:
        """The same run, as it is on disk now."""
        return Run(self.path)

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.evidence.label

    @property
    def method(self) -> str:
        """Name of its method."""
        return self.evidence.method

    @property
    def suite(self) -> str:
        """Name of its suite."""
        return self.evidence.suite

    @property
    def parameters(self) -> dict[str, Any]:
        """The method's parameters, defaults included."""
        return dict(self.evidence.identity.parameters)

    @property
    def videos(self) -> dict[tuple[str, int], Path]:
        """(case, seed) -> its video, for those that are there and unchanged."""
        folder = self.evidence.folder
        found = {(row.case, row.seed): folder.video_of(row) for row in folder.current()}
        return {key: path for key, path in found.items() if path}

    def to_dataframe(self) -> pd.DataFrame:
        """Its scores, a row per case, seed and column: :data:`vapbench.report.read.frame.SCHEMA`."""
        return Runs([self]).to_dataframe()

    def _repr_html_(self) -> str:
        return table([self], style="wide").to_html()


class Runs(Sequence[Run]):
    """Several runs."""

    def __init__(self, runs: Iterable[Run]) -> None:
        """Keep ``runs`` in their order."""
        self._runs = tuple(runs)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> Run | Runs:
        """One run, or some of them."""
        return Runs(self._runs[index]) if isinstance(index, slice) else self._runs[index]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._runs)

    def __repr__(self) -> str:
        """Their folders."""
        return f"Runs({[str(run.path) for run in self._runs]})"

    def to_dataframe(self) -> pd.DataFrame:
        """Their scores, a row per run, case, seed and column: :data:`vapbench.report.read.frame.SCHEMA`.

        Only standing rows: scores of the current videos, by the current content of their cases.
        """
        from vapbench.report.read.frame import frame_of

        return frame_of([run.evidence for run in self._runs])


@dataclass(frozen=True)
class Table:
    """Methods by metrics: means with intervals, ranks and counts, one table per suite and task."""

    models: tuple[TableModel, ...]
    layout: Layout

    def to_dataframe(self) -> pd.DataFrame:
        """A row per task, method and metric.

        Columns: suite, task, method, metric, title, mean, low, high (in the metric's own unit; missing where there is
        none), n, total, best_rank, worst_rank.
        """
        import pandas as pd

        rows = [
            {
                **{"suite": model.suite, "task": model.task, "method": row.label},
                **{"metric": column.metric, "title": column.title},
                **{"mean": cell.mean, "low": cell.low, "high": cell.high, "n": cell.n, "total": cell.total},
                **dict(zip(("best_rank", "worst_rank"), cell.ranks or (None, None), strict=True)),
            }
            for model in self.models
            for row, cells in zip(model.rows, model.cells, strict=True)
            for column, cell in zip(model.columns, cells, strict=True)
        ]
        numbers = {"mean": "Float64", "low": "Float64", "high": "Float64", "best_rank": "Int64", "worst_rank": "Int64"}
        names = ["suite", "task", "method", "metric", "title", *("mean", "low", "high"), "n", "total"]
        return pd.DataFrame(rows, columns=[*names, "best_rank", "worst_rank"]).astype(numbers)

    def to_latex(self, *, standalone: bool = False) -> str:
        """LaTeX with booktabs; ``standalone`` makes a document that compiles by itself."""
        return self._render("latex", standalone)

    def to_markdown(self) -> str:
        """Markdown, with the footers below."""
        return self._render("markdown")

    def to_html(self) -> str:
        """An HTML fragment per table."""
        return self._render("html")

    def _repr_html_(self) -> str:
        return self.to_html()

    def _render(self, format_: Literal["latex", "markdown", "html"], standalone: bool = False) -> str:
        from vapbench.report.render.formats import render_all

        return render_all(self.models, self.layout, format_, standalone)


@dataclass(frozen=True)
class Comparison:
    """Two runs, case by case, in every column both have; one comparison per task."""

    models: tuple[ComparisonModel, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """A row per task and metric.

        Columns: task, a, b, metric, title, mean_a, mean_b, difference, low, high (of a minus b, in the metric's own
        unit), p (adjusted over the columns), n, total, better (the label of the better run, empty if the test does not
        say), reason (why there is no difference).
        """
        import pandas as pd

        rows = []
        for model in self.models:
            labels = {"A": model.a, "B": model.b}
            for column in model.columns:
                found = column.difference
                rows.append(
                    {
                        **{"task": model.task, "a": model.a, "b": model.b},
                        **{"metric": column.column.metric, "title": column.column.title},
                        **{"mean_a": column.mean_a, "mean_b": column.mean_b},
                        **{name: getattr(found, key, None) for name, key in _DIFFERENCE.items()},
                        **{"n": column.n, "total": column.total},
                        **{"better": labels.get(column.verdict, ""), "reason": column.reason},
                    }
                )
        numbers = dict.fromkeys(("mean_a", "mean_b", "difference", "low", "high", "p"), "Float64")
        names = ["task", "a", "b", "metric", "title", *numbers, "n", "total", "better", "reason"]
        return pd.DataFrame(rows, columns=names).astype(numbers)

    def __str__(self) -> str:
        """As the terminal prints it, without a limit to its width."""
        return self.text()

    def text(self, width: int | None = None) -> str:
        """As a terminal of so many columns prints it."""
        from vapbench.report.render.comparison import lines, without_shared, wrapped

        parts, shared = without_shared(self.models)
        notes = [line for note in shared for line in wrapped(note, width)]
        blocks = [list(lines(part, width)) for part in parts] + ([notes] if notes else [])
        return "\n\n".join("\n".join(block) for block in blocks)

    def _repr_html_(self) -> str:
        return str(self.to_dataframe().to_html())


_DIFFERENCE = {"difference": "mean", "low": "low", "high": "high", "p": "adjusted"}


class ClipMetric:
    """A metric for single clips: call it with a video."""

    def __init__(self, metric: Metric, device: str = "auto") -> None:
        """Load what the metric needs.

        Raises:
            NotApplicable: its weights are absent; the message says how to fetch them.
        """
        from vapbench.running.device import torch_device

        self.metric = metric
        self.device = torch_device(device)
        metric.setup(self.device)

    def __call__(
        self,
        clip: StrPath | npt.NDArray[np.uint8] | Clip | Any,
        *,
        reference: StrPath | None = None,
        image: StrPath | None = None,
        target: StrPath | None = None,
        caption: str | None = None,
        fps: float = 8.0,
    ) -> Score:
        """Score one clip.

        Args:
            clip: a video file, or frames ``(T, H, W, 3)`` uint8 RGB as an array or a tensor.
            reference: the reference video, for metrics that look at it.
            image: the first frame the method was given, for metrics that look at it.
            target: the ground-truth video, for metrics that look at it.
            caption: the caption, for metrics that look at it.
            fps: frames per second of an array or tensor.

        Raises:
            UsageError: the metric needs something that was not given.
            NotApplicable: the metric does not apply to this clip.
        """
        from vapbench.metrics.view import ClipView
        from vapbench.running.attempt import checked

        given = {"reference": reference, "image": image, "target": target, "prompt": caption}
        if lacking := sorted(need for need in self.metric.needs if need in given and given[need] is None):
            wanted = ", ".join("caption=" if need == "prompt" else f"{need}=" for need in lacking)
            raise UsageError(f"{self.metric.name} looks at more than the clip: give it {wanted}")
        read = _as_clip(clip, fps)
        case = _single_case(read, reference, image, target, caption)
        return checked(self.metric.name, self.metric.score(ClipView(read, case, self.device), case))


def run(
    method: str,
    *,
    task: str = "all",
    suite: str = "mini",
    data: StrPath | None = None,
    metrics: Sequence[str] | None = None,
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
    from vapbench.methods import resolve
    from vapbench.running.plan import columns, plan_run
    from vapbench.running.progress import progress as watch
    from vapbench.running.run import choose, execute

    selection = choose(suite, _path(data), task, limit)
    wanted = columns(selection.suite.metrics if metrics is None else metrics)
    resolved = resolve(method, {"dtype": dtype, "offload": offload}, selection.suite.name)
    plan = plan_run(
        *(selection.suite.name, selection.task.name, resolved, selection.cases, seeds, _results(results), name),
        among=selection.among,
        suite_version=selection.suite.version,
    )
    execute(plan, wanted, _settings(device, refresh, retries, max_failures), watch(not progress))
    return Run(plan.folder.path)


def score(
    target: Run | StrPath,
    *,
    metrics: Sequence[str] | None = None,
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
        target: a run, its folder, or a folder of videos named after their cases.
        metrics: as in :func:`run`.
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
    from vapbench.results.run import is_run
    from vapbench.running.plan import plan_run
    from vapbench.running.progress import progress as watch
    from vapbench.running.run import choose, columns_for, execute, open_folder, rescore
    from vapbench.suites import find_suite

    path = target.path if isinstance(target, Run) else Path(target)
    made = is_run(path)
    if suite is None:
        suite = Run(path).suite if made else "mini"
    videos = find_suite(suite).data == "videos"
    if videos and data is not None:
        raise UsageError(f"Suite {suite} has no data but the videos in {path}; leave data out.")
    if made and name is not None:
        raise UsageError(f"{path} is a run, and has its name; name goes with a folder of videos.")
    selection = choose(suite, path if videos else _path(data), task, None, watch(not progress))
    wanted = columns_for(selection.suite, metrics)
    settings = _settings(device, refresh, 0, max_failures)
    if made:
        rescore(RunFolder(path), selection, wanted, settings, watch(not progress))
        return Run(path)
    method, folder = open_folder(path, "all", selection)
    if not (seeds := folder.seeds(selection.cases)):
        raise DataError(f"{path}: no video of any case of the task; see: vapbench score {path} --dry-run")
    plan = plan_run(
        *(selection.suite.name, selection.task.name, method, selection.cases, seeds, _results(results), name),
        among=selection.among,
        suite_version=selection.suite.version,
    )
    # Finished videos cost nothing to try: all of them are, whatever fails.
    execute(plan, wanted, replace(settings, every_case=True), watch(not progress))
    return Run(plan.folder.path)


def load_run(run: StrPath) -> Run:
    """Read a run folder.

    Raises:
        DataError: there is none, or it is damaged.
    """
    found = Run(Path(run))
    _ = found.evidence
    return found


def load_runs(*folders: StrPath, suite: str | None = None) -> Runs:
    """Every run in the folders. One whose manifest is damaged is left out, and told of as a warning.

    Args:
        folders: folders that hold runs, at any depth; by default those the commands read: ``VAPBENCH_RESULTS``, or
            else ``./runs`` and, at the top of a clone, the committed rows of ``./results``. Of two runs that have one
            suite and name, that of the first folder counts.
        suite: only runs of this suite.

    Raises:
        UsageError: a folder that was named is not there.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise UsageError(f"{folder}: no such folder of runs; make a run: vapbench run --help")
    if folders:
        below = [
            path
            for folder in map(Path, folders)
            for path in sorted(folder.rglob("manifest.json"))
            if not any(map(is_hidden, path.relative_to(folder).parts))
        ]
        # Two paths may lead to one run.
        found = [RunFolder(path.parent) for path in {path.resolve(): path for path in below}.values()]
    else:
        found = runs_below(places())
    runs = [load_run(folder.path) for folder in readable(found)]
    return Runs(run for run in runs if suite is None or run.suite == suite)


def table(
    runs: Run | StrPath | Iterable[Run | StrPath],
    task: str | None = None,
    *,
    config: StrPath | None = None,
    metrics: Sequence[str] | None = None,
    **layout: Any,
) -> Table:
    """Tabulate runs: means over cases with intervals clustered by condition, ranks, n of total.

    Args:
        runs: one or several, as objects or folders.
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
    from vapbench.report.tables.arrange import check_names, tabulate
    from vapbench.report.tables.layout import read_layout

    folders = [RunFolder(_run_path(item)) for item in _several(runs)]
    usual = {} if config else {"style": "wide"}
    wanted = read_layout(_path(config), **{**usual, **layout, "task": task, "columns": metrics})
    models = tabulate(folders, wanted)
    check_names(models, wanted)
    return Table(tuple(models), wanted)


def compare(a: Run | StrPath, b: Run | StrPath, task: str | None = None) -> Comparison:
    """Is ``a`` better than ``b``? Paired by case, tested by condition, adjusted over the columns.

    Args:
        a: a run, or its folder.
        b: another of the same suite.
        task: the task; None for every task that both have cases of.

    Raises:
        UsageError: they are one run, or share no case.
        DataError: they are of different suites, or damaged.
    """
    from vapbench.report.tables.comparison import compare as compare_folders

    return Comparison(tuple(compare_folders(RunFolder(_run_path(a)), RunFolder(_run_path(b)), task)))


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


def _several(runs: Run | StrPath | Iterable[Run | StrPath]) -> list[Run | StrPath]:
    return [runs] if isinstance(runs, (Run, str, os.PathLike)) else list(runs)


def _run_path(run: Run | StrPath) -> Path:
    return run.path if isinstance(run, Run) else Path(run)


def _path(path: StrPath | None) -> Path | None:
    return None if path is None else Path(path)


def _results(results: StrPath | None) -> Path:
    return Path(results if results is not None else os.environ.get("VAPBENCH_RESULTS") or RUNS)


def _settings(device: str, refresh: Refresh, retries: int, max_failures: float) -> Settings:
    from vapbench.running.context import FailureLimit, Settings

    return Settings(device, refresh, retries, FailureLimit.parse(f"{max_failures:g}"), ["python", *sys.argv[:1]])


def _as_clip(clip: Any, fps: float) -> Clip:
    import numpy as np

    from vapbench.core.clip import Clip
    from vapbench.core.video import read_video

    if isinstance(clip, Clip):
        return clip
    if isinstance(clip, (str, os.PathLike)):
        return read_video(Path(clip))
    frames = np.asarray(clip.detach().cpu() if hasattr(clip, "detach") else clip)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise UsageError(
            f"A clip is (T, H, W, 3) uint8 RGB; this is {frames.shape} {frames.dtype}. Move channels to the end and "
            "scale to 0..255."
        )
    return Clip(frames, fps, source="an array")


def _single_case(
    clip: Clip, reference: StrPath | None, image: StrPath | None, target: StrPath | None, caption: str | None
) -> Any:
    """A case around one clip. What was not given is not there: the metric has said that it does not look at it."""
    from vapbench.core.case import Case, ClipSpec, Media, Reference

    def media(path: StrPath | None) -> Any:
        return None if path is None else Media(path=Path(path))

    height, width = clip.height - clip.height % 2, clip.width - clip.width % 2
    return Case.model_construct(
        id="clip",
        condition="clip",
        category=None,
        references=(Reference.model_construct(video=media(reference), caption=None),),
        image=media(image),
        caption=caption,
        target=media(target),
        clip=ClipSpec.model_construct(frames=len(clip.frames), fps=clip.fps, height=height, width=width),
    )
