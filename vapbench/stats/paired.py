"""Whether one method's scores are higher than another's: paired by case, clustered by condition.

Two methods that made clips of the same cases are compared case by case: what a case contributes to both cancels. Cases
of one condition succeed and fail together, so conditions are resampled, and signs flipped, as wholes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import FloatArray, codes

EXACT_CLUSTERS = 16
"""Up to so many conditions that differ, all 2^16 sign patterns are tried."""


@dataclass(frozen=True)
class PairedDifference:
    """Scores of a minus scores of b."""

    mean: float
    low: float | None
    """Lower end of the bootstrap interval; None with fewer than five conditions."""
    high: float | None
    p: float
    """Two-sided p-value of the sign-flip test."""
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

    @property
    def ties(self) -> int:
        """Cases with equal scores."""
        return self.n - self.wins - self.losses


def paired_difference(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    cluster: npt.ArrayLike,
    confidence: float = 0.95,
    replicates: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """Compare two methods on the cases both have.

    Args:
        a: ``(n,)`` finite scores, one per case (average seeds first).
        b: ``(n,)`` scores of the other method on the same cases.
        cluster: ``(n,)`` condition of each case.
        confidence: of the interval.
        replicates: bootstrap replicates, and sign patterns where there are too many to try all.
        seed: of both.

    Returns:
        The difference with a bias-corrected and accelerated bootstrap interval (BCa; Efron 1987) over conditions.

    Raises:
        ValueError: no cases, lengths that differ, or scores that are not finite.
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    if difference.ndim != 1 or not len(difference):
        raise ValueError("a comparison needs at least one case that both methods have")
    if not np.isfinite(difference).all():
        raise ValueError("scores must be finite; leave out cases without a score")
    clusters, count = codes(cluster)
    if len(clusters) != len(difference):
        raise ValueError(f"{len(difference)} cases but {len(clusters)} conditions")
    low, high = bootstrap_mean(difference, clusters, confidence, replicates, seed)
    p, exact = sign_flip(difference, clusters, replicates, seed)
    return PairedDifference(
        float(difference.mean()),
        low,
        high,
        p,
        exact,
        float(np.median(difference)),
        int((difference > 0).sum()),
        int((difference < 0).sum()),
        len(difference),
        count,
    )


def bootstrap_mean(
    values: FloatArray, cluster: npt.ArrayLike, confidence: float = 0.95, replicates: int = 10_000, seed: int = 0
) -> tuple[float, float] | tuple[None, None]:
    """BCa interval of the mean, clusters drawn with replacement, each with all its values.

    Returns:
        Lower and upper end; (None, None) with fewer than five clusters or no spread.
    """
    from scipy.special import ndtr, ndtri

    clusters, count = codes(cluster)
    sums = np.bincount(clusters, weights=values, minlength=count)
    sizes = np.bincount(clusters, minlength=count).astype(np.float64)
    mean = values.mean()
    if count < 5 or np.ptp(sums - mean * sizes) <= 1e-12 * max(1e-300, float(np.abs(values).max()) * sizes.max()):
        return None, None
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=replicates)
    means = np.sort((draws @ sums) / (draws @ sizes))
    below = (np.searchsorted(means, mean, "left") + np.searchsorted(means, mean, "right")) / 2 / replicates
    bias = float(ndtri(np.clip(below, 0.5 / replicates, 1 - 0.5 / replicates)))
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    pull = without.mean() - without
    acceleration = float((pull**3).sum() / (6 * ((pull**2).sum()) ** 1.5)) if (pull**2).sum() > 0 else 0.0
    tail = float(ndtri((1 - confidence) / 2))
    ends = []
    for z in (tail, -tail):
        level = ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))
        ends.append(float(np.quantile(means, float(level))))
    return ends[0], ends[1]


def sign_flip(
    difference: npt.ArrayLike, cluster: npt.ArrayLike, patterns: int = 10_000, seed: int = 0
) -> tuple[float, bool]:
    r"""Two-sided sign-flip test of a mean difference of 0, signs flipped per cluster.

    If neither method is better, each cluster's difference is as likely to have the other sign. The p-value is the share
    of sign patterns whose mean is at least as far from 0. All :math:`2^C` patterns are tried for up to 16 clusters that
    differ; otherwise patterns are drawn, and :math:`p = (1 + \#) / (1 + B)`, never 0 (Phipson and Smyth, 2010).

    Returns:
        The p-value, and whether it is exact. Without any difference it is (1.0, True).
    """
    clusters, count = codes(cluster)
    sums = np.bincount(clusters, weights=np.asarray(difference, dtype=np.float64), minlength=count)
    sums = sums[np.abs(sums) > 1e-12 * max(float(np.abs(sums).max(initial=0)), 1e-300)]
    if not len(sums):
        return 1.0, True
    # What is equal but for rounding must count as equal.
    reached = abs(sums.sum()) - 1e-9 * np.abs(sums).sum()
    if len(sums) <= EXACT_CLUSTERS:
        # A pattern and its opposite are equally far out, so the first sign can stay.
        signs = 1 - 2 * ((np.arange(2 ** (len(sums) - 1))[:, None] >> np.arange(len(sums))) & 1)
        return float((np.abs(signs @ sums) >= reached).mean()), True
    signs = 1 - 2 * np.random.default_rng(seed).integers(0, 2, (patterns, len(sums)), dtype=np.int8)
    return (1 + int((np.abs(signs @ sums) >= reached).sum())) / (1 + patterns), False


@dataclass(frozen=True)
class McNemar:
    """Cases in which only one of two methods has it."""

    only_a: int
    only_b: int
    p: float
    """Exact two-sided p-value."""


def mcnemar(a: npt.ArrayLike, b: npt.ArrayLike) -> McNemar:
    """Exact McNemar test of paired yes-or-no scores: a binomial test on the cases that differ (McNemar, 1947).

    Args:
        a: ``(n,)`` booleans.
        b: ``(n,)`` booleans of the same cases.

    Raises:
        ValueError: lengths that differ, or values other than 0 and 1.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"shapes differ: {x.shape} and {y.shape}")
    if not np.isin(np.concatenate([x, y]), (0, 1)).all():
        raise ValueError("McNemar's test needs yes-or-no scores")
    only_a, only_b = int((x > y).sum()), int((y > x).sum())
    return McNemar(only_a, only_b, fair_coin_p(only_a, only_a + only_b))


def fair_coin_p(heads: int, tosses: int) -> float:
    """Exact two-sided p-value of so many heads: a fair coin is symmetric, so twice the smaller tail; 1 untossed."""
    ways = tail = 1
    for k in range(min(heads, tosses - heads)):
        ways = ways * (tosses - k) // (k + 1)
        tail += ways
    return min(1.0, float(2 * tail / 2**tosses))
