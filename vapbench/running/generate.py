"""Generate, then score: two stages joined on disk, each resumed by calling it again.

``generate`` ends with hashed videos and rows; ``score`` begins from them. A case that fails becomes a row and the run
goes on, until more fail than the run allows. What makes every case fail (a full disk, missing weights) ends the run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.errors import BudgetSpent, TooManyFailures, UsageError
from vapbench.files.atomic import file_sha256
from vapbench.files.provenance import now
from vapbench.methods.base import Method
from vapbench.metrics.view import ClipView
from vapbench.results.run import (
    Failure,
    GenerationRow,
    RunFolder,
    RunWriter,
    ScoreRow,
    Status,
    import_video,
    video_name,
)
from vapbench.running import attempt as attempts
from vapbench.running.attempt import Attempted
from vapbench.running.isolated import Isolated
from vapbench.running.pending import Refresh, ScoreJob, pending, pending_scores
from vapbench.running.plan import Column, Job, RunPlan
from vapbench.running.score import Desk, Scorer, load_video, media_scored_against
from vapbench.running.threads import INTERRUPTED, InFlight, OnRay, Stop, finish_case_on_interrupt, run_in_order


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
    """A count, or below 1 a fraction of the results asked for."""

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
        if not math.isfinite(limit) or limit < 0 or (limit >= 1 and limit != int(limit)):
            raise UsageError(f"--max-failures {text}: give a count (3) or a fraction below 1 (0.1).")
        return cls(limit)

    def exceeded(self, failures: int, total: int) -> bool:
        """Whether ``failures`` of ``total`` results are too many."""
        if self.limit >= 1 or self.limit == 0:
            return failures > self.limit
        # One bad file among a few is no reason to stop, unless it is all there is.
        return failures > max(1, self.limit * total) or (failures > 0 and failures == total)

    def check(self, tally: Tally, what: str) -> None:
        """Refuse too many failures, those of earlier runs included: the same command ends with the same code.

        Raises:
            TooManyFailures: there are more than allowed; the message says what to do.
        """
        if self.exceeded(tally.all_failed, tally.total):
            left = tally.total - tally.kept - tally.done
            stopped = f" Stopped with {left} still to do." if left else ""
            raise TooManyFailures(
                f"{tally.all_failed} of {tally.total} {what} failed, more than --max-failures allows.{stopped} "
                "Mend the cause and run again with --refresh failed."
            )


@dataclass(frozen=True)
class Settings:
    """How a run behaves; none of it changes a result."""

    device: str = "auto"
    refresh: Refresh = "missing"
    retries: int = 1
    tolerance: Tolerance = field(default_factory=Tolerance)
    argv: Sequence[str] = ()
    memory: int | None = None
    """Bytes a metric may work in; None for a quarter of what is free."""
    case_timeout: float | None = None
    """Seconds a method may take for a case; with a limit, it runs in a process of its own, which can be ended."""
    ray: OnRay | None = None
    """Run on Ray; None for this process."""


@dataclass
class Tally:
    """Counts of one stage."""

    total: int = 0
    """Results asked for."""
    kept: int = 0
    """Finished before, failed ones included."""
    kept_failed: int = 0
    ok: int = 0
    failed: int = 0
    unscored: int = 0

    def add(self, status: Status) -> None:
        """Count one result."""
        setattr(self, status, getattr(self, status) + 1)

    @property
    def done(self) -> int:
        """Results of this run."""
        return self.ok + self.failed + self.unscored

    @property
    def all_failed(self) -> int:
        """Failed rows among the results asked for, whenever they failed."""
        return self.kept_failed + self.failed


def generate(plan: RunPlan, writer: RunWriter, settings: Settings, progress: Progress, tally: Tally) -> None:
    """Generate what the run folder lacks, counting in ``tally``.

    Raises:
        TooManyFailures: more cases failed than the settings allow.
        WeightsError: the method's weights cannot be loaded.
        OSError: a video or row cannot be written.
        KeyboardInterrupt: Ctrl-C; the case at hand is finished unless it was pressed twice.
    """
    todo = pending(plan, settings.refresh)
    tally.total, tally.kept, tally.kept_failed = len(plan.jobs), todo.kept, todo.kept_failed
    for row in todo.restored:
        writer.append(row)
    if todo.jobs:
        _generate(plan, todo.jobs, writer, settings, progress, tally)
        attempts.free_memory()
    settings.tolerance.check(tally, "cases")


def _generate(
    plan: RunPlan, jobs: Sequence[Job], writer: RunWriter, settings: Settings, progress: Progress, tally: Tally
) -> None:
    # What setup loads hangs on this copy, and goes with it: the next stage has the memory to itself.
    method = copy(plan.method.method)
    device = torch_device(settings.device)
    progress.tell(f"Loading {method.name} …")
    stop = Stop()

    def load(job: Job) -> None:
        # Decoded frames stay in this process, so for a method in its own they would be decoded in vain.
        if settings.case_timeout is None:
            job.case.reference.video.prefetch()

    def work(job: Job, _: None) -> Attempted:
        attempted = ask(job.case, job.seed)
        job.case.reference.video.release()
        return attempted

    def finish(job: Job, attempted: Attempted) -> None:
        row = replace(generation_row(job, attempted, plan.folder), code=plan.method.code)
        writer.append(row)
        count(progress, tally, f"{job.case.id} seed {job.seed}", row.status, row.attempts)
        stop_if_exceeded(settings.tolerance, tally, stop)

    with asking(method, device, settings) as ask:
        _run(jobs, load, work, finish, stop, progress, f"{plan.folder.path.name} · generate")


@contextmanager
def asking(method: Method, device: Any, settings: Settings) -> Iterator[Callable[[Case, int], Attempted]]:
    """The method, set up: what gives a clip for a case and a seed."""
    if settings.case_timeout is not None:
        with Isolated(method, device, settings.retries, settings.case_timeout) as isolated:
            yield isolated
        return
    # Code of others may change the working folder; ours names files relative to it.
    with chdir("."):
        method.setup(device)
    yield lambda case, seed: attempts.attempt(method, case, seed, settings.retries, device)


def score(
    folder: RunFolder,
    cases: Mapping[str, Case],
    wanted: Sequence[Column],
    seeds: Sequence[int] | None,
    writer: RunWriter,
    settings: Settings,
    progress: Progress,
    tally: Tally,
) -> None:
    """Score what the run folder's videos lack, counting in ``tally``. One decode per video serves every column.

    Raises:
        TooManyFailures: more scores failed than the settings allow.
        BudgetSpent: paid calls ran out; all that needs none is done.
        OSError: a row cannot be written.
        KeyboardInterrupt: Ctrl-C.
    """
    todo = pending_scores(folder, cases, wanted, seeds, settings.refresh)
    tally.total = todo.kept + sum(len(job.columns) for job in todo.jobs)
    tally.kept, tally.kept_failed = todo.kept, todo.kept_failed
    for row in todo.restored:
        writer.append(row)
    if todo.jobs:
        _score(folder, todo.jobs, writer, settings, progress, tally)
        attempts.free_memory()
    settings.tolerance.check(tally, "scores")


def _score(
    folder: RunFolder,
    jobs: Sequence[ScoreJob],
    writer: RunWriter,
    settings: Settings,
    progress: Progress,
    tally: Tally,
) -> None:
    device = torch_device(settings.device)
    columns = {column.label: column for job in jobs for column in job.columns}
    scorers = {label: Scorer.set_up(column, device) for label, column in columns.items()}
    stop = Stop()

    def record(row: ScoreRow) -> None:
        writer.append(row)
        failures = (row.failure,) if row.failure else ()
        count(progress, tally, f"{row.metric} on {row.case} seed {row.seed}", row.status, failures)
        stop_if_exceeded(settings.tolerance, tally, stop)

    desk = Desk(record)
    waiting = {label: InFlight(scorer.concurrency) for label, scorer in scorers.items() if scorer.waits}

    def work(job: ScoreJob, clip: Clip | Failure) -> list[ScoreRow]:
        view = ClipView(clip, job.case, device, settings.memory) if isinstance(clip, Clip) else clip
        rows = []
        for label in (column.label for column in job.columns):
            scorer = scorers[label]
            answer = desk.unless_spent(partial(scorer.begin, job, view))
            if answer is not None and scorer.waits:
                waiting[label].submit(partial(desk.take_answer, partial(scorer.row, job, answer)))
            elif answer is not None:
                rows.append(scorer.row(job, answer))
        for media in media_scored_against(job):
            media.release()
        return rows

    def finish(job: ScoreJob, rows: list[ScoreRow]) -> None:
        for row in rows:
            desk.take(row)

    def wait() -> None:
        for answers in waiting.values():
            answers.join()

    try:
        what, steps = f"{folder.path.name} · score", tally.total - tally.kept
        _run(jobs, load_video, work, finish, stop, progress, what, steps, wait)
    finally:
        desk.close()
    if desk.spent:
        left = tally.total - tally.kept - tally.done
        raise BudgetSpent(f"{desk.spent}: {left} scores are left to do; everything answered is kept.")


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


def generation_row(job: Job, attempted: Attempted, folder: RunFolder) -> GenerationRow:
    """The row of an attempt, after its video is written into ``folder``.

    Raises:
        OSError: the disk does not take the video.
    """
    row = GenerationRow(
        key=job.key,
        case=job.case.id,
        condition=job.case.condition,
        category=job.case.category,
        seed=job.seed,
        status="failed",
        seconds=round(attempted.seconds, 3),
        peak_mb=attempted.peak_mb,
        note=attempted.unscored or attempted.note,
        attempts=attempted.failures,
        ended=now("milliseconds"),
    )
    if attempted.unscored:
        return replace(row, status="unscored")
    if attempted.made is None:
        return row
    name = video_name(job.case.id, job.seed, job.key)
    began = time.perf_counter()
    try:
        if isinstance(attempted.made, Clip):
            write_video(folder.videos / name, attempted.made)
        else:
            import_video(attempted.made, folder.videos / name)
    except OSError:
        # The disk, not the case: no later case would fare better.
        raise
    except Exception as error:
        return replace(row, attempts=(*row.attempts, attempts.failure_of(error)))
    sha256 = file_sha256(folder.videos / name)
    seconds = round(time.perf_counter() - began, 3)
    return replace(row, status="ok", video=name, sha256=sha256, encode_seconds=seconds, ended=now("milliseconds"))


def _run(
    jobs: Sequence[Any],
    load: Callable[[Any], Any],
    work: Callable[[Any, Any], Any],
    finish: Callable[[Any, Any], None],
    stop: Stop,
    progress: Progress,
    what: str,
    total: int | None = None,
    wait: Callable[[], None] = lambda: None,
) -> None:
    progress.begin(what, len(jobs) if total is None else total)
    try:
        with finish_case_on_interrupt(stop, progress.tell):
            run_in_order(jobs, load=load, work=work, finish=finish, stop=stop)
            wait()
    finally:
        progress.end()
    if stop.reason == INTERRUPTED:
        raise KeyboardInterrupt


def count(progress: Progress, tally: Tally, label: str, status: Status, failures: Sequence[Failure]) -> None:
    """Count a row that was written, and say so."""
    tally.add(status)
    if status == "failed":
        progress.failed(label, failures[-1], _hint_for(failures[-1]))
    progress.step(label, status)


def stop_if_exceeded(tolerance: Tolerance, tally: Tally, stop: Stop) -> None:
    """Ask to stop once more failed than is allowed."""
    # Failures of earlier runs end this one as well, but only when there is nothing left to do.
    if tally.failed and tolerance.exceeded(tally.all_failed, tally.total) and not stop:
        stop.reason = "failures"


def _hint_for(failure: Failure) -> str:
    if failure.type.endswith("MemoryError") or "DefaultCPUAllocator" in failure.message:
        return "Try --offload model, then --offload sequential, or --dtype bfloat16."
    return ""
