"""What follows from fitted strengths: differences, win probabilities, Luce shares, Elo, ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from vapbench.stats.arrays import BoolArray, FloatArray, IntArray
from vapbench.stats.clusters import Covariance, Interval, sigmoid
from vapbench.stats.intervals import t_critical
from vapbench.stats.profile import Profile


@dataclass(frozen=True, eq=False)
class Strengths:
    """Strengths of methods on the log scale, with their covariance.

    Only contrasts mean anything: the scale has no zero, so intervals are of differences, and two methods
    differ if the interval of their difference excludes 0, whatever their single intervals do.
    """

    strength: FloatArray
    """``(n_methods,)`` theta, summing to 0 within every piece."""
    covariance: Covariance
    pieces: tuple[IntArray, ...] = field(kw_only=True)
    """Methods that were compared with each other, if only through others. Nothing is known across pieces."""
    profile: Profile | None = field(kw_only=True, default=None)
    """The likelihood, where no finite strengths fit, or only ties join methods: the covariance then says too much."""
    basis: FloatArray | None = field(kw_only=True, default=None)
    """``(n_methods, P)``: theta as the likelihood's parameters give it; with ``profile``."""

    def difference(self, a: int, b: int, confidence: float = 0.95) -> Interval:
        """``theta_a - theta_b``; infinite on a side that no vote speaks against."""
        if not any(a in piece and b in piece for piece in self.pieces):
            return Interval(math.nan, None, None, None, "never compared, not even through others")
        contrast = np.zeros(len(self.strength))
        contrast[a], contrast[b] = 1, -1
        estimate = float(self.strength[a] - self.strength[b])
        if self.profile is None or self.basis is None or self.covariance.reason:
            return self.covariance.interval(estimate, contrast, confidence)
        t = t_critical(confidence, self.covariance.degrees)
        low, high = self.profile.interval(contrast @ self.basis, t, self.covariance.design_effect(contrast))
        if math.isinf(low) and math.isinf(high):
            return Interval(estimate, None, None, None, "the votes leave any difference possible")
        return Interval(estimate, min(low, estimate), max(high, estimate), None)

    def win_probability(self, a: int, b: int, confidence: float = 0.95) -> Interval:
        """Probability that ``a`` is preferred to ``b`` in a decisive vote without side effect."""
        return _sigmoid_of(self.difference(a, b, confidence))

    def luce_shares(self, confidence: float = 0.95) -> tuple[Interval, ...]:
        r"""How often each would be chosen of all: :math:`\pi_m = e^{\theta_m} / \sum_j e^{\theta_j}`, within its piece.

        This is the pairwise study's counterpart of the paper's preference rate, under Luce's choice axiom.
        Intervals on the logit scale by the delta method: :math:`\operatorname{logit} \pi_m = \theta_m -
        \log \sum_{j \ne m} e^{\theta_j}`.
        """
        found = {
            int(m): share
            for piece in self.pieces
            for m, share in zip(piece, self._luce(piece, confidence), strict=True)
        }
        return tuple(found[m] for m in range(len(self.strength)))

    def _luce(self, piece: IntArray, confidence: float) -> list[Interval]:
        if len(piece) == 1:
            return [Interval(math.nan, None, None, None, "never compared")]
        if self.profile is not None and len(piece) == 2:
            a, b = map(int, piece)
            return [self.win_probability(a, b, confidence), self.win_probability(b, a, confidence)]
        shares = []
        for m in piece:
            others = np.zeros(len(self.strength))
            others[piece] = np.exp(self.strength[piece] - self.strength[piece].max())
            others[m] = 0
            gradient = -others / others.sum()
            gradient[m] = 1
            rest = math.log(others.sum()) + float(self.strength[piece].max())
            share = _sigmoid_of(self.covariance.interval(float(self.strength[m]) - rest, gradient, confidence))
            if self.profile is not None:
                share = Interval(share.estimate, None, None, None, f"{self.profile.why}, which gives no interval")
            shares.append(share)
        return shares

    def elo(self) -> FloatArray:
        """``1000 + 400 / ln 10 * theta``: the same strengths in the units of chess; 1000 is the mean of a piece."""
        return 1000 + 400 / math.log(10) * self.strength

    def ranks(self, confidence: float = 0.95, seed: int = 0) -> Ranks:
        """Rank intervals within pieces; see :func:`rank_intervals`."""
        n = len(self.strength)
        best, worst = np.ones(n, dtype=np.int64), np.ones(n, dtype=np.int64)
        first, p = np.full(n, np.nan), np.full((n, n), np.nan)
        better, reason = np.zeros((n, n), dtype=bool), ""
        for piece in self.pieces:
            part = self.covariance.transformed(np.eye(n)[piece])
            found = rank_intervals(self.strength[piece], part, confidence, seed, ratios=self._ratios(piece))
            best[piece], worst[piece], reason = found.best, found.worst, reason or found.reason
            first[piece] = np.nan if self.profile is not None else found.first
            p[np.ix_(piece, piece)], better[np.ix_(piece, piece)] = found.p, found.better
        return Ranks(tuple(best.tolist()), tuple(worst.tolist()), first, tuple(map(tuple, better.tolist())), p, reason)

    def _ratios(self, piece: IntArray) -> FloatArray | None:
        """Likelihood ratios as ratios of estimate to standard error, pairs in the order of ``np.triu_indices``."""
        if self.profile is None or self.basis is None or self.covariance.reason:
            return None
        ratios = []
        for a, b in zip(*np.triu_indices(len(piece), 1), strict=True):
            contrast = np.zeros(len(self.strength))
            contrast[piece[a]], contrast[piece[b]] = 1, -1
            effect = self.covariance.design_effect(contrast)
            ratios.append(self.profile.root(contrast @ self.basis) / math.sqrt(effect))
        return np.array(ratios)


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
    p: FloatArray
    """``(n_methods, n_methods)``: p-value of a difference of 0, adjusted for all pairs; NaN if there is none."""
    reason: str = ""
    """Why nothing is certain."""

    def text(self, method: int) -> str:
        """``1``, or ``1-2``."""
        low, high = self.best[method], self.worst[method]
        return str(low) if low == high else f"{low}-{high}"


