"""Generate, then score: two stages joined on disk, each resumed by calling it again.

``generate`` ends with hashed videos and rows; ``score`` begins from them. A case that fails becomes a row and the run
goes on, until more fail than the run allows. What makes every case fail (a full disk, missing weights) ends the run.
"""

from __future__ import annotations

import logging
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vapbench.cases import Case, Media
from vapbench.clip import Clip
from vapbench.errors import NotApplicable, TooManyFailures, UsageError, VapbenchError
from vapbench.executors import Stop, finish_case_on_interrupt, run_in_order
from vapbench.files import file_sha256
from vapbench.methods.base import Method
from vapbench.metrics.base import Score
from vapbench.metrics.view import ClipView
from vapbench.plan import Column, Job, Refresh, RunPlan, ScoreJob, pending, pending_scores
from vapbench.store import (
    Failure,
    GenerationRow,
    RunFolder,
    RunWriter,
    ScoreRow,
    Status,
    import_video,
    video_name,
)
from vapbench.video import read_video, write_video

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Who watches a stage."""

    def begin(self, what: str, total: int) -> None:
        """A stage of ``total`` steps begins."""

    def step(self, label: str, status: Status) -> None:
        """A step has ended."""

    def failed(self, label: str, failure: Failure, hint: str) -> None:
        """A step has failed; called before its :meth:`step`."""

    def tell(self, message: str) -> None:
        """Say something."""

    def end(self) -> None:
        """The stage is over."""


@dataclass(frozen=True)
class Tolerance:
    """How many failures a run allows."""

    limit: float = 0.1
    """A count, or below 1 a fraction of the steps planned."""

    @classmethod
    def parse(cls, text: str) -> Tolerance:
        """Read ``0.1`` (a tenth of the cases) or ``3`` (three cases).

        Raises:
            UsageError: it is neither.
        """
        try:
            limit = float(text)
        except ValueError:
            limit = -1
        if limit < 0 or (limit >= 1 and limit != int(limit)):
            raise UsageError(f"--max-failures {text}: give a count (3) or a fraction below 1 (0.1).")
        return cls(limit)

    def exceeded(self, failures: int, total: int) -> bool:
        """Whether ``failures`` of ``total`` steps are too many."""
        return failures > (self.limit * total if self.limit < 1 else self.limit)


@dataclass(frozen=True)
class Settings:
    """How a run behaves; none of it changes a result."""

    device: str = "auto"
    refresh: Refresh = "missing"
    retries: int = 1
    tolerance: Tolerance = field(default_factory=Tolerance)
    argv: Sequence[str] = ()


@dataclass
class Tally:
    """Counts of one stage."""

    total: int = 0
    ok: int = 0
    failed: int = 0
    unscored: int = 0
    kept: int = 0
    """Finished before."""

    def add(self, status: Status) -> None:
        """Count one step."""
        setattr(self, status, getattr(self, status) + 1)

    @property
    def done(self) -> int:
        """Steps that have ended."""
        return self.ok + self.failed + self.unscored

    def counts(self) -> dict[str, int]:
        """As the manifest records them."""
        return {name: getattr(self, name) for name in ("total", "ok", "failed", "unscored", "kept")}


def generate(plan: RunPlan, writer: RunWriter, settings: Settings, progress: Progress) -> Tally:
    """Generate what the run folder lacks.

    Raises:
        TooManyFailures: more cases failed than the settings allow.
        WeightsError: the method's weights cannot be loaded.
        OSError: a video or row cannot be written.
        KeyboardInterrupt: Ctrl-C; the case at hand is finished unless it was pressed twice.
    """
    jobs, restored = pending(plan, settings.refresh)
    for row in restored:
        writer.append(row)
    tally = Tally(total=len(plan.jobs), kept=len(plan.jobs) - len(jobs))
    if not jobs:
        return tally
    method = plan.method.method
    device = torch_device(settings.device)
    progress.tell(f"Loading {method.name} …")
    method.setup(device)

    def load(job: Job) -> None:
        job.case.prefetch()

    def work(job: Job, _: None) -> _Attempted:
        attempted = _attempt(method, job, settings.retries)
        job.case.release()
        return attempted

    def finish(job: Job, attempted: _Attempted) -> None:
        row = _finished_row(job, attempted, plan.folder)
        writer.append(row)
        _count(progress, tally, f"{job.case.id} seed {job.seed}", row.status, row.attempts)
        _check(settings.tolerance, tally, stop, len(jobs))

    stop = Stop()
    _run(jobs, load, work, finish, stop, progress, f"{plan.folder.path.name} · generate")
    _raise_if_stopped(stop, tally, "cases")
    return tally


def score(
    folder: RunFolder,
    cases: Mapping[str, Case],
    wanted: Sequence[Column],
    seeds: Sequence[int] | None,
    writer: RunWriter,
    settings: Settings,
    progress: Progress,
) -> Tally:
    """Score what the run folder's videos lack. One decode per video serves every column.

    Raises:
        TooManyFailures: more scores failed than the settings allow.
        OSError: a row cannot be written.
        KeyboardInterrupt: Ctrl-C.
    """
    jobs = pending_scores(folder, cases, wanted, seeds, settings.refresh)
    total = sum(len(job.columns) for job in jobs)
    tally = Tally(total=total)
    if not jobs:
        return tally
    device = torch_device(settings.device)
    ready = {column.label: _setup(column, device) for column in {c.label: c for j in jobs for c in j.columns}.values()}

    def load(job: ScoreJob) -> Clip | VapbenchError:
        try:
            job.case.prefetch(_media_scored_against(job))
            return read_video(job.video)
        except VapbenchError as error:
            return error

    def work(job: ScoreJob, clip: Clip | VapbenchError) -> list[ScoreRow]:
        view = ClipView(clip, job.case, device) if isinstance(clip, Clip) else clip
        rows = [_score_row(column, job, view, ready[column.label]) for column in job.columns]
        job.case.release()
        return rows

    def finish(job: ScoreJob, rows: list[ScoreRow]) -> None:
        for row in rows:
            writer.append(row)
            failures = (row.failure,) if row.failure else ()
            _count(progress, tally, f"{row.metric} on {row.case} seed {row.seed}", row.status, failures)
        _check(settings.tolerance, tally, stop, total)

    stop = Stop()
    _run(jobs, load, work, finish, stop, progress, f"{folder.path.name} · score", total)
    _raise_if_stopped(stop, tally, "scores")
    return tally


def torch_device(name: str) -> Any:
    """``auto`` is the first accelerator, or the CPU.

    Raises:
        UsageError: torch knows no such device, or it is not there.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name} is not usable here ({reason}); try --device cpu.") from error
    return device


