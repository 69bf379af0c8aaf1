"""Shares of votes: the paper-style preference rate, and what pairwise votes give instead.

Three statistics that must not be confused. The **choice share** is how often a method is chosen of all that
were shown: the paper's preference rate. The **win share** is a method's part of all pairwise wins; with n
methods, each in 2/n of the pairs, it cannot exceed 2/n, so it is no preference rate. The **Luce share**
(:mod:`vapbench.stats.strengths`) is what a pairwise study estimates that compares with a choice share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import FloatArray, LabelArray, codes
from vapbench.stats.clusters import Covariance, Interval, logit_interval, two_way_covariance
from vapbench.stats.intervals import edge_reach
from vapbench.stats.votes import ChoiceVotes, PairVotes


@dataclass(frozen=True, eq=False)
class Shares:
    """A share per method, with intervals that know who voted on what."""

    share: FloatArray
    """``(n_methods,)``, in [0, 1]."""
    intervals: tuple[Interval, ...]
    """Logit scale, two-way cluster-robust; a share of 0 or 1 has a one-sided exact bound instead."""
    design_effect: FloatArray
    """``(n_methods,)``: variance over that of as many independent votes; NaN for shares of 0 and 1."""
    covariance: Covariance
    votes: int
    pooled: FloatArray
    """``(n_methods,)``: votes over votes, each vote weighing the same; equals ``share`` in balanced designs."""
    bound: FloatArray
    """``(n_methods,)``: the largest share the design allows each method."""

    def difference(self, a: int, b: int, confidence: float = 0.95) -> Interval:
        """Share of ``a`` minus share of ``b``, on the linear scale."""
        contrast = np.zeros(len(self.share))
        contrast[a], contrast[b] = 1, -1
        return self.covariance.interval(float(self.share[a] - self.share[b]), contrast, confidence)


def choice_share(votes: ChoiceVotes, confidence: float = 0.95) -> Shares:
    r"""How often each method is chosen: the paper-style preference rate.

    .. math:: s_m = \frac1I \sum_i \frac1{R_i} \sum_{v \in i} c_{vm}

    Every item weighs the same, whatever its number of votes :math:`R_i`. The covariance is two-way
    cluster-robust over :math:`d_v = (c_v - s) w_v`, :math:`w_v = 1 / (I R_i)`.

    Args:
        votes: best-of-n votes; every trial must have shown all methods (else see :func:`vapbench.stats.luce.fit_luce`).
        confidence: of the intervals.

    Returns:
        Shares that sum to 1.

    Raises:
        ValueError: some trial showed only some of the methods.
    """
    if votes.shown is not None and not votes.shown.all():
        raise ValueError("choice shares need trials that show every method; use the Luce model for subsets")
    items, n_items = codes(votes.item)
    weights = 1 / (n_items * np.bincount(items, minlength=n_items)[items])
    bound = np.ones(votes.n_methods)
    return _shares(votes.credit, weights, votes.rater, votes.item, bound, confidence)


def win_share(votes: PairVotes, confidence: float = 0.95) -> Shares:
    r"""A method's part of all pairwise wins, ties counting half: :math:`(w_m + t_m / 2) / N`. Shares sum to 1."""
    appearances = np.bincount(votes.left, minlength=votes.n_methods) + np.bincount(
        votes.right, minlength=votes.n_methods
    )
    weights = np.full(len(votes), 1 / len(votes))
    return _shares(votes.credit(), weights, votes.rater, votes.item, appearances / len(votes), confidence)


def mean_win_rate(votes: PairVotes, confidence: float = 0.95) -> Shares:
    r"""Mean over opponents of the rate of wins against each: :math:`\frac1{n-1} \sum_j (w_{mj} + t_{mj}/2) / n_{mj}`.

    Uniform over opponents, so that meeting weak ones more often gains nothing. It averages 1/2.

    Raises:
        ValueError: some pair was never shown.
    """
    n = votes.n_methods
    counts = votes.counts()
    met = counts.sum(axis=2) + counts.sum(axis=2).T
    if (met[~np.eye(n, dtype=bool)] == 0).any():
        raise ValueError("some pairs of methods were never shown; use the Davidson model, which does not need them all")
    wins = counts[:, :, 0] + counts[:, :, 1] / 2 + (counts[:, :, 2] + counts[:, :, 1] / 2).T
    rates = np.divide(wins, met, out=np.zeros((n, n)), where=met > 0)
    share = rates.sum(axis=1) / (n - 1)
    influence = np.zeros((len(votes), n))
    index = np.arange(len(votes))
    for own, other, sign in ((votes.left, votes.right, 1), (votes.right, votes.left, -1)):
        won = (1 + sign * votes.outcome) / 2
        influence[index, own] = (won - rates[own, other]) / met[own, other] / (n - 1)
    covariance = two_way_covariance(influence, votes.rater, votes.item)
    pooled = votes.credit().sum(axis=0) / (met.sum(axis=1))
    exposure = (met.sum(axis=1)).astype(np.int64)
    return _with_intervals(share, pooled, np.ones(n), covariance, len(votes), exposure, confidence)


def print_shares(shares: Sequence[float] | FloatArray, digits: int = 1) -> list[str]:
    """Percentages as printed, rounded by largest remainder so that the column sums to 100.

    Args:
        shares: in [0, 1], summing to 1.
        digits: digits after the decimal point.

    Raises:
        ValueError: the shares do not sum to 1.
    """
    if not math.isclose(math.fsum(shares), 1, abs_tol=1e-6):
        raise ValueError(f"shares sum to {math.fsum(shares):.6g}, not 1")
    scale = 10**digits
    exact = [share * 100 * scale for share in shares]
    # A share that is whole but for its last bit must not lose a unit to floor.
    whole = [math.floor(value + 1e-9) for value in exact]
    order = sorted(range(len(exact)), key=lambda index: (-(exact[index] - whole[index]), index))
    for index in order[: 100 * scale - sum(whole)]:
        whole[index] += 1
    return [f"{value / scale:.{digits}f}" for value in whole]


def _shares(
    credit: FloatArray,
    weights: FloatArray,
    rater: LabelArray,
    item: LabelArray,
    bound: FloatArray,
    confidence: float,
) -> Shares:
    share = weights @ credit
    covariance = two_way_covariance((credit - share) * weights[:, None], rater, item)
    exposure = np.full(len(share), len(credit))
    return _with_intervals(share, credit.mean(axis=0), bound, covariance, len(credit), exposure, confidence)


def _with_intervals(
    share: FloatArray,
    pooled: FloatArray,
    bound: FloatArray,
    covariance: Covariance,
    n: int,
    exposure: npt.NDArray[np.int64],
    confidence: float,
) -> Shares:
    variances = [covariance.variance(row) for row in np.eye(len(share))]
    inside = (share > 1e-12) & (share < 1 - 1e-12)
    independent = np.where(inside, share * (1 - share) / exposure, np.nan)
    effect = np.array(variances) / independent
    intervals = []
    for m, value in enumerate(map(float, share)):
        if covariance.reason:
            intervals.append(Interval(value, None, None, None, covariance.reason))
        elif inside[m]:
            intervals.append(logit_interval(value, variances[m], int(exposure[m]), covariance.degrees, confidence))
        else:
            # No variance can be seen at the edge; as many raters (or items) without exception still bound it.
            reach = edge_reach(covariance.degrees + 1, confidence)
            low, high = (0.0, reach) if value < 0.5 else (1 - reach, 1.0)
            intervals.append(Interval(value, low, high, None))
    return Shares(share, tuple(intervals), effect, covariance, n, pooled, bound)
