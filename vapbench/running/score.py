"""Score the videos of a run; the same call resumes.

The stage begins from hashed videos and rows: one decode per video serves every column, and no generator is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from vapbench.core.case import Media
from vapbench.core.clip import Clip
from vapbench.core.video import read_video
from vapbench.errors import BudgetSpent
from vapbench.files.text import counted
from vapbench.metrics.base import BatchMetric, PaidMetric
from vapbench.metrics.view import ClipView
from vapbench.results.rows import Failure, ScoreRow
from vapbench.running import attempt as attempts
from vapbench.running.context import Counts, RunContext
from vapbench.running.device import torch_device
from vapbench.running.pending import ScoreJob, pending_scores
from vapbench.running.plan import MetricSpec
from vapbench.running.scorer import Gathering, Scorer
from vapbench.running.threads import PendingCalls, StopFlag

T = TypeVar("T")
_AHEAD_OF_A_CARD = 3
"""Videos: a card may be done with a column or two before the next is decoded (docs/lab/scoring-profile.md)."""


def score(context: RunContext) -> None:
    """Score what the run folder's videos lack.

    Raises:
        TooManyFailures: more scores failed than the settings allow.
        BudgetSpent: paid calls ran out; all that needs none is done.
        OSError: a row cannot be written.
        KeyboardInterrupt: Ctrl-C.
    """
    counts = context.scored
    todo = pending_scores(context.folder, context.cases, context.columns, context.seeds, context.settings.refresh)
    counts.total = todo.kept + sum(len(job.columns) for job in todo.jobs)
    counts.kept, counts.kept_failed = todo.kept, todo.kept_failed
    for row in todo.restored:
        context.writer.append(row)
    if todo.jobs:
        _score(context, todo.jobs)
        attempts.free_memory()
    context.settings.max_failures.check(counts, "score")


def _score(context: RunContext, jobs: Sequence[ScoreJob]) -> None:
    device = torch_device(context.settings.device)
    columns = {column.label: column for job in jobs for column in job.columns}
    scorers = {label: Scorer.set_up(column, device) for label, column in columns.items()}
    sink = ResultSink(lambda row: context.record(row, (row.failure,) if row.failure else ()))
    waiting = {label: PendingCalls(scorer.concurrency) for label, scorer in scorers.items() if scorer.waits}
    gathered = {
        label: Gathering(scorer, scorer.metric.at_once)
        for label, scorer in scorers.items()
        if isinstance(scorer.metric, BatchMetric)
    }

    def load(job: ScoreJob) -> Clip | Failure:
        clip = load_video(job)
        return clip if isinstance(clip, Failure) else page_locked(clip, device)

    def work(job: ScoreJob, clip: Clip | Failure) -> list[ScoreRow]:
        view = ClipView(clip, job.case, device, context.settings.memory) if isinstance(clip, Clip) else clip
        rows = []
        for label in (column.label for column in job.columns):
            scorer = scorers[label]
            answer = sink.within_budget(partial(scorer.begin, job, view))
            if answer is not None and scorer.waits:
                waiting[label].submit(partial(sink.take_answer, partial(scorer.row, job, answer)))
            elif answer is not None and label in gathered:
                rows += gathered[label].add(job, answer)
            elif answer is not None:
                rows.append(scorer.row(job, answer))
        for media in media_scored_against(job):
            media.release()
        return rows

    def finish(job: ScoreJob, rows: list[ScoreRow]) -> None:
        for row in rows:
            sink.take(row)

    def wait() -> None:
        for videos in gathered.values():
            for row in videos.finish():
                sink.take(row)
        for answers in waiting.values():
            answers.join()

    counts = context.scored
    try:
        steps = counts.total - counts.kept
        context.work_through(jobs, load, work, finish, "score", steps, wait, videos_ahead(device))
    finally:
        sink.close()
    if sink.spent:
        left = counts.total - counts.kept - counts.done
        raise BudgetSpent(f"{sink.spent}: {counted(left, 'score')} left to do; everything answered is kept.")


def score_computed(
    job: ScoreJob, clip: Clip | Failure, scorers: Mapping[str, Scorer], device: Any, memory: int | None
) -> list[ScoreRow]:
    """Score a video by metrics that compute.

    Args:
        job: the video.
        clip: what :func:`load_video` made of it.
        scorers: label of a column -> its metric, set up.
        device: where they compute.
        memory: bytes a metric may work in; None for a quarter of what is free.
    """
    view = ClipView(clip, job.case, device, memory) if isinstance(clip, Clip) else clip
    chosen = [scorers[column.label] for column in job.columns]
    rows = [scorer.row(job, scorer.begin(job, view)) for scorer in chosen]
    for media in media_scored_against(job):
        media.release()
    return rows


def by_place(columns: Sequence[MetricSpec]) -> tuple[list[MetricSpec], list[MetricSpec]]:
    """Columns that wait for somebody else's answers, and those that compute."""
    waiting = [column for column in columns if isinstance(column.metric, PaidMetric)]
    return waiting, [column for column in columns if column not in waiting]


