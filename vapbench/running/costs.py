"""What scoring will cost somebody, before it does, and a limit to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vapbench.core.case import Case
from vapbench.metrics.base import Budget, Cost, PaidMetric
from vapbench.results.run import RunFolder
from vapbench.running.pending import Refresh, pending, pending_scores
from vapbench.running.plan import Column, RunPlan


@dataclass(frozen=True)
class Estimate:
    """What one column of one run costs."""

    run: str
    column: str
    scores: int
    """Scores that are asked for."""
    cost: Cost


def limit_calls(columns: Sequence[Column], limit: int | None) -> None:
    """Let all columns together make at most ``limit`` paid calls."""
    budget = Budget(limit)
    for column in columns:
        if isinstance(column.metric, PaidMetric):
            column.metric.budget = budget


def estimate_plan(plan: RunPlan, columns: Sequence[Column], refresh: Refresh) -> list[Estimate]:
    """What the paid columns of a run cost: for videos that lack a score, and for those that will be made."""
    to_make = {(job.case.id, job.seed) for job in pending(plan, refresh).jobs}
    return estimate_folder(plan.folder, plan.cases, columns, refresh, to_make)


def estimate_folder(
    folder: RunFolder,
    cases: Mapping[str, Case],
    columns: Sequence[Column],
    refresh: Refresh,
    to_make: Collection[tuple[str, int]] = (),
) -> list[Estimate]:
    """What the paid columns of a run folder cost: for its videos that lack a score, and for those still to be made."""
    paid = [(column, column.metric) for column in columns if isinstance(column.metric, PaidMetric)]
    jobs = pending_scores(folder, cases, [column for column, _ in paid], None, refresh).jobs if paid else ()
    found = []
    for column, metric in paid:
        lacking = {(job.row.case, job.row.seed) for job in jobs if column in job.columns} | set(to_make)
        costs = [metric.cost(cases[case]) for case, _ in lacking]
        found.append(Estimate(folder.path.name, column.label, len(lacking), sum(costs, Cost())))
    return found
