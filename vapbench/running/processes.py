"""Scores by several processes of this machine: each holds the metrics' models, and this one alone writes.

A process decodes the next video while it scores one. Whatever ends a process costs no video but the one that does it
again and again: what was sent to it is sent to another, alone, so that it takes no other video with it.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.core.registry import load_module
from vapbench.errors import ErrorKind, UsageError, VapbenchError
from vapbench.metrics.memory import quarter_of_free
from vapbench.results.rows import Failure, GenerationRow, ScoreRow
from vapbench.running import child
from vapbench.running.context import RunContext
from vapbench.running.device import torch_device
from vapbench.running.pending import ScoreJob, pending_scores
from vapbench.running.plan import MetricSpec
from vapbench.running.score import by_place, load_video, score_computed, score_waiting
from vapbench.running.scorer import Scorer
from vapbench.running.threads import INTERRUPTED, finish_case_on_interrupt

LOSSES_ALLOWED = 2
"""How often a video may lose its process and be tried again; the next loss is its failure."""
_AT_ONCE = 2
"""Videos that a process has: one is scored while the next is decoded."""
_LOOK = 0.5
"""Seconds until Ctrl-C is noticed while no score arrives."""


def score_in_processes(context: RunContext) -> None:
    """Score what the run folder's videos lack, ``context.settings.workers`` of them at once.

    Raises:
        UsageError: a metric cannot go to another process.
        VapbenchError: processes die while they load the metrics' models.
        TooManyFailures, BudgetSpent, OSError, KeyboardInterrupt: as :func:`vapbench.running.score.score`.
    """
    waiting, computing = by_place(context.columns)
    counts = context.scored
    todo = pending_scores(context.folder, context.cases, computing, context.seeds, context.settings.refresh)
    counts.total = todo.kept + sum(len(job.columns) for job in todo.jobs)
    counts.kept, counts.kept_failed = todo.kept, todo.kept_failed
    for row in todo.restored:
        context.writer.append(row)
    if todo.jobs:
        _Scoring(context, computing, todo.jobs).run()
    score_waiting(context, waiting)


@dataclass(frozen=True)
class _Order:
    """A video on its way to a process."""

    row: GenerationRow
    video: Path
    case: Case
    columns: tuple[str, ...]
    """Labels of the columns it lacks."""


@dataclass(frozen=True)
class _Equipment:
    """What a process needs before the first video."""

    columns: Sequence[MetricSpec]
    device: str
    memory: int
    """Bytes a metric may work in."""
    threads: int
    """Of torch and OpenCV."""


@dataclass
class _Ticket:
    """A video, and how it lost its processes."""

    job: ScoreJob
    losses: list[Failure] = field(default_factory=list)


class _Process:
    """A process that scores, and what it was sent, in order."""

    def __init__(self, equipment: bytes, plugins: Sequence[Path]) -> None:
        # Not forked: a forked process cannot use CUDA, nor OpenMP, where this one has.
        started = multiprocessing.get_context("spawn")
        self.pipe, theirs = started.Pipe()
        self.process = started.Process(target=_serve, args=(theirs, plugins), name="score", daemon=True)
        self.process.start()
        theirs.close()
        self.tickets: deque[_Ticket] = deque()
        self.ready = self.told_to_stop = False
        self.pipe.send_bytes(equipment)

    def send(self, ticket: _Ticket) -> None:
        """Let it score a video."""
        self.tickets.append(ticket)
        job = ticket.job
        order = _Order(job.row, job.video, job.case, tuple(column.label for column in job.columns))
        self.send_if_alive(order)

    def send_if_alive(self, message: _Order | None) -> None:
        """Send a message; that nobody is there to take it shows where answers are waited for."""
        with suppress(OSError):
            self.pipe.send(message)

    def room_for(self, ticket: _Ticket, at_once: int) -> bool:
        """Whether to send it a video: one that lost a process goes alone."""
        alone = ticket.losses or any(other.losses for other in self.tickets)
        return self.ready and len(self.tickets) < (1 if alone else at_once)

    def end(self) -> None:
        """End it, whatever it does."""
        child.end(self.process)
        self.pipe.close()


class _Scoring:
    """The stage, while it runs."""

    def __init__(self, context: RunContext, columns: Sequence[MetricSpec], jobs: Sequence[ScoreJob]) -> None:
        import torch

        self._context, self._waiting = context, deque(_Ticket(job) for job in jobs)
        self._wanted = min(context.settings.workers, len(jobs))
        device = torch_device(context.settings.device)
        memory = (context.settings.memory or quarter_of_free(device)) // self._wanted
        threads = max(1, torch.get_num_threads() // self._wanted)
        self._plugins = child.plugin_files(column.metric for column in columns)
        self._equipment = _packed(_Equipment(columns, str(device), memory, threads))
        self._processes: list[_Process] = []

    def run(self) -> None:
        """Work until every video is scored, or until Ctrl-C or too many failures, when what was begun is finished."""
        context = self._context
        steps = sum(len(ticket.job.columns) for ticket in self._waiting)
        context.progress.begin(f"{context.folder.path.name} · score in {self._wanted} processes", steps)
        try:
            with finish_case_on_interrupt(context.stop, context.progress.tell):
                while self._waiting or any(process.tickets for process in self._processes):
                    if context.stop:
                        self._begin_no_more()
                    self._hand_out()
                    self._take_answers()
        finally:
            for process in self._processes:
                process.end()
            context.progress.end()
        if context.stop.reason == INTERRUPTED:
            raise KeyboardInterrupt

    def _hand_out(self) -> None:
        busy = sum(len(process.tickets) > 0 for process in self._processes)
        while len(self._processes) < min(self._wanted, busy + len(self._waiting)):
            self._processes.append(_Process(self._equipment, self._plugins))
        # Towards the end a video that waits behind another would rather have a process of its own.
        at_once = _AT_ONCE if len(self._waiting) > len(self._processes) else 1
        while self._waiting and (free := [one for one in self._processes if one.room_for(self._waiting[0], at_once)]):
            min(free, key=lambda one: len(one.tickets)).send(self._waiting.popleft())

    def _take_answers(self) -> None:
        by_pipe = {process.pipe: process for process in self._processes}
        for pipe in wait(list(by_pipe), timeout=_LOOK):
            process = by_pipe[pipe]  # type: ignore[index]
            try:
                rows = process.pipe.recv()
            except (EOFError, OSError):
                self._lose(process)
                continue
            if not process.ready:
                process.ready = True
                continue
            process.tickets.popleft()
            self._record(rows)

    def _begin_no_more(self) -> None:
        """Leave what no process has begun for the next run; each ends when it has finished what it has begun."""
        self._waiting.clear()
        for process in self._processes:
            if not process.told_to_stop:
                process.told_to_stop = True
                process.send_if_alive(None)

    def _lose(self, process: _Process) -> None:
        """Send what a process was sent to another one."""
        cause = child.cause_of_death(process.process)
        process.end()
        self._processes.remove(process)
        if self._context.stop:
            return
        if not process.ready:
            raise VapbenchError(
                f"A process that scores died of {cause} while it loaded the metrics' models; each of the --workers "
                "holds them all, so fewer need less memory.",
                ErrorKind.FAILED,
                "workers",
            )
        for ticket in reversed(process.tickets):
            ticket.losses.append(Failure("WorkerLost", f"the process that scored it died of {cause}"))
            if len(ticket.losses) > LOSSES_ALLOWED:
                self._give_up(ticket)
            else:
                self._waiting.appendleft(ticket)

    def _give_up(self, ticket: _Ticket) -> None:
        device = torch_device("cpu")
        scorers = [Scorer(column, column.metric, device=device) for column in ticket.job.columns]
        self._record([scorer.row(ticket.job, ticket.losses[-1]) for scorer in scorers])

    def _record(self, rows: Sequence[ScoreRow]) -> None:
        for row in rows:
            self._context.record(row, (row.failure,) if row.failure else ())


def _packed(equipment: _Equipment) -> bytes:
    try:
        return bytes(ForkingPickler.dumps(equipment))
    except Exception as error:
        names = ", ".join(column.metric.name for column in equipment.columns)
        raise UsageError(
            f"--workers scores in processes of their own, where what a metric ({names}) holds before setup cannot go "
            f"({error}); make it in setup, or leave --workers out.",
            ErrorKind.CONFLICT,
            "workers",
        ) from error


def _serve(pipe: Connection, plugins: Sequence[Path]) -> None:
    """What a process does until it is ended."""
    child.begin()
    for path in plugins:
        load_module(path)
    import cv2
    import torch

    equipment: _Equipment = pipe.recv()
    torch.set_num_threads(equipment.threads)
    cv2.setNumThreads(equipment.threads)
    device = torch_device(equipment.device)
    scorers = {column.label: Scorer.set_up(column, device) for column in equipment.columns}
    pipe.send("ready")
    decoded: SimpleQueue[tuple[ScoreJob, Future[Clip | Failure]] | None] = SimpleQueue()
    stopped = Event()

    def receive() -> None:
        while (order := pipe.recv()) is not None:
            job = ScoreJob(order.row, order.video, order.case, tuple(scorers[name].column for name in order.columns))
            decoded.put((job, loader.submit(load_video, job)))
        stopped.set()
        decoded.put(None)

    with ThreadPoolExecutor(1, "load") as loader:
        Thread(target=receive, daemon=True).start()
        while (taken := decoded.get()) is not None and not stopped.is_set():
            job, clip = taken
            pipe.send(score_computed(job, clip.result(), scorers, device, equipment.memory))
