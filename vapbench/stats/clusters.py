"""Two-way cluster-robust covariance: votes are crossed by rater and by item, and independent in neither.

Cameron, Gelbach and Miller, "Robust Inference with Multiway Clustering", Journal of Business & Economic
Statistics 29 (2011). Intervals that cluster one way only, or not at all, cover 64 to 92 % instead of 95 % in
studies of this kind; ``tests/stats/test_coverage.py`` simulates it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import FloatArray, codes, group_sums
from vapbench.stats.intervals import edge_reach, t_critical

MIN_CLUSTERS = 5
"""Below so many raters or items there is no interval: a spread of four is a guess."""


NO_SPREAD = 1e-9
"""A standard error of a share or strength that is rounding."""
ALIKE = "the votes of all raters and items are alike, which gives no interval"


@dataclass(frozen=True)
class Interval:
    """An estimate and how well it is known."""

    estimate: float
    low: float | None
    """Lower end; None if there is no interval."""
    high: float | None
    standard_error: float | None
    """On the scale the interval was made on; None if there is no interval."""
    reason: str = ""
    """Why there is no interval."""


@dataclass(frozen=True, eq=False)
class Covariance:
    """Covariance of ``P`` estimates, for contrasts."""

    matrix: FloatArray
    """``(P, P)``, two-way cluster-robust, positive semi-definite."""
    floor: FloatArray
    """``(P, P)``, as if rater-item cells were independent: no contrast's variance is below it."""
    clusters: tuple[tuple[str, int], ...]
    """What votes or scores are clustered by, and how many there are: ``(("raters", 20), ("items", 48))``."""
    unseen: str = ""
    """Why no spread can be seen, where none can: an interval of no width would claim to know everything."""

    @property
    def degrees(self) -> int:
        """Degrees of freedom of intervals: the smaller number of clusters less one."""
        return min(count for _, count in self.clusters) - 1

    @property
    def reason(self) -> str:
        """Why there can be no interval; empty if there can."""
        if self.unseen:
            return f"{self.unseen}, which gives no interval"
        few = [f"{count} {name[:-1] if count == 1 else name}" for name, count in self.clusters if count < MIN_CLUSTERS]
        verb = "gives" if len(few) == 1 and few[0].startswith("1 ") else "give"
        return f"{' and '.join(few)} {verb} no interval; at least {MIN_CLUSTERS} are needed" if few else ""

    def variance(self, contrast: npt.ArrayLike) -> float:
        """Variance of a linear combination, ``(P,)`` coefficients."""
        c = np.asarray(contrast, dtype=np.float64)
        return float(max(c @ self.matrix @ c, c @ self.floor @ c))

    def design_effect(self, contrast: npt.ArrayLike) -> float:
        """Variance of a linear combination over that of independent rater-item cells, at least 1."""
        c = np.asarray(contrast, dtype=np.float64)
        return float(self.variance(c) / floor) if (floor := float(c @ self.floor @ c)) > 0 else 1.0

    def transformed(self, jacobian: FloatArray) -> Covariance:
        """Covariance of ``Q`` smooth functions of the estimates, ``jacobian`` ``(Q, P)``: the delta method."""
        j = jacobian
        return Covariance(j @ self.matrix @ j.T, j @ self.floor @ j.T, self.clusters, self.unseen)

    def interval(self, estimate: float, contrast: npt.ArrayLike, confidence: float = 0.95) -> Interval:
        """Interval, by the t distribution, of a linear combination."""
        if self.reason:
            return Interval(estimate, None, None, None, self.reason)
        error = math.sqrt(self.variance(contrast))
        if error <= NO_SPREAD:
            return Interval(estimate, None, None, None, ALIKE)
        half = t_critical(confidence, self.degrees) * error
        return Interval(estimate, estimate - half, estimate + half, error)


