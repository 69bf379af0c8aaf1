"""What scoring will cost somebody, before it does, and a limit to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vapbench.core.case import Case
from vapbench.metrics.base import CallBudget, Cost, PaidMetric
from vapbench.results.run import RunFolder
from vapbench.running.pending import Refresh, ScoreJob, look_ahead, pending_scores
from vapbench.running.plan import MetricSpec, RunPlan


@dataclass(frozen=True)
class CostEstimate:
    """What one column of one run costs."""

    run: str
    column: str
    scores: int
    """Scores that are asked for."""
    cost: Cost


def limit_calls(columns: Sequence[MetricSpec], limit: int | None) -> None:
    """Let all columns together make at most ``limit`` paid calls."""
    budget = CallBudget(limit)
    for column in columns:
        if isinstance(column.metric, PaidMetric):
            column.metric.budget = budget


def estimate_plan(plan: RunPlan, columns: Sequence[MetricSpec], refresh: Refresh) -> list[CostEstimate]:
    """What the paid columns of a run cost: for videos that lack a score, and for those that will be made."""
    paid = _paid(columns)
    ahead = look_ahead(plan, paid, refresh)
    made = [(column, job.case) for job in ahead.made for column in paid]
    return _estimates(plan.folder, paid, [*made, *_lacking(ahead.scores)])


def estimate_folder(
    folder: RunFolder, cases: Mapping[str, Case], columns: Sequence[MetricSpec], refresh: Refresh
) -> list[CostEstimate]:
    """What the paid columns of a run folder cost: for its videos that lack a score."""
    paid = _paid(columns)
    jobs = pending_scores(folder, cases, paid, None, refresh).jobs if paid else ()
    return _estimates(folder, paid, _lacking(jobs))


def _paid(columns: Sequence[MetricSpec]) -> list[MetricSpec]:
    return [column for column in columns if isinstance(column.metric, PaidMetric)]


def _lacking(jobs: Sequence[ScoreJob]) -> list[tuple[MetricSpec, Case]]:
    return [(column, job.case) for job in jobs for column in job.columns]


def _estimates(
    folder: RunFolder, paid: Sequence[MetricSpec], asked: Sequence[tuple[MetricSpec, Case]]
) -> list[CostEstimate]:
    found = []
    for column in paid:
        if isinstance(metric := column.metric, PaidMetric):
            costs = [metric.cost(case) for each, case in asked if each == column]
            found.append(CostEstimate(folder.path.name, column.label, len(costs), sum(costs, Cost())))
    return found
