"""A metric at work: what it says of one video, as a row."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import chdir
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

from vapbench.errors import BudgetSpent, NotApplicable
from vapbench.files.provenance import now
from vapbench.metrics.base import Metric, PaidMetric, Score
from vapbench.metrics.view import ClipView
from vapbench.results.rows import Failure, ScoreRow
from vapbench.running import attempt as attempts
from vapbench.running.pending import ScoreJob
from vapbench.running.plan import MetricSpec

Answer = Callable[[], Score | float] | Failure
"""What gives the score when it is called, or why nothing does."""


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
        """For how many."""
        return self.metric.concurrency if isinstance(self.metric, PaidMetric) else 1

    def begin(self, job: ScoreJob, view: ClipView | Failure) -> Answer:
        """Do what must be done before :meth:`row`; a metric that waits takes what it needs of the clip.

        Raises:
            BudgetSpent: the answer would cost a call that is not allowed.
        """
        if isinstance(view, Failure):
            return view
        if self.failure:
            return self.failure
        if self.unusable:
            return partial(Score, None, note=self.unusable)
        if not isinstance(self.metric, PaidMetric):
            return partial(self.metric.score, view, job.case)
        try:
            return self.metric.begin(view, job.case)
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
        score, failure = Score(None), None
        try:
            if isinstance(answer, Failure):
                failure = answer
            else:
                score = attempts.checked(self.metric.name, answer())
        except NotApplicable as error:
            score = Score(None, note=str(error))
        except BudgetSpent:
            raise
        except attempts.RAISED as error:
            failure = attempts.failure_of(error)
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
            seconds=round(time.perf_counter() - began, 4),
            failure=failure,
            weights=self.column.weights_sha256,
            peak_mb=attempts.peak_mb(self.device),
            ended=now("milliseconds"),
        )