def score_waiting(context: RunContext, columns: Sequence[MetricSpec]) -> None:
    """Score, after the columns that compute elsewhere, those that wait: one process has one budget for all calls.

    Raises:
        TooManyFailures: more scores failed than the settings allow, those of the other columns included.
        Exception: as :func:`score`.
    """
    context.settings.max_failures.check(context.scored, "score")
    if not columns:
        return
    own = Counts()
    local = replace(context.settings, device="cpu")
    try:
        score(replace(context, columns=columns, settings=local, scored=own, stop=StopFlag()))
    finally:
        for item in fields(Counts):
            setattr(context.scored, item.name, getattr(context.scored, item.name) + getattr(own, item.name))


class ResultSink:
    """Where finished rows go, one at a time: from the thread that finishes, and from those that wait for answers."""

    def __init__(self, record: Callable[[ScoreRow], None]) -> None:
        self._record = record
        self._lock = Lock()
        self._open = True
        self.spent = ""
        """What the budget said when it refused a call; empty if it never did."""

    def take(self, row: ScoreRow) -> None:
        """Record a row; after :meth:`close` do nothing, for then another process may own the folder."""
        with self._lock:
            if self._open:
                self._record(row)

    def take_answer(self, row: Callable[[], ScoreRow]) -> None:
        """Wait for a row and record it, unless the budget ends before there is an answer."""
        if (answered := self.within_budget(row)) is not None:
            self.take(answered)

    def within_budget(self, action: Callable[[], T]) -> T | None:
        """Do what may cost a paid call; None where none is left. That is no row: the next run asks again."""
        try:
            return action()
        except BudgetSpent as error:
            self.spent = str(error)
            return None

    def close(self) -> None:
        """Take no more."""
        with self._lock:
            self._open = False


def load_video(job: ScoreJob) -> Clip | Failure:
    """Decode the job's video, and what its metrics look at besides; a video that cannot be read fails its scores."""
    for media in media_scored_against(job):
        media.prefetch()
    try:
        return read_video(job.video)
    except Exception as error:
        return attempts.failure_of(error)


def videos_ahead(device: Any) -> int:
    """Videos to decode while one is scored: a card may be done with it before the next one and its reference are."""
    return _AHEAD_OF_A_CARD if device.type == "cuda" else 1


def page_locked(clip: Clip, device: Any) -> Clip:
    """The clip in memory that a card reads by itself, while metrics go on; any other device takes it as it is."""
    if device.type != "cuda":
        return clip
    import torch

    try:
        return replace(clip, frames=torch.from_numpy(clip.frames).pin_memory().numpy())
    except RuntimeError:
        # No more memory may be locked here: the copy waits, as it does from any other memory.
        return clip


def media_scored_against(job: ScoreJob) -> list[Media]:
    """Videos of the case that the job's metrics look at besides the output."""
    needs = frozenset[str]().union(*(column.metric.needs for column in job.columns))
    media = [job.case.reference.video] if "reference" in needs else []
    if "target" in needs and job.case.target:
        media.append(job.case.target)
    return media
