"""A metric at work: what it says of one video, as a row."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import chdir
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vapbench.errors import BudgetSpent, NotApplicable
from vapbench.files.provenance import now
from vapbench.metrics.base import BatchMetric, Metric, PaidMetric, Score
from vapbench.metrics.view import ClipView
from vapbench.results.rows import Failure, ScoreRow
from vapbench.running import attempt as attempts
from vapbench.running.pending import ScoreJob
from vapbench.running.plan import MetricSpec

Answer = Callable[[], Score | float] | Failure
"""What gives the score when it is called, or why nothing does."""


@dataclass(frozen=True)
class Taken:
    """What a metric took of a clip, to answer about it alone when it is called, or with others."""

    metric: BatchMetric
    value: Any

    def __call__(self) -> Score | float:
        """Answer about this clip alone."""
        return self.metric.score_many([self.value])[0]


@dataclass(frozen=True)
class Scorer:
    """A metric that was set up, or the reason why it could not be."""

    column: MetricSpec
    metric: Metric
    unusable: str = ""
    failure: Failure | None = None
    device: Any = None

    @classmethod
    def set_up(cls, column: MetricSpec, device: Any) -> Scorer:
        """Load what the metric needs, into a copy of it that goes when the scorer does."""
        metric = copy(column.metric)
        try:
            with chdir("."):
                metric.setup(device)
        except NotApplicable as error:
            return cls(column, metric, unusable=str(error), device=device)
        except attempts.RAISED as error:
            return cls(column, metric, failure=attempts.failure_of(error), device=device)
        return cls(column, metric, device=device)

    @property
    def waits(self) -> bool:
        """Whether the answers come from elsewhere, so that several may be waited for at once."""
        return isinstance(self.metric, PaidMetric)

    @property
    def concurrency(self) -> int:
        """Answers to wait for at once, at most."""
        return self.metric.concurrency if isinstance(self.metric, PaidMetric) else 1

    def begin(self, job: ScoreJob, view: ClipView | Failure) -> Answer:
        """Do what must be done before :meth:`row`; one that waits, or asks about several clips, takes what it needs.

        Raises:
            BudgetSpent: the answer would cost a call that is not allowed.
        """
        if isinstance(view, Failure):
            return view
        if self.failure:
            return self.failure
        if self.unusable:
            return partial(Score, None, note=self.unusable)
        try:
            if isinstance(self.metric, PaidMetric):
                return view.watched(self.metric.name, partial(self.metric.begin, view, job.case))
            if isinstance(self.metric, BatchMetric):
                taken = view.watched(self.metric.name, partial(self.metric.take, view, job.case))
                return Taken(self.metric, taken)
            return partial(view.watched, self.metric.name, partial(self.metric.score, view, job.case))
        except NotApplicable as error:
            return partial(Score, None, note=str(error))
        except BudgetSpent:
            raise
        except attempts.RAISED as error:
            return attempts.failure_of(error)

    def row(self, job: ScoreJob, answer: Answer) -> ScoreRow:
        """Score one video.

        Raises:
            BudgetSpent: the answer needs another call, which is not allowed.
        """
        attempts.reset_peak(self.device)
        began = time.perf_counter()
        said = answer if isinstance(answer, Failure) else self._said(answer)
        return self._row(job, said, time.perf_counter() - began)

    def rows(self, jobs: Sequence[ScoreJob], taken: Sequence[Taken]) -> list[ScoreRow]:
        """Score several videos together; each is said to take its share of the time."""
        attempts.reset_peak(self.device)
        began = time.perf_counter()
        answers = self._together(taken)
        seconds = (time.perf_counter() - began) / len(jobs)
        return [self._row(job, said, seconds) for job, said in zip(jobs, answers, strict=True)]

    def _said(self, answer: Callable[[], Score | float]) -> Score | Failure:
        """An answer, or why there is none.

        Raises:
            BudgetSpent: it needs another call, which is not allowed.
        """
        try:
            return attempts.checked(self.metric.name, answer())
        except NotApplicable as error:
            return Score(None, note=str(error))
        except BudgetSpent:
            raise
        except attempts.RAISED as error:
            return attempts.failure_of(error)

    def _together(self, taken: Sequence[Taken]) -> list[Score | Failure]:
        """Answers about several clips; where one makes the others fail, about each half."""
        if len(taken) == 1:
            return [self._said(taken[0])]
        metric = taken[0].metric
        try:
            answers = metric.score_many([one.value for one in taken])
            return [attempts.checked(metric.name, answer) for _, answer in zip(taken, answers, strict=True)]
        except attempts.RAISED:
            pass  # Whichever is to blame raises again; out here, what the frames of the exception held is free.
        half = len(taken) // 2
        return [*self._together(taken[:half]), *self._together(taken[half:])]

    def _row(self, job: ScoreJob, said: Score | Failure, seconds: float) -> ScoreRow:
        failure = said if isinstance(said, Failure) else None
        score = Score(None) if isinstance(said, Failure) else said
        sha256 = job.row.sha256 or ""
        return ScoreRow(
            key=self.column.key(job.case, job.row.seed, sha256),
            metric=self.metric.name,
            version=self.metric.version,
            params=dict(self.column.params),
            case=job.row.case,
            condition=job.row.condition,
            category=job.row.category,
            seed=job.row.seed,
            video_sha256=sha256,
            case_sha256=self.column.case_sha256(job.case),
            status="failed" if failure else "unscored" if score.value is None else "ok",
            value=score.value,
            parts=dict(score.parts),
            note=score.note,
            kind=score.kind,
            seconds=round(seconds, 4),
            failure=failure,
            weights=self.column.weights_sha256,
            peak_mb=attempts.peak_mb(self.device),
            ended=now("milliseconds"),
        )


@dataclass(frozen=True)
class Gathering:
    """Videos that a metric is asked about together."""

    scorer: Scorer
    at_once: int
    _jobs: list[ScoreJob] = field(default_factory=list)
    _taken: list[Taken] = field(default_factory=list)

    def add(self, job: ScoreJob, answer: Answer) -> list[ScoreRow]:
        """Rows, once there are enough videos; where nothing was taken, the row at once."""
        if not isinstance(answer, Taken):
            return [self.scorer.row(job, answer)]
        self._jobs.append(job)
        self._taken.append(answer)
        return self.finish() if len(self._jobs) >= self.at_once else []

    def finish(self) -> list[ScoreRow]:
        """Rows of the videos there are."""
        rows = self.scorer.rows(self._jobs, self._taken) if self._jobs else []
        self._jobs.clear()
        self._taken.clear()
        return rows