@dataclass(frozen=True)
class _Attempted:
    made: Clip | Path | None
    seconds: float
    peak_mb: float | None
    failures: tuple[Failure, ...] = ()
    unscored: str = ""


def _attempt(method: Method, job: Job, retries: int) -> _Attempted:
    failures: list[Failure] = []
    while True:
        _seed_everything(job.seed)
        _reset_peak()
        began = time.perf_counter()
        made: Clip | Path | None = None
        unscored = ""
        try:
            made = method.generate(job.case, job.seed)
            if not isinstance(made, Clip | Path):
                raise TypeError(f"generate must return a Clip or a Path, not {type(made).__name__}")
        except NotApplicable as error:
            unscored = str(error)
        except Exception as error:
            failures.append(failure_of(error))
            if len(failures) <= retries and is_transient(error):
                _free_memory()
                continue
        return _Attempted(made, time.perf_counter() - began, _peak_mb(), tuple(failures), unscored)


def _finished_row(job: Job, attempted: _Attempted, folder: RunFolder) -> GenerationRow:
    row = GenerationRow(
        key=job.key,
        case=job.case.id,
        condition=job.case.condition,
        category=job.case.category,
        seed=job.seed,
        status="failed",
        seconds=round(attempted.seconds, 3),
        peak_mb=attempted.peak_mb,
        attempts=attempted.failures,
    )
    if attempted.unscored:
        return replace(row, status="unscored", note=attempted.unscored)
    if attempted.made is None:
        return row
    name = video_name(job.case.id, job.seed, job.key)
    try:
        _store_video(attempted.made, folder.videos / name)
    except VapbenchError as error:
        return replace(row, attempts=(*row.attempts, failure_of(error)))
    return replace(row, status="ok", video=name, sha256=file_sha256(folder.videos / name))


def _store_video(made: Clip | Path, destination: Path) -> None:
    if isinstance(made, Clip):
        write_video(destination, made)
    else:
        import_video(made, destination)


