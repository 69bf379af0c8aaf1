"""Means over cases with cluster-robust t intervals.

Everything here is plain Python: a finished run's report needs no numerical library, and sums are exactly
rounded (:func:`math.fsum`), so the order of the cases never changes a digit.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

Case = TypeVar("Case", bound=Hashable)


@dataclass(frozen=True)
class Estimate:
    """A mean and how well it is known."""

    mean: float
    low: float | None
    """Lower end of the interval; None if there is none."""
    high: float | None
    """Upper end; may lie outside the metric's range, as t intervals may."""
    n: int
    """Number of values."""
    clusters: int
    """Number of clusters."""
    standard_error: float | None
    """Cluster-robust; None for fewer than two clusters."""
    reason: str = ""
    """Why there is no interval."""


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable], confidence: float = 0.95) -> Estimate:
    r"""Mean of values that come in clusters, with an interval that does not pretend they are independent.

    Two cases of one condition succeed and fail together, so conditions, not cases, are what was sampled. With
    :math:`n` values :math:`x_i` in :math:`C` clusters :math:`S_c`,

    .. math::
        \bar x = \frac1n \sum_i x_i, \qquad
        s^2 = \frac{C}{C-1} \frac1{n^2} \sum_c \Bigl(\sum_{i \in S_c} (x_i - \bar x)\Bigr)^2, \qquad
        \bar x \pm t_{C-1}\, s

    This is the cluster-robust variance of Liang and Zeger (1986) for a regression on a constant alone, with
    the usual small-sample factor and the :math:`t` distribution on :math:`C-1` degrees of freedom (Cameron
    and Miller, "A Practitioner's Guide to Cluster-Robust Inference", 2015, sections II.B and VI). With one
    value per cluster it is the textbook t interval of the mean. Below some ten clusters, or with clusters of
    very unequal size, it is still somewhat too short.

    Args:
        values: one finite number per case; average seeds first (:func:`mean_within`).
        clusters: the cluster of each value: its condition.
        confidence: probability that such intervals cover the mean, in (0, 1).

    Returns:
        The estimate. ``low`` and ``high`` are None, and ``reason`` says why, with fewer than two clusters and
        where the clusters do not differ at all: from no spread nothing follows about the next case.

    Raises:
        ValueError: no value, a value that is not finite, unequal lengths, or a confidence outside (0, 1).
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values but {len(clusters)} clusters")
    if not values:
        raise ValueError("the mean of no values does not exist")
    if not all(math.isfinite(value) for value in values):
        raise ValueError("values must be finite; leave out what has no score")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    n = len(values)
    mean = math.fsum(values) / n
    deviations: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        deviations.setdefault(cluster, []).append(value - mean)
    count = len(deviations)
    if count < 2:
        return Estimate(mean, None, None, n, count, None, "one condition alone gives no interval")
    squares = math.fsum(math.fsum(group) ** 2 for group in deviations.values())
    error = math.sqrt(count / (count - 1) * squares) / n
    # Deviations from a rounded mean are off by its last digit; a spread of that size is none.
    if error <= 4 * math.ulp(max(abs(value) for value in values)):
        return Estimate(mean, None, None, n, count, 0.0, "the conditions do not differ, which gives no interval")
    half = t_critical(confidence, count - 1) * error
    return Estimate(mean, mean - half, mean + half, n, count, error)


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
def t_critical(confidence: float, degrees: int) -> float:
    """Half-width, in standard errors, of a two-sided t interval.

    Args:
        confidence: probability between ``-t`` and ``t``, in (0, 1).
        degrees: degrees of freedom, a whole number of at least 1.

    Returns:
        ``t`` with ``P(|T| <= t) = confidence``; agrees with ``scipy.special.stdtrit`` to nine digits or more.
    """
    # In the angle atan(t / sqrt(degrees)) the probability is smooth and bounded: bisection needs no care.
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if _central_probability(middle, degrees) < confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan(low)


def _central_probability(angle: float, degrees: int) -> float:
    """``P(|T| <= sqrt(degrees) tan(angle))``, by Abramowitz and Stegun 26.7.3 and 26.7.4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(1 + odd, degrees, 2):
        total += term
        term *= cosine * cosine * k / (k + 1)
    return (angle + sine * total) * 2 / math.pi if odd else sine * total
