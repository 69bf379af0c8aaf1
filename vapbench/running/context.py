"""What every stage of a run is handed: the plan, the writer, how to behave, who watches, and the counts so far."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, Protocol

from vapbench.core.case import Case
from vapbench.errors import ErrorKind, TooManyFailures, UsageError
from vapbench.files.text import counted
from vapbench.results.rows import Failure, GenerationRow, ScoreRow, Status
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter
from vapbench.running.pending import Refresh
from vapbench.running.plan import MetricSpec, RunPlan
from vapbench.running.threads import INTERRUPTED, OnRay, StopFlag, finish_case_on_interrupt, run_in_order

WORTH_SHOWING = 40
"""Videos from which looking at them shows progress."""


class Progress(Protocol):
    """Who watches a stage."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """A stage of ``total`` steps begins, ``done`` of them over in an earlier run."""

    def step(self, label: str, status: Status = "ok", note: str = "") -> None:
        """A step has ended; ``note``: how it stands, such as a loss."""

    def failed(self, label: str, failure: Failure, hint: str) -> None:
        """A step has failed; called before its :meth:`step`. ``hint``: what to do, and where the whole traceback is."""

    def tell(self, message: str) -> None:
        """Say something."""

    def end(self) -> None:
        """The stage is over."""


@dataclass(frozen=True)
class FailureLimit:
    """How many failures a run allows."""

    limit: float = 0.1
    """A count, or below 1 a fraction of the results asked for."""

    @classmethod
    def parse(cls, text: str) -> FailureLimit:
        """Read ``0.1`` (a tenth of the cases) or ``3`` (three cases).

        Raises:
            UsageError: it is neither.
        """
        try:
            limit = float(text)
        except ValueError:
            limit = -1
        if not math.isfinite(limit) or limit < 0 or (limit >= 1 and limit != int(limit)):
            raise UsageError(
                f"--max-failures {text}: give a count (3) or a fraction below 1 (0.1).",
                ErrorKind.INVALID,
                "max_failures",
            )
        return cls(limit)

    def exceeded(self, failures: int, total: int) -> bool:
        """Whether ``failures`` of ``total`` results are too many."""
        if self.limit >= 1 or self.limit == 0:
            return failures > self.limit
        # One bad file among a few is no reason to stop, unless it is all there is.
        return failures > max(1, self.limit * total) or (failures > 0 and failures == total)

    def check(self, counts: Counts, what: str) -> None:
        """Refuse too many failures, those of earlier runs included: the same command ends with the same code.

        Raises:
            TooManyFailures: there are more than allowed; the message says what to do.
        """
        if self.exceeded(counts.all_failed, counts.total):
            left = counts.total - counts.kept - counts.done
            stopped = f" Stopped with {left} still to do." if left else ""
            raise TooManyFailures(
                f"{counts.all_failed} of {counted(counts.total, what)} failed, more than --max-failures "
                f"allows.{stopped} "
                "Fix the cause and run again with --refresh failed."
            )


@dataclass(frozen=True)
class Settings:
    """How a run behaves; none of it changes a result."""

    device: str = "auto"
    refresh: Refresh = "missing"
    retries: int = 1
    max_failures: FailureLimit = field(default_factory=FailureLimit)
    argv: Sequence[str] = ()
    memory: int | None = None
    """Bytes a metric may work in; None for a quarter of what is free."""
    case_timeout: float | None = None
    """Seconds a method may take for a case; with a limit, it runs in a process of its own, which can be ended."""
    ray: OnRay | None = None
    """Run on Ray; None for this machine."""
    workers: int = 1
    """Processes of this machine that score at once; 1 for this one."""
    every_case: bool = False
    """Whether no number of failed cases ends the run before its last one: finished videos cost nothing to try, and
    whoever fixes them wants to know of all. Scores are held to the limit all the same."""

    @property
    def max_case_failures(self) -> FailureLimit:
        """How many cases may fail."""
        return FailureLimit(math.inf) if self.every_case else self.max_failures


@dataclass
class Counts:
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

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))

    @property
    def done(self) -> int:
        """Results of this run."""
        return self.ok + self.failed + self.unscored

    @property
    def all_failed(self) -> int:
        """Failed rows among the results asked for, whenever they failed."""
        return self.kept_failed + self.failed


@dataclass
class RunContext:
    """One run, while its stages work on it."""

    folder: RunFolder
    cases: Mapping[str, Case]
    columns: Sequence[MetricSpec]
    writer: RunWriter
    settings: Settings
    progress: Progress
    plan: RunPlan | None = None
    """What to generate; None where existing videos are only scored."""
    generated: Counts = field(default_factory=Counts)
    scored: Counts = field(default_factory=Counts)
    stop: StopFlag = field(default_factory=StopFlag)

    @property
    def seeds(self) -> Sequence[int] | None:
        """Seeds whose videos are scored; None: all there are."""
        return self.plan.seeds if self.plan else None

    def record(self, row: GenerationRow | ScoreRow, failures: Sequence[Failure]) -> None:
        """Write a row, count it, say so, and ask to stop if too many failed.

        Raises:
            OSError: the row cannot be written.
        """
        self.writer.append(row)
        made, label = isinstance(row, GenerationRow), f"{row.case} seed {row.seed}"
        if isinstance(row, ScoreRow):
            label = f"{row.metric} on {label}"
        counts = self.generated if made else self.scored
        counts.add(row.status)
        if row.status == "failed":
            self.progress.failed(label, failures[-1], _hint_for(failures[-1], self.folder, row.case))
        self.progress.step(label, row.status)
        limit = self.settings.max_case_failures if made else self.settings.max_failures
        # Failures of earlier runs end this one as well, but only when there is nothing left to do.
        if counts.failed and limit.exceeded(counts.all_failed, counts.total) and not self.stop:
            self.stop.reason = "failures"

    def work_through(
        self,
        jobs: Sequence[Any],
        load: Callable[[Any], Any],
        work: Callable[[Any, Any], Any],
        finish: Callable[[Any, Any], None],
        what: str,
        steps: int,
        wait: Callable[[], None] = lambda: None,
        ahead: int = 1,
    ) -> None:
        """Work through a stage's jobs in order, watched; see :func:`~vapbench.running.threads.run_in_order`.

        Args:
            jobs: in order.
            load: what is done ahead of a job.
            work: the job itself.
            finish: what is done behind it.
            what: the stage's name, for whoever watches.
            steps: of how many results it consists.
            wait: what is waited for after the last job.
            ahead: jobs that are loaded while one is worked on.

        Raises:
            KeyboardInterrupt: Ctrl-C; the job at hand is finished unless it was pressed twice.
        """
        self.progress.begin(f"{self.folder.path.name} · {what}", steps)
        try:
            with finish_case_on_interrupt(self.stop, self.progress.tell):
                run_in_order(jobs, load=load, work=work, finish=finish, stop=self.stop, ahead=ahead)
                wait()
        finally:
            self.progress.end()
        if self.stop.reason == INTERRUPTED:
            raise KeyboardInterrupt


def _hint_for(failure: Failure, folder: RunFolder, case: str) -> str:
    hints = []
    if failure.type.endswith("MemoryError") or "DefaultCPUAllocator" in failure.message:
        hints.append("Try --offload model, then --offload sequential, or --dtype bfloat16.")
    if failure.traceback:
        hints.append(f"The whole traceback: {shlex.join(['vapbench', 'show', str(folder.path), '--case', case])}")
    return "\n".join(hints)