def rank_intervals(
    estimates: FloatArray,
    covariance: Covariance,
    confidence: float = 0.95,
    seed: int = 0,
    draws: int = 20_000,
    ratios: FloatArray | None = None,
) -> Ranks:
    r"""Ranks that all hold at once with the given confidence.

    ``a`` is certainly better than ``b`` if :math:`(\theta_a - \theta_b) / se_{ab}` is beyond what the largest such
    ratio over all pairs is under equality, as drawn from the multivariate t distribution with the degrees of freedom of
    the clusters (single-step max-t; Hothorn, Bretz and Westfall, 2008).

    Args:
        estimates: ``(M,)``, higher is better.
        covariance: of the estimates.
        confidence: probability that all pairwise statements hold.
        seed: of the draws.
        draws: number of draws; fewer where there are so many pairs that they would take seconds.
        ratios: size of each pair's ratio where it is not that of difference to standard error, pairs in the order of
            ``np.triu_indices``.
    """
    n = len(estimates)
    if covariance.reason or n < 2:
        nothing = tuple((False,) * n for _ in range(n))
        return Ranks((1,) * n, (n,) * n, np.full(n, np.nan), nothing, np.full((n, n), np.nan), covariance.reason)
    first, second = np.triu_indices(n, 1)
    # Ten million ratios give the quantile to two digits even for a hundred methods, and are drawn in a blink.
    draws = max(2_000, min(draws, 10_000_000 // len(first)))
    values, vectors = np.linalg.eigh(covariance.matrix)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((draws, n)) * np.sqrt(np.maximum(values, 0)) @ vectors.T
    spread = _pair_errors(covariance.matrix)
    error = np.maximum(spread, _pair_errors(covariance.floor))
    known = spread > 1e-12 * max(float(spread.max()), 1e-300)
    largest = _largest_ratios(noise, spread, known) / np.sqrt(
        rng.chisquare(covariance.degrees, draws) / covariance.degrees
    )
    gap = estimates[first] - estimates[second]
    if ratios is None:
        ratios = np.divide(np.abs(gap), error, out=np.zeros_like(gap), where=error > 0)
    reached = draws - np.searchsorted(np.sort(largest), ratios - 1e-12, "left")
    p = np.where(known, (1 + reached) / (1 + draws), 1.0)
    certain = p < 1 - confidence
    better, both = np.zeros((n, n), dtype=bool), np.full((n, n), np.nan)
    better[first, second] = certain & (gap > 0)
    better[second, first] = certain & (gap < 0)
    both[first, second] = both[second, first] = p
    leader = np.argmax(estimates + noise, axis=1)
    return Ranks(
        tuple(int(1 + better[:, m].sum()) for m in range(n)),
        tuple(int(n - better[m].sum()) for m in range(n)),
        np.bincount(leader, minlength=n) / draws,
        tuple(tuple(map(bool, row)) for row in better),
        both,
    )


def _pair_errors(matrix: FloatArray) -> FloatArray:
    """Standard error of each difference, pairs in the order of ``np.triu_indices``."""
    first, second = np.triu_indices(len(matrix), 1)
    diagonal = np.diag(matrix)
    return np.sqrt(np.maximum(diagonal[first] + diagonal[second] - 2 * matrix[first, second], 0))


def _largest_ratios(noise: FloatArray, spread: FloatArray, known: BoolArray) -> FloatArray:
    """The largest ``|noise_a - noise_b| / spread_ab`` over the known pairs, one value per draw."""
    n = noise.shape[1]
    inverse = np.zeros((n, n), dtype=np.float32)
    inverse[np.triu_indices(n, 1)] = np.divide(1, spread, out=np.zeros_like(spread), where=known)
    # Single precision and one method against the rest at a time: a hundred methods take a blink.
    narrow = noise.astype(np.float32)
    largest = np.zeros(len(noise), dtype=np.float32)
    for a in range(n - 1):
        ratios = np.abs(narrow[:, a + 1 :] - narrow[:, a : a + 1]) * inverse[a, a + 1 :]
        np.maximum(largest, ratios.max(axis=1), out=largest)
    return largest.astype(np.float64)


def _sigmoid_of(interval: Interval) -> Interval:
    ends = [None if end is None else sigmoid(end) for end in (interval.low, interval.high)]
    return Interval(sigmoid(interval.estimate), ends[0], ends[1], interval.standard_error, interval.reason)