def _media_scored_against(job: ScoreJob) -> list[Media]:
    needs = frozenset[str]().union(*(column.metric.needs for column in job.columns))
    media = [job.case.reference.video] if "reference" in needs else []
    if "target" in needs and job.case.target:
        media.append(job.case.target)
    return media


def _setup(column: Column, device: Any) -> str:
    """Load a metric; returns why it cannot be used, or an empty string."""
    try:
        column.metric.setup(device)
    except NotApplicable as error:
        return str(error)
    return ""


def _score_row(column: Column, job: ScoreJob, view: ClipView | VapbenchError, unusable: str) -> ScoreRow:
    metric, row = column.metric, job.row
    sha256 = row.sha256 or ""
    began = time.perf_counter()
    status: Status = "ok"
    answer = Score(None)
    failure = None
    try:
        if isinstance(view, VapbenchError):
            raise view
        answer = Score(None, note=unusable) if unusable else _score(metric, view, job.case)
        status = "ok" if answer.value is not None else "unscored"
    except NotApplicable as error:
        status, answer = "unscored", Score(None, note=str(error))
    except Exception as error:
        status, failure = "failed", failure_of(error)
    return ScoreRow(
        key=column.key(job.case, row.seed, sha256),
        metric=metric.name,
        version=metric.version,
        params=dict(column.params),
        case=row.case,
        condition=row.condition,
        category=row.category,
        seed=row.seed,
        video_sha256=sha256,
        status=status,
        value=answer.value,
        parts=dict(answer.parts),
        note=answer.note,
        seconds=round(time.perf_counter() - began, 4),
        failure=failure,
    )


def _score(metric: Any, view: ClipView, case: Case) -> Score:
    answer: Score = metric.score(view, case)
    if answer.value is not None and not np.isfinite(answer.value):
        raise VapbenchError(f"{metric.name} answered {answer.value}, which is no score")
    return answer


def _run(
    jobs: Sequence[Any],
    load: Callable[[Any], Any],
    work: Callable[[Any, Any], Any],
    finish: Callable[[Any, Any], None],
    stop: Stop,
    progress: Progress,
    what: str,
    total: int | None = None,
) -> None:
    progress.begin(what, len(jobs) if total is None else total)
    try:
        with finish_case_on_interrupt(stop, progress.tell):
            run_in_order(jobs, load=load, work=work, finish=finish, stop=stop)
    finally:
        progress.end()


def _count(progress: Progress, tally: Tally, label: str, status: Status, failures: Sequence[Failure]) -> None:
    tally.add(status)
    if status == "failed":
        progress.failed(label, failures[-1], hint_for(failures[-1]))
    progress.step(label, status)


def _check(tolerance: Tolerance, tally: Tally, stop: Stop, total: int) -> None:
    if tolerance.exceeded(tally.failed, total) and not stop:
        stop.reason = "failures"


def _raise_if_stopped(stop: Stop, tally: Tally, what: str) -> None:
    if stop.reason == "interrupted":
        raise KeyboardInterrupt
    if stop.reason == "failures":
        raise TooManyFailures(
            f"{tally.failed} {what} failed, more than --max-failures allows; stopped after {tally.done} of "
            f"{tally.total - tally.kept}. Mend the cause and run again with --refresh failed."
        )


def failure_of(error: BaseException) -> Failure:
    """Describe an exception for a row."""
    return Failure(type(error).__name__, str(error) or type(error).__name__, "".join(traceback.format_exception(error)))


def is_transient(error: BaseException) -> bool:
    """Whether another attempt may succeed: out of memory, a timeout, HTTP 429 or 5xx."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return status == 429 or status >= 500
    return isinstance(error, TimeoutError | MemoryError) or type(error).__name__ == "OutOfMemoryError"


def hint_for(failure: Failure) -> str:
    """What to do about a failure, or an empty string."""
    if failure.type in ("OutOfMemoryError", "MemoryError"):
        return "Try --offload model, then --offload sequential, or --dtype bfloat16."
    return ""


def _seed_everything(seed: int) -> None:
    # For methods that draw from the global generators; those that take the seed lose nothing.
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def _reset_peak() -> None:
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak_mb() -> float | None:
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        return round(float(torch.cuda.max_memory_allocated()) / 2**20, 1)
    # Kilobytes on Linux, bytes on macOS.
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale, 1)


def _free_memory() -> None:
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        torch.cuda.empty_cache()
