"""Whether one method's scores are higher than another's: paired by case, clustered by condition.

Two methods that made clips of the same cases are compared case by case: what a case contributes to both cancels. Cases
of one condition succeed and fail together, so the signs of conditions are flipped as wholes; see
:mod:`vapbench.stats.flips`. Of yes-or-no scores that is McNemar's test for clustered cases (Durkalski and others,
2003), and the exact McNemar test (1947) for one case per condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import FloatArray, IntArray, codes, group_sums
from vapbench.stats.flips import flip_interval, flip_tests


class Pairs(NamedTuple):
    """Scores of two methods on the ``n`` cases both have; average seeds first."""

    a: npt.ArrayLike
    """``(n,)`` finite."""
    b: npt.ArrayLike
    cluster: npt.ArrayLike
    """``(n,)`` condition of each case."""


@dataclass(frozen=True)
class PairedDifference:
    """Scores of a minus scores of b."""

    mean: float
    low: float | None
    """Lower end of the differences that the test does not reject; None if there is no interval."""
    high: float | None
    p: float
    """Two-sided p-value of the sign-flip test, by itself."""
    adjusted: float
    """The same, adjusted for all differences that were tested together."""
    exact: bool
    """Whether all sign patterns were tried."""
    median: float
    """Median difference over cases: the size of the effect on a typical case."""
    wins: int
    """Cases in which a is higher."""
    losses: int
    n: int
    """Cases."""
    clusters: int
    """Conditions."""
    reason: str = ""
    """Why there is no interval."""

    @property
    def ties(self) -> int:
        """Cases with equal scores."""
        return self.n - self.wins - self.losses


def paired_differences(
    family: Sequence[Pairs], confidence: float = 0.95, seed: int = 0, unit: str = "conditions"
) -> list[PairedDifference]:
    """Compare scores of one or more columns or methods, with p-values adjusted for all of them together.

    Args:
        family: what is compared; a condition's sign is flipped in all of them together.
        confidence: of the intervals, each by itself: an interval excludes 0 exactly where its ``p`` is below one minus
            the confidence.
        seed: of sign patterns, where there are too many to try all.
        unit: what the clusters are called, for reasons.

    Raises:
        ValueError: no cases, lengths that differ, or scores that are not finite.
    """
    if not family:
        return []
    differences = [_difference(pairs) for pairs in family]
    clusters, count = codes(np.concatenate([np.asarray(pairs.cluster) for pairs in family]))
    numbers = np.split(clusters, np.cumsum([len(difference) for difference in differences])[:-1])
    both = list(zip(differences, numbers, strict=True))
    tests = flip_tests(np.hstack([group_sums(d[:, None], c, count) for d, c in both]), seed)
    found = []
    for k, (difference, number) in enumerate(both):
        low, high, reason = _interval(difference, number, confidence, seed, unit)
        found.append(
            PairedDifference(
                float(difference.mean()),
                low,
                high,
                float(tests.p[k]),
                float(tests.adjusted[k]),
                tests.exact,
                float(np.median(difference)),
                int((difference > 0).sum()),
                int((difference < 0).sum()),
                len(difference),
                len(np.unique(number)),
                reason,
            )
        )
    return found


def _difference(pairs: Pairs) -> FloatArray:
    difference = np.asarray(pairs.a, dtype=np.float64) - np.asarray(pairs.b, dtype=np.float64)
    if difference.ndim != 1 or not len(difference):
        raise ValueError("a comparison needs at least one case that both methods have")
    if not np.isfinite(difference).all():
        raise ValueError("scores must be finite; leave out cases without a score")
    if len(np.asarray(pairs.cluster)) != len(difference):
        raise ValueError("cases and conditions differ in number")
    return difference


def _interval(
    difference: FloatArray, number: IntArray, confidence: float, seed: int, unit: str
) -> tuple[float | None, float | None, str]:
    """Ends, or why there are none."""
    own, count = codes(number)
    sums, sizes = group_sums(np.stack([difference, np.ones_like(difference)], axis=1), own, count).T
    if np.ptp(sums / sizes) <= 1e-12 * max(float(np.abs(difference).max()), 1e-300):
        return None, None, f"the difference is the same in all {unit}"
    ends = flip_interval(sums, sizes, confidence, seed)
    few = f"{count} {unit} are too few" if count > 1 else f"1 {unit.removesuffix('s')} is too few"
    return (*ends, "") if ends else (None, None, few)


def fair_coin_p(heads: int, tosses: int) -> float:
    """Exact two-sided p-value of so many heads: a fair coin is symmetric, so twice the smaller tail; 1 untossed."""
    ways = tail = 1
    for k in range(min(heads, tosses - heads)):
        ways = ways * (tosses - k) // (k + 1)
        tail += ways
    return min(1.0, float(2 * tail / 2**tosses))
