r"""Profile likelihood: what votes say of a difference where no finite strengths fit them.

Where one method never loses, the likelihood grows without end along some direction, and neither a standard error nor
the prior that keeps the estimate finite says how far the votes reach. The likelihood itself does: it falls off on the
side that the votes speak against. Albert and Anderson, "On the Existence of Maximum Likelihood Estimates in Logistic
Regression Models" (1984); Heinze and Schemper, "A Solution to the Problem of Separation in Logistic Regression" (2002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vapbench.stats.arrays import BoolArray, FloatArray
from vapbench.stats.newton import log_likelihood, maximise

_REACH = 12.0
"""Log-odds that are looked at; beyond this a probability prints as 0 or 100 %."""


@dataclass(frozen=True, eq=False)
class Profile:
    """A choice model and its votes."""

    features: FloatArray
    """``(S, K, P)``; see :func:`vapbench.stats.newton.maximise`."""
    counts: FloatArray
    """``(S, K)``."""
    available: BoolArray | None = None
    """``(S, K)``."""
    why: str = "no finite strengths fit"
    """Why a covariance does not do."""

    def interval(self, contrast: FloatArray, t: float, design_effect: float) -> tuple[float, float]:
        r"""Values of ``contrast @ beta`` whose likelihood ratio, over the design effect, is at most :math:`t^2`.

        Args:
            contrast: ``(P,)``, not 0.
            t: quantile.
            design_effect: variance over that of as many independent votes, at least 1.

        Returns:
            Lower and upper end; infinite on a side that no vote speaks against.
        """
        grid = np.linspace(-_REACH, _REACH, 49)
        inside = np.flatnonzero(self._fall(contrast, grid) <= t * t * design_effect)
        if not len(inside):
            # Between two points of the grid: the fall is steep, and the peak near the deepest of them.
            inside = np.array([int(np.argmin(self._fall(contrast, grid)))])
        low, high = -math.inf, math.inf
        if inside[0] > 0:
            low = self._crossing(contrast, grid[inside[0] - 1], grid[inside[0]], t * t * design_effect)
        if inside[-1] < len(grid) - 1:
            high = self._crossing(contrast, grid[inside[-1] + 1], grid[inside[-1]], t * t * design_effect)
        return low, high

    def root(self, contrast: FloatArray) -> float:
        """Square root of the likelihood ratio of 0: what a ratio of estimate to standard error is elsewhere."""
        return math.sqrt(max(0.0, float(self._fall(contrast, np.zeros(1))[0])))

    def _crossing(self, contrast: FloatArray, outside: float, inside: float, level: float) -> float:
        """Where the fall reaches ``level``, to a thousandth."""
        for _ in range(2):
            grid = np.linspace(outside, inside, 17)
            first = int(np.argmax(self._fall(contrast, grid) <= level)) or len(grid) - 1
            outside, inside = float(grid[first - 1]), float(grid[first])
        return (outside + inside) / 2

    def _fall(self, contrast: FloatArray, values: FloatArray) -> FloatArray:
        """Twice the log-likelihood lost where ``contrast @ beta`` has each of ``(V,)`` values."""
        direction = contrast / (contrast @ contrast)
        free = np.linalg.svd(contrast[None])[2][1:].T
        offset = values[:, None, None] * (self.features @ direction)
        counts = np.broadcast_to(self.counts, (len(values), *self.counts.shape))
        features, start = self.features @ free, np.zeros(free.shape[1])
        if len(start):
            best = maximise(features, counts, start, self.available, offset=offset).log_likelihood
        else:
            best = log_likelihood(features, counts, self.available, offset)
        return np.asarray(2 * (self._peak - best))

    @cached_property
    def _peak(self) -> float:
        """The largest log-likelihood, or what it tends to."""
        start = np.zeros(self.features.shape[2])
        return float(maximise(self.features, self.counts[None], start, self.available).log_likelihood[0])


def separated(features: FloatArray, counts: FloatArray, available: BoolArray | None = None) -> FloatArray | None:
    """A direction along which the likelihood never falls: the votes have no finite maximum; None if they have one.

    A linear programme looks for it: no observed choice may become less likely against any alternative, and at least one
    must become more likely.

    Args:
        features: ``(S, K, P)``.
        counts: ``(S, K)``.
        available: ``(S, K)``: which alternatives exist; None: all.
    """
    from scipy.optimize import linprog

    exists = np.ones(counts.shape, dtype=bool) if available is None else available
    gains = features[:, :, None, :] - features[:, None, :, :]
    gains = gains[(counts > 0)[:, :, None] & exists[:, None, :]]
    gains = np.unique(gains[np.abs(gains).max(axis=1) > 1e-12], axis=0)
    if not len(gains):
        return None
    found = linprog(-gains.sum(axis=0), A_ub=-gains, b_ub=np.zeros(len(gains)), bounds=(-1, 1))
    direction = np.zeros(gains.shape[1]) if found.x is None else np.asarray(found.x)
    return direction if (gains @ direction).sum() > 1e-7 else None
