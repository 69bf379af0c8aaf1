"""What follows from fitted strengths: differences, win probabilities, Luce shares, Elo, ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from vapbench.stats.arrays import BoolArray, FloatArray
from vapbench.stats.clusters import Covariance, Interval, sigmoid
from vapbench.stats.intervals import t_critical


@dataclass(frozen=True, eq=False)
class Strengths:
    """Strengths of methods on the log scale, with their covariance.

    Only contrasts mean anything: the scale has no zero, so intervals are of differences, and two methods
    differ if the interval of their difference excludes 0, whatever their single intervals do.
    """

    strength: FloatArray
    """``(n_methods,)`` theta, summing to 0."""
    covariance: Covariance

    def difference(self, a: int, b: int, confidence: float = 0.95) -> Interval:
        """``theta_a - theta_b``."""
        contrast = np.zeros(len(self.strength))
        contrast[a], contrast[b] = 1, -1
        return self.covariance.interval(float(self.strength[a] - self.strength[b]), contrast, confidence)

    def win_probability(self, a: int, b: int, confidence: float = 0.95) -> Interval:
        """Probability that ``a`` is preferred to ``b`` in a decisive vote without side effect."""
        return _sigmoid_of(self.difference(a, b, confidence))

    def luce_shares(self, confidence: float = 0.95) -> tuple[Interval, ...]:
        r"""How often each would be chosen of all: :math:`\pi_m = e^{\theta_m} / \sum_j e^{\theta_j}`.

        This is the pairwise study's counterpart of the paper's preference rate, under Luce's choice axiom.
        Intervals on the logit scale by the delta method: :math:`\operatorname{logit} \pi_m = \theta_m -
        \log \sum_{j \ne m} e^{\theta_j}`.
        """
        shares = []
        for m in range(len(self.strength)):
            others = np.exp(self.strength - self.strength.max())
            others[m] = 0
            gradient = -others / others.sum()
            gradient[m] = 1
            rest = math.log(others.sum()) + float(self.strength.max())
            logit = float(self.strength[m]) - rest
            shares.append(_sigmoid_of(self.covariance.interval(logit, gradient, confidence)))
        return tuple(shares)

    def elo(self) -> FloatArray:
        """``1000 + 400 / ln 10 * theta``: the same strengths in the units of chess."""
        return 1000 + 400 / math.log(10) * self.strength

    def ranks(self, confidence: float = 0.95, seed: int = 0) -> Ranks:
        """Rank intervals; see :func:`rank_intervals`."""
        return rank_intervals(self.strength, self.covariance, confidence, seed)


@dataclass(frozen=True, eq=False)
class Ranks:
    """Which ranks each method may have; 1 is best."""

    best: tuple[int, ...]
    """1 + the number of methods that are certainly better."""
    worst: tuple[int, ...]
    """n minus the number of methods that are certainly worse."""
    first: FloatArray
    """``(n_methods,)``: probability of being best; NaN if there is no interval."""
    better: tuple[tuple[bool, ...], ...]
    """``better[a][b]``: a is certainly better than b, all pairs at once."""
    reason: str = ""
    """Why nothing is certain."""

    def text(self, method: int) -> str:
        """``1``, or ``1-2``."""
        low, high = self.best[method], self.worst[method]
        return str(low) if low == high else f"{low}-{high}"


def rank_intervals(
    estimates: FloatArray, covariance: Covariance, confidence: float = 0.95, seed: int = 0, draws: int = 20_000
) -> Ranks:
    r"""Ranks that all hold at once with the given confidence.

    ``a`` is certainly better than ``b`` if :math:`(\theta_a - \theta_b) / se_{ab} > c^*`, where :math:`c^*` is the
    quantile of the largest such ratio over all pairs under equality, drawn from :math:`N(0, V)` and stretched by
    :math:`t / z` for the number of clusters (single-step max-t; Hothorn, Bretz and Westfall, 2008).

    Args:
        estimates: ``(M,)``, higher is better.
        covariance: of the estimates.
        confidence: probability that all pairwise statements hold.
        seed: of the draws.
        draws: number of draws; fewer where there are so many pairs that they would take seconds.
    """
    n = len(estimates)
    if covariance.reason or n < 2:
        nothing = tuple((False,) * n for _ in range(n))
        return Ranks((1,) * n, (n,) * n, np.full(n, np.nan), nothing, covariance.reason)
    first, second = np.triu_indices(n, 1)
    # Ten million ratios give the quantile to two digits even for a hundred methods, and are drawn in a blink.
    draws = max(2_000, min(draws, 10_000_000 // len(first)))
    values, vectors = np.linalg.eigh(covariance.matrix)
    noise = np.random.default_rng(seed).standard_normal((draws, n)) * np.sqrt(np.maximum(values, 0)) @ vectors.T
    spread = _pair_errors(covariance.matrix)
    error = np.maximum(spread, _pair_errors(covariance.floor))
    known = spread > 1e-12 * max(float(spread.max()), 1e-300)
    stretch = t_critical(confidence, covariance.degrees) / NormalDist().inv_cdf((1 + confidence) / 2)
    critical = _max_ratio_quantile(noise, spread, known, confidence) * stretch
    gap = estimates[first] - estimates[second]
    certain = np.abs(gap) > critical * error
    better = np.zeros((n, n), dtype=bool)
    better[first, second] = certain & (gap > 0)
    better[second, first] = certain & (gap < 0)
    leader = np.argmax(estimates + noise, axis=1)
    return Ranks(
        tuple(int(1 + better[:, m].sum()) for m in range(n)),
        tuple(int(n - better[m].sum()) for m in range(n)),
        np.bincount(leader, minlength=n) / draws,
        tuple(tuple(map(bool, row)) for row in better),
    )


def _pair_errors(matrix: FloatArray) -> FloatArray:
    """Standard error of each difference, pairs in the order of ``np.triu_indices``."""
    first, second = np.triu_indices(len(matrix), 1)
    diagonal = np.diag(matrix)
    return np.sqrt(np.maximum(diagonal[first] + diagonal[second] - 2 * matrix[first, second], 0))


def _max_ratio_quantile(noise: FloatArray, spread: FloatArray, known: BoolArray, confidence: float) -> float:
    """Quantile of the largest ``|noise_a - noise_b| / spread_ab`` over the known pairs, one value per draw."""
    n = noise.shape[1]
    inverse = np.zeros((n, n), dtype=np.float32)
    inverse[np.triu_indices(n, 1)] = np.divide(1, spread, out=np.zeros_like(spread), where=known)
    # Single precision and one method against the rest at a time: a hundred methods take a blink.
    narrow = noise.astype(np.float32)
    largest = np.zeros(len(noise), dtype=np.float32)
    for a in range(n - 1):
        ratios = np.abs(narrow[:, a + 1 :] - narrow[:, a : a + 1]) * inverse[a, a + 1 :]
        np.maximum(largest, ratios.max(axis=1), out=largest)
    return float(np.quantile(largest, confidence))


def _sigmoid_of(interval: Interval) -> Interval:
    ends = [None if end is None else sigmoid(end) for end in (interval.low, interval.high)]
    return Interval(sigmoid(interval.estimate), ends[0], ends[1], interval.standard_error, interval.reason)
