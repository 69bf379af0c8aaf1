"""Means and shares over cases, with intervals that hold for as few conditions as a task has.

Sums are exactly rounded (:func:`math.fsum`), so the order of the cases never changes a digit. What the intervals cover
is simulated by ``benchmarks/coverage.py`` and printed in docs/design/statistics.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from vapbench.stats.bootstrap import bootstrap_t

Case = TypeVar("Case", bound=Hashable)


@dataclass(frozen=True)
class Estimate:
    """A mean and how well it is known."""

    mean: float
    low: float | None
    """Lower end of the interval; None if there is none."""
    high: float | None
    n: int
    """Number of values."""
    clusters: int
    """Number of clusters."""
    standard_error: float | None
    """Cluster-robust; None where no spread can be seen."""
    reason: str = ""
    """Why there is no interval."""


FEWEST_CONDITIONS = 6
"""Below so many conditions no sign-flip test by condition can reach 5 %: 2 of its 2^5 patterns are .06."""

Bounds = tuple[float | None, float | None]
"""The least and the greatest a value can be; None: no bound."""


def fixed_conditions(conditions: Iterable[Hashable]) -> bool:
    """Whether to take the conditions as they are, and cases as drawn within them: "these", not "such as these".

    It is so for fewer than six conditions of two or more cases each. Cases are then clusters of their own; what
    conditions differ by counts as spread of cases, so the analysis is conservative. Which it is follows from the plan
    alone, never from the scores.

    Args:
        conditions: the condition of each planned case.
    """
    sizes = Counter(conditions)
    return 0 < len(sizes) < FEWEST_CONDITIONS and min(sizes.values()) > 1


def clustered_mean(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    confidence: float = 0.95,
    bounds: Bounds = (None, None),
) -> Estimate:
    r"""Mean of values that come in clusters, with an interval that does not pretend they are independent.

    Two cases of one condition succeed and fail together, so conditions, not cases, are what was sampled.

    The interval is Student's t with a cluster-robust standard error :math:`s` (:func:`_spread`), and with the quantiles
    of bootstrap-t where they reach further, as of skewed scores they do (:mod:`vapbench.stats.bootstrap`). For values
    with two bounds :math:`s` is taken to grow with the distance of the true mean from them, as that of a share does
    (:func:`score_ends`): the interval stays inside, and is no wider than that of yes-or-no values would be.

    Args:
        values: one finite number per case; average seeds first (:func:`mean_within`).
        clusters: the cluster of each value: its condition, or the case itself (:func:`fixed_conditions`).
        confidence: probability that such intervals cover the mean, in (0, 1).
        bounds: what values can be; the interval ends there.

    Returns:
        The estimate. ``low`` and ``high`` are None, and ``reason`` says why, with one cluster and where the clusters do
        not differ at all: from no spread nothing follows about the next case.

    Raises:
        ValueError: no value, a value that is not finite, unequal lengths, or a confidence outside (0, 1).
    """
    groups = _groups(values, clusters, confidence)
    n, count, mean = len(values), len(groups), math.fsum(values) / len(values)
    if count < 2:
        return Estimate(mean, None, None, n, count, None, "one condition alone gives no interval")
    error, degrees = _spread(groups, n, mean)
    # Deviations from a rounded mean are off by its last digit; a spread of that size is none.
    if error <= 4 * math.ulp(max(map(abs, values))):
        return Estimate(mean, None, None, n, count, 0.0, "the conditions do not differ, which gives no interval")
    bottom, top = bounds
    limits = (bottom, top) if bottom is not None and top is not None and bottom < mean < top else None
    t = t_critical(confidence, degrees)
    sums, sizes = [math.fsum(group) for group in groups], [len(group) for group in groups]
    reach = bootstrap_t(sums, sizes, confidence, limits or (-math.inf, math.inf))
    down, up = (max(t, quantile) if math.isfinite(quantile) else t for quantile in reach)
    if limits:
        width = limits[1] - limits[0]
        share = (mean - limits[0]) / width
        worth = share * (1 - share) * (width / error) ** 2
        # Nothing between two bounds varies more than yes and no do: with as many clusters they know at least as much.
        least = score_ends(share, n**2 / sum(size * size for size in sizes), t)
        low = limits[0] + width * max(score_ends(share, worth, down)[0], least[0])
        high = limits[0] + width * min(score_ends(share, worth, up)[1], least[1])
    else:
        low, high = mean - down * error, mean + up * error
    low = low if bottom is None else min(mean, max(low, bottom))
    high = high if top is None else max(mean, min(high, top))
    return Estimate(mean, low, high, n, count, error)


def clustered_share(values: Sequence[float], clusters: Sequence[Hashable], confidence: float = 0.95) -> Estimate:
    r"""Share of yes among yes-or-no values that come in clusters; parts of 1 are shares of seeds that say yes.

    Wilson's score interval for as many independent values as the clusters are worth, :math:`\hat p (1 - \hat p) / s^2`,
    at most one per case, with the t quantile (Korn and Graubard, "Confidence Intervals for Proportions with Small
    Expected Number of Positive Counts Estimated from Survey Data", 1998; Wilson, 1927). It lies within 0 and 1, and
    there always is one: where every value is the same, :func:`edge_reach` bounds what the clusters may have missed.

    Args:
        values: per case, in [0, 1].
        clusters: as in :func:`clustered_mean`.
        confidence: likewise.

    Raises:
        ValueError: as in :func:`clustered_mean`, or a value outside [0, 1].
    """
    groups = _groups(values, clusters, confidence)
    if not all(0 <= value <= 1 for value in values):
        raise ValueError("shares are made of values between 0 and 1")
    n, count, share = len(values), len(groups), math.fsum(values) / len(values)
    if count < 2:
        return Estimate(share, None, None, n, count, None, "one condition alone gives no interval")
    if share in (0.0, 1.0):
        reach = edge_reach(count, confidence)
        low, high = (0.0, reach) if share == 0 else (1 - reach, 1.0)
        return Estimate(share, low, high, n, count, None)
    error, degrees = _spread(groups, n, share)
    worth = min(n, share * (1 - share) / error**2) if error > 1e-9 else n
    low, high = score_ends(share, worth, t_critical(confidence, degrees))
    return Estimate(share, low, high, n, count, error)


def score_ends(share: float, worth: float, t: float) -> tuple[float, float]:
    r"""Wilson's score interval: the :math:`p` with :math:`(\hat p - p)^2 \le t^2 p (1 - p) / m`.

    Args:
        share: :math:`\hat p`, in [0, 1].
        worth: :math:`m`, the number of independent yes-or-no values that would know it as well.
        t: quantile.
    """
    k = t * t / worth
    centre, half = (share + k / 2) / (1 + k), math.sqrt(k * share * (1 - share) + k * k / 4) / (1 + k)
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def edge_reach(clusters: int, confidence: float = 0.95) -> float:
    """How much may be missed where all of so many independent clusters say the same: the exact one-sided bound."""
    return float(1 - (1 - confidence) ** (1 / clusters))


def _groups(values: Sequence[float], clusters: Sequence[Hashable], confidence: float) -> list[list[float]]:
    """Values by cluster, after checking them."""
    if len(values) != len(clusters):
        raise ValueError("values and clusters differ in number")
    if not values:
        raise ValueError("the mean of no values does not exist")
    if not all(map(math.isfinite, values)):
        raise ValueError("values must be finite; leave out what has no score")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    groups: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        groups.setdefault(cluster, []).append(value)
    return list(groups.values())


def _spread(groups: Sequence[Sequence[float]], n: int, mean: float) -> tuple[float, float]:
    r"""Cluster-robust standard error of a mean, and its degrees of freedom.

    With weights :math:`w_c = n_c / n` and means :math:`\bar x_c` of the clusters, :math:`Q = \sum_c w_c^2 (\bar x_c -
    \bar x)^2` is the variance of Liang and Zeger (1986). It is scaled to be unbiased, and given the degrees of freedom
    that match its variance, for clusters whose means are independent and vary alike (Satterthwaite; Bell and McCaffrey,
    "Bias Reduction in Standard Errors for Linear Regression with Multi-Stage Samples", 2002). For clusters of one size
    that is :math:`C / (C - 1)` and :math:`C - 1`, the textbook's t interval of the clusters' means.
    """
    squares = math.fsum(math.fsum([value - mean for value in group]) ** 2 for group in groups) / n**2
    scale, degrees = _small_sample(tuple(sorted(len(group) for group in groups)))
    return math.sqrt(scale * squares), degrees


@lru_cache(maxsize=512)
def _small_sample(sizes: tuple[int, ...]) -> tuple[float, float]:
    """What Q has to be multiplied by, and its degrees of freedom: its mean and variance are traces of M and M M."""
    n = sum(sizes)
    w = [size / n for size in sizes]
    # Q = x' M x with M = (I - 1 w')' diag(a) (I - 1 w'), a = w^2.
    p2, p3, p4, p5 = (math.fsum(weight**power for weight in w) for power in (2, 3, 4, 5))
    trace = p2 - 2 * p3 + p2 * p2
    squared = p4 - 4 * p5 + 2 * p2 * p4 + 2 * (p3 * p3 + p4 * p2) - 4 * p2 * p3 * p2 + p2**4
    return p2 / trace, max(1.0, trace**2 / squared)


def mean_within(pairs: Iterable[tuple[Case, float]]) -> Mapping[Case, float]:
    """Average the values of each case over its seeds, so that a case with more seeds does not weigh more.

    Args:
        pairs: (case, value), one per seed.

    Returns:
        Case -> mean value, in order of first appearance.
    """
    groups: dict[Case, list[float]] = {}
    for case, value in pairs:
        groups.setdefault(case, []).append(value)
    return {case: math.fsum(group) / len(group) for case, group in groups.items()}


@lru_cache(maxsize=512)
def t_critical(confidence: float, degrees: float) -> float:
    """Half-width, in standard errors, of a two-sided t interval.

    Args:
        confidence: probability between ``-t`` and ``t``, in (0, 1).
        degrees: degrees of freedom, at least 1.

    Returns:
        ``t`` with ``P(|T| <= t) = confidence``. For whole degrees it agrees with ``scipy.special.stdtrit`` to nine
        digits or more; between them it is interpolated in their inverse, to 1 % from 3 degrees on, and too high below.
    """
    whole = math.floor(degrees + 1e-9)
    if degrees - whole > 1e-9:
        part = (1 / whole - 1 / degrees) / (1 / whole - 1 / (whole + 1))
        return (1 - part) * t_critical(confidence, whole) + part * t_critical(confidence, whole + 1)
    # In the angle atan(t / sqrt(degrees)) the probability is smooth and bounded: bisection needs no care.
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if _central_probability(middle, whole) < confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(whole) * math.tan(low)


def _central_probability(angle: float, degrees: int) -> float:
    """``P(|T| <= sqrt(degrees) tan(angle))``, by Abramowitz and Stegun 26.7.3 and 26.7.4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(1 + odd, degrees, 2):
        total += term
        term *= cosine * cosine * k / (k + 1)
    return (angle + sine * total) * 2 / math.pi if odd else sine * total
