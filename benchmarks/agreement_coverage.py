"""How often the intervals of a metric's agreement with people hold the truth: `report --votes`.

Methods are fixed; conditions, their cases and raters are drawn. Each rater votes once on each of his cases, between two
methods. ``benchmarks/coverage.py`` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from vapbench.report.model import TableModel
from vapbench.report.read.columns import Column, Row
from vapbench.report.tables.agreement import HumanVote, MetricAgreement, metric_agreement
from vapbench.stats.arrays import FloatArray

SEED = 2_051_020_888
COLUMN = Column("a metric", 1, higher_is_better=True)


@dataclass(frozen=True)
class Judged:
    """What a metric gives methods, and what people do, on the scale of log-odds."""

    metric: tuple[float, ...]
    people: tuple[float, ...]

    @property
    def name(self) -> str:
        """How a table calls it."""
        return f"{len(self.metric)} methods, rank correlation {self.spearman:.1f}"

    @property
    def spearman(self) -> float:
        """Rank correlation over endless cases."""
        ranks = (np.argsort(np.argsort(values)) for values in (self.metric, self.people))
        return float(np.corrcoef(*ranks)[0, 1])

    def agreement(self, conditions: int, raters: int, each: int, rng: np.random.Generator) -> MetricAgreement:
        """What is printed of one study: two cases a condition, raters on ``each`` of them."""
        methods, cases = [f"m{m}" for m in range(len(self.metric))], 2 * conditions
        case = np.concatenate([rng.permutation(cases)[:each] for _ in range(raters)])
        scores = np.array(self.metric) + _by_case(conditions, len(methods), rng)
        liked = np.array(self.people) + _by_case(conditions, len(methods), rng)
        taste = rng.normal(0, 0.5, (raters, len(methods)))
        votes = [
            HumanVote(f"case {c}", f"rater {r}", "q", (methods[a], methods[b]), methods[a if won else b])
            for r, c, a, b, won in self._votes(case, np.repeat(np.arange(raters), each), liked, taste, rng)
        ]
        (found,) = metric_agreement(_table(methods, scores), votes)
        return found

    def _votes(
        self, case: FloatArray, rater: FloatArray, liked: FloatArray, taste: FloatArray, rng: np.random.Generator
    ) -> list[tuple[int, int, int, int, bool]]:
        first = rng.integers(0, len(self.metric), len(case))
        other = (first + rng.integers(1, len(self.metric), len(case))) % len(self.metric)
        gap = liked[case, first] + taste[rater, first] - liked[case, other] - taste[rater, other]
        won = gap + rng.logistic(0, 1, len(case)) > 0
        return list(zip(*(each.tolist() for each in (rater, case, first, other, won)), strict=True))


JUDGED = (
    Judged((0.9, 0.4, 0.0, -0.7), (1.1, 0.3, 0.0, -0.6)),
    Judged((0.4, 0.9, 0.0, -0.7), (1.1, 0.3, 0.0, -0.6)),
    Judged((0.6, 0.9, 0.0, 0.3, -0.4, -0.7), (1.1, 0.6, 0.3, 0.0, -0.3, -0.6)),
)


def _by_case(conditions: int, methods: int, rng: np.random.Generator) -> FloatArray:
    """``(cases, methods)``: what conditions and cases add."""
    return np.asarray(np.repeat(rng.normal(0, 0.5, (conditions, methods)), 2, axis=0)) + rng.normal(
        0, 0.5, (2 * conditions, methods)
    )


def _table(methods: list[str], scores: FloatArray) -> TableModel:
    by_case = tuple(({f"case {c}": float(value) for c, value in enumerate(column)},) for column in scores.T)
    conditions = {f"case {c}": f"condition {c // 2}" for c in range(len(scores))}
    rows = tuple(Row(method, method) for method in methods)
    return TableModel("t", "s", None, (COLUMN,), rows, (), (), scores=by_case, conditions=conditions)


@cache
def truths(judged: Judged, votes_per_case: float) -> tuple[float, float]:
    """Accuracy and correlation within a case, with endless conditions and raters and as many votes on each case."""
    conditions = 2_000
    raters = round(2 * conditions * votes_per_case / 40)
    found = judged.agreement(conditions, raters, 40, np.random.default_rng(SEED))
    assert found.per_case is not None
    return found.accuracy.estimate, found.per_case.mean


def agreement_coverage(judged: Judged, conditions: int, raters: int, each: int, trials: int) -> dict[str, float]:
    """Estimate -> how often its interval holds the truth."""
    rng = np.random.default_rng([SEED, conditions, raters, len(judged.metric)])
    accuracy, within = truths(judged, raters * each / (2 * conditions))
    held: dict[str, list[bool]] = {}
    for _ in range(trials):
        found = judged.agreement(conditions, raters, each, rng)
        intervals = {
            "accuracy": (found.accuracy.low, found.accuracy.high, accuracy),
            "rank correlation": (*(found.spearman_ends or (None, None)), judged.spearman),
            "mean correlation within a case": (
                (found.per_case.low, found.per_case.high, within) if found.per_case else (None, None, within)
            ),
        }
        for name, (low, high, truth) in intervals.items():
            held.setdefault(name, []).append(low is not None and high is not None and low <= truth <= high)
    return {name: float(np.mean(hits)) for name, hits in held.items()}