def two_way_covariance(scores: FloatArray, rater: npt.ArrayLike, item: npt.ArrayLike) -> Covariance:
    r"""Covariance of ``P`` sums over votes that are crossed by rater and item.

    With influence :math:`d_v` of vote :math:`v` on the estimates, :math:`R` raters and :math:`I` items,

    .. math::
        V = \frac{R}{R-1} \sum_r D_r D_r^\top + \frac{I}{I-1} \sum_i D_i D_i^\top - \sum_{r,i} D_{ri} D_{ri}^\top

    where :math:`D` are sums of :math:`d_v` by rater, by item, and by both. Negative eigenvalues are clipped.

    Args:
        scores: ``(N, P)`` influence of each vote: estimate minus truth is about their sum.
        rater: ``(N,)`` labels.
        item: ``(N,)`` labels.

    Returns:
        The covariance; its ``floor`` is the last term alone.
    """
    raters, n_raters = codes(rater)
    items, n_items = codes(item)
    cells, n_cells = codes(raters * n_items + items)
    by_rater, by_item, by_cell = (
        (sums := group_sums(scores, groups, count)).T @ sums
        for groups, count in ((raters, n_raters), (items, n_items), (cells, n_cells))
    )
    total = _inflate(by_rater, n_raters) + _inflate(by_item, n_items) - by_cell
    values, vectors = np.linalg.eigh((total + total.T) / 2)
    matrix = (vectors * np.maximum(values, 0)) @ vectors.T
    return Covariance(matrix, by_cell, (("raters", n_raters), ("items", n_items)))


def share_interval(
    outcomes: npt.ArrayLike, rater: npt.ArrayLike, item: npt.ArrayLike, confidence: float = 0.95
) -> Interval:
    r"""Interval of a mean of outcomes in [0, 1]: two-way cluster-robust, on the logit scale.

    Where all are 0 or all are 1 no variance can be seen. What remains is the exact one-sided bound
    :math:`1 - \alpha^{1/n}` for as many independent outcomes as there are raters or items, whichever are fewer.

    Args:
        outcomes: ``(N,)``.
        rater: ``(N,)`` labels.
        item: ``(N,)`` labels.
        confidence: of the interval.
    """
    values = np.asarray(outcomes, dtype=np.float64)
    share, n = float(values.mean()), len(values)
    covariance = two_way_covariance((values - share)[:, None] / n, rater, item)
    if covariance.reason:
        return Interval(share, None, None, None, covariance.reason)
    if share in (0.0, 1.0):
        reach = edge_reach(covariance.degrees + 1, confidence)
        low, high = (0.0, reach) if share == 0 else (1 - reach, 1.0)
        return Interval(share, low, high, None)
    return logit_interval(share, covariance.variance([1.0]), n, covariance.degrees, confidence)


def bounded_mean_interval(
    values: npt.ArrayLike,
    bounds: tuple[float, float],
    rater: npt.ArrayLike,
    item: npt.ArrayLike,
    confidence: float = 0.95,
) -> Interval:
    """Interval of a mean of values on a scale with two ends: that of a share, so that it stays on the scale.

    Near an end an interval that is as wide to either side holds the truth too rarely.

    Args:
        values: ``(N,)``.
        bounds: the scale's ends.
        rater: ``(N,)`` labels.
        item: ``(N,)`` labels.
        confidence: of the interval.
    """
    least, most = bounds
    known = np.asarray(values, dtype=np.float64)
    mean, share = float(known.mean()), share_interval((known - least) / (most - least), rater, item, confidence)
    if share.low is None or share.high is None:
        return Interval(mean, None, None, None, share.reason)
    low, high = (least + (most - least) * end for end in (share.low, share.high))
    # Rounding on the way there and back must not leave the mean outside.
    return Interval(mean, min(mean, low), max(mean, high), share.standard_error)


def logit_interval(share: float, variance: float, n: int, degrees: int, confidence: float = 0.95) -> Interval:
    r"""Interval of a share on the logit scale, back-transformed: it stays inside (0, 1).

    The scale is taken at :math:`p = (sN + \frac12) / (N + 1)`, so that a share near 0 or 1 has a finite logit.
    """
    if math.sqrt(variance) <= NO_SPREAD:
        return Interval(share, None, None, None, ALIKE)
    p = (share * n + 0.5) / (n + 1)
    error = math.sqrt(variance) / (p * (1 - p))
    centre, half = math.log(p / (1 - p)), t_critical(confidence, degrees) * error
    # The estimate is inside whatever the half-votes do to the centre.
    low, high = min(share, sigmoid(centre - half)), max(share, sigmoid(centre + half))
    return Interval(share, low, high, error)


def sigmoid(x: float) -> float:
    """``1 / (1 + exp(-x))``, without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _inflate(matrix: FloatArray, clusters: int) -> FloatArray:
    return matrix * (clusters / (clusters - 1)) if clusters > 1 else matrix
