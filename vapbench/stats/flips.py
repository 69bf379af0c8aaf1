r"""Sign-flip tests of many mean differences at once, and the intervals that agree with them.

If two methods are equally good, the difference of their scores in a condition is as likely to have the other sign.
One pattern of signs flips the conditions of every difference together, so what the differences have in common (a method
that is in many pairs, columns that measure alike) is kept, and the level of a whole family is exact however few the
conditions. The one engine of ranks, of ``compare`` and of marks.

Westfall and Young, "Resampling-Based Multiple Testing" (1993), algorithm 2.8 (step-down max-t); Hartigan, "Using
Subsample Values as Typical Values", JASA 64 (1969) (the interval); Phipson and Smyth, "Permutation P-values Should
Never Be Zero" (2010) (drawn patterns).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import FloatArray

EXACT_CLUSTERS = 16
"""Up to so many clusters all sign patterns are tried; a pattern and its opposite are one."""
PATTERNS = 10_000
_FEWEST_PATTERNS = 2_000
_CELLS = 10_000_000
"""Patterns times differences that are held at once."""


_Reals = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FlipTests:
    """Tests of ``K`` mean differences of 0."""

    p: FloatArray
    """``(K,)`` two-sided p-values, each difference by itself."""
    adjusted: FloatArray
    """``(K,)``: those below alpha are all true differences with probability 1 - alpha (step-down max-t)."""
    exact: bool
    """Whether all sign patterns were tried."""


def flip_tests(sums: FloatArray, seed: int = 0) -> FlipTests:
    r"""Test ``K`` differences together.

    With :math:`d_{ck}` the sum of difference :math:`k` over the cases of cluster :math:`c`, the statistic is
    :math:`|\sum_c d_{ck}| / \sqrt{\sum_c d_{ck}^2}`, of which Student's t is a monotone function. Adjusted p-values
    compare the j-th largest statistic with the largest of it and the smaller ones under the same signs.

    Args:
        sums: ``(C, K)`` sums by cluster; a difference without cases in a cluster has 0 there.
        seed: of drawn patterns.
    """
    norm = np.sqrt((sums**2).sum(axis=0))
    differs = norm > 1e-12 * max(float(norm.max(initial=0)), 1e-300)
    p, adjusted = np.ones(len(norm)), np.ones(len(norm))
    if not differs.any():
        return FlipTests(p, adjusted, True)
    scaled = sums[:, differs] / norm[differs]
    signs, exact = _patterns(len(scaled), scaled.shape[1], seed)
    kind = _kind(len(signs), scaled.shape[1])
    flipped = np.abs(signs.astype(kind) @ scaled.astype(kind))
    observed = np.abs(scaled.sum(axis=0)) - _rounding(kind, len(scaled))
    one = 0 if exact else 1
    own = (one + (flipped >= observed).sum(axis=0)) / (one + len(signs))
    order = np.argsort(observed, kind="stable")
    largest = np.maximum.accumulate(flipped[:, order], axis=1)
    joint = (one + (largest >= observed[order]).sum(axis=0)) / (one + len(signs))
    stepped = np.empty(len(order))
    stepped[order] = np.maximum.accumulate(joint[::-1])[::-1]
    p[differs], adjusted[differs] = own, stepped
    return FlipTests(p, adjusted, exact)


@dataclass(frozen=True, eq=False)
class FlipRanks:
    """Which ranks each of ``M`` methods may have, all at once; 1 is best."""

    best: tuple[int, ...]
    worst: tuple[int, ...]


def flip_ranks(sums: FloatArray, alpha: float = 0.05, seed: int = 0) -> FlipRanks:
    """Rank methods by their scores on the same cases: a method is below those that are certainly better.

    Args:
        sums: ``(C, M)`` sums of scores by cluster, higher is better.
        alpha: probability that any two equal methods are told apart.
        seed: of drawn patterns.
    """
    n = sums.shape[1]
    # What a cluster adds to every method is in no difference, and would only cost digits.
    rest = sums - sums.mean(axis=1, keepdims=True)
    first, second = np.triu_indices(n, 1)
    gaps = rest[:, first] - rest[:, second]
    norm = np.sqrt((gaps**2).sum(axis=0))
    scale = np.divide(1, norm, out=np.zeros_like(norm), where=norm > 1e-12 * max(float(norm.max()), 1e-300))
    signs, exact = _patterns(len(sums), len(first), seed)
    kind = _kind(len(signs), len(first))
    flipped = np.ascontiguousarray((signs.astype(kind) @ rest.astype(kind)).T)
    inverse = np.zeros((n, n))
    inverse[first, second] = scale
    gap = gaps.sum(axis=0)
    observed = np.abs(gap) * scale - _rounding(kind, len(sums))
    certain = np.zeros(len(first), dtype=bool)
    # As many of the largest flipped statistics may reach an observed one that is certain.
    allowed = math.ceil(alpha * (len(signs) + (not exact)) - 1e-9) - 1 - (not exact)
    while allowed >= 0:
        critical = np.sort(_largest(flipped, inverse.astype(kind)))[-1 - allowed]
        more = (observed > critical) & ~certain
        if not more.any():
            break
        certain |= more
        inverse[first[more], second[more]] = 0
    better = np.zeros((n, n), dtype=bool)
    better[first, second], better[second, first] = certain & (gap > 0), certain & (gap < 0)
    best, worst = 1 + better.sum(axis=0), n - better.sum(axis=1)
    return FlipRanks(tuple(map(int, best)), tuple(map(int, worst)))


def _largest(flipped: _Reals, inverse: _Reals) -> _Reals:
    """Per pattern the largest statistic of the pairs whose ``inverse`` norm is not 0.

    One method against the rest at a time: a hundred methods make thousands of pairs, which would not fit a cache.
    """
    largest = np.zeros(flipped.shape[1], dtype=flipped.dtype)
    room = np.empty_like(flipped)
    for a, norms in enumerate(inverse):
        others = np.flatnonzero(norms)
        if len(others):
            ratios = np.subtract(flipped[others], flipped[a], out=room[: len(others)])
            np.abs(ratios, out=ratios)
            ratios *= norms[others, None]
            np.maximum(largest, ratios.max(axis=0), out=largest)
    return largest


def _kind(patterns: int, tests: int) -> npt.DTypeLike:
    """A hundred methods make thousands of pairs: single precision holds them, and drawn patterns need no more."""
    return np.float32 if patterns * tests > _CELLS / 2 else np.float64


def _rounding(kind: npt.DTypeLike, clusters: int) -> float:
    """What is equal but for rounding must count as equal."""
    return (1e-9 if kind is np.float64 else 1e-5) * math.sqrt(clusters)


def flip_interval(
    sums: FloatArray, sizes: FloatArray, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float] | None:
    r"""The mean differences that :func:`flip_tests` does not reject: an interval that never contradicts its p-value.

    A pattern splits the clusters into two groups; :math:`\theta` is as far out under it as under no flip exactly where
    it lies between the means of the two groups. So the ends are order statistics of the groups' means.

    Args:
        sums: ``(C,)`` sums of the difference by cluster.
        sizes: ``(C,)`` numbers of cases, none 0.
        confidence: of the interval.
        seed: of drawn patterns.

    Returns:
        Lower and upper end; None with so few clusters that no difference can be significant.
    """
    signs, exact = _patterns(len(sums), 1, seed)
    apart = signs[np.abs(signs.sum(axis=1)) < len(sums)] < 0
    # Of all patterns, those that leave the clusters together are as far out whatever theta is.
    same = len(signs) - len(apart) + (0 if exact else 1)
    # theta stays while at least alpha of the patterns are as far out: this many groupings must reach it.
    needed = math.ceil((1 - confidence) * (len(apart) + same) - 1e-9) - same
    if needed < 1 or not len(apart):
        return None
    one, other = ((side @ sums) / (side @ sizes) for side in (apart.astype(np.float64), (~apart).astype(np.float64)))
    low = np.partition(np.minimum(one, other), needed - 1)[needed - 1]
    high = -np.partition(-np.maximum(one, other), needed - 1)[needed - 1]
    # A group whose differences cancel has a mean of 0, whatever rounding leaves of it.
    rounding = 1e-12 * float(np.abs(sums / sizes).max())
    return (0.0 if abs(low) < rounding else float(low)), (0.0 if abs(high) < rounding else float(high))


def least_p(clusters: int) -> float:
    """The smallest p-value that so many clusters allow, however many differences are tested together."""
    return 2.0 ** (1 - clusters) if clusters <= EXACT_CLUSTERS else 1 / (1 + PATTERNS)


def _patterns(clusters: int, tests: int, seed: int) -> tuple[FloatArray, bool]:
    """``(P, clusters)`` signs, and whether they are all there are; the first sign stays, its opposite says the same."""
    exact = clusters <= EXACT_CLUSTERS and 2 ** (clusters - 1) * tests <= _CELLS
    if exact:
        minus = (np.arange(2 ** (clusters - 1))[:, None] >> np.arange(clusters)) & 1
    else:
        count = max(_FEWEST_PATTERNS, min(PATTERNS, _CELLS // tests))
        minus = np.random.default_rng(seed).integers(0, 2, (count, clusters), dtype=np.int64)
    return 1.0 - 2.0 * minus.astype(np.float64), exact
