r"""The Davidson model with tastes of raters and items as random effects: a second opinion on the fit of all votes.

The strength of method :math:`m` for rater :math:`r` on item :math:`i` is :math:`\theta_m + u_{rm} + v_{im}` with
:math:`u_{rm} \sim N(0, \sigma_R^2)` and :math:`v_{im} \sim N(0, \sigma_I^2)`; ties and side as in
:mod:`vapbench.stats.davidson`. Strengths and effects are the mode of the penalised likelihood, variances come by EM
with the curvature at the mode as posterior covariance (Laplace): Breslow and Clayton, "Approximate Inference in
Generalized Linear Mixed Models", JASA 88 (1993). Where raters or items have few votes, strengths come out somewhat
small, large spreads smaller by a quarter and more, and spreads of zero as a few tenths.

Strengths are those for an average rater on an average item: farther apart than of the crowd as a whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vapbench.stats.arrays import FloatArray, IntArray, codes
from vapbench.stats.clusters import MIN_CLUSTERS, Covariance
from vapbench.stats.newton import LIMIT, sum_zero_basis
from vapbench.stats.strengths import Strengths
from vapbench.stats.votes import PairVotes

_MOST_EFFECTS = 1_000
"""Above so many parameters a dense fit takes minutes."""
_ROUNDS, _TOLERANCE = 300, 1e-3


@dataclass(frozen=True, eq=False)
class Mixed:
    """A fit, or why there is none."""

    strengths: Strengths | None
    """For an average rater on an average item."""
    rater_sd: float
    """Spread of raters' tastes, per method, on the log scale."""
    item_sd: float
    reason: str = ""
    """Why there is no fit."""


def fit_mixed(votes: PairVotes) -> Mixed:
    """Fit strengths, ties and side with random effects of raters and items.

    Args:
        votes: pairwise votes in which every method met the others, if only through others, and none always won.
    """
    raters, n_raters = codes(votes.rater)
    items, n_items = codes(votes.item)
    width = votes.n_methods - 1
    if min(n_raters, n_items) < MIN_CLUSTERS:
        return _none(f"raters: {n_raters}, items: {n_items}; at least {MIN_CLUSTERS} of each are needed")
    if (n_raters + n_items) * width > _MOST_EFFECTS:
        return _none(f"more than {_MOST_EFFECTS:,} effects of raters and items are not fitted")
    basis = sum_zero_basis(votes.n_methods)
    ties = bool((votes.outcome == 0).any())
    features = _features(votes, basis, raters, items, n_raters, n_items, ties)
    chosen = 1 - votes.outcome
    fixed = features.shape[2] - (n_raters + n_items) * width
    of_rater = slice(fixed, fixed + n_raters * width)
    of_item = slice(fixed + n_raters * width, None)
    beta = np.zeros(features.shape[2])
    variances = np.array([0.25, 0.25])
    covariance = np.eye(len(beta))
    for _ in range(_ROUNDS):
        ridge = np.zeros(len(beta))
        ridge[of_rater], ridge[of_item] = 1 / variances
        beta, covariance = _mode(features, chosen, ridge, beta, ties)
        own = np.diag(covariance)
        again = np.array([np.mean(beta[part] ** 2 + own[part]) for part in (of_rater, of_item)])
        again = np.maximum(again, 1e-4)
        moved = np.abs(np.sqrt(again) - np.sqrt(variances)).max()
        variances = again
        if moved < _TOLERANCE:
            break
    else:
        return _none(f"the spreads had not settled after {_ROUNDS} rounds")
    if np.abs(beta[:fixed]).max() > LIMIT:
        return _none("no finite strengths fit")
    matrix = basis @ covariance[:width, :width] @ basis.T
    clusters = (("raters", n_raters), ("items", n_items))
    fit = Strengths(
        basis @ beta[:width], Covariance(matrix, np.zeros_like(matrix), clusters), pieces=(np.arange(votes.n_methods),)
    )
    return Mixed(fit, float(math.sqrt(variances[0])), float(math.sqrt(variances[1])))


def _none(reason: str) -> Mixed:
    return Mixed(None, math.nan, math.nan, reason)


def _features(
    votes: PairVotes, basis: FloatArray, raters: IntArray, items: IntArray, n_raters: int, n_items: int, ties: bool
) -> FloatArray:
    """``(N, 3, P)``: left, tie, right; strengths, ties, side, then effects of raters and of items."""
    n, width = len(votes), basis.shape[1]
    left, right = basis[votes.left], basis[votes.right]
    strength = np.stack([left, (left + right) / 2, right], axis=1)
    own = [np.zeros((n, 3, 1)) for _ in range(1 + ties)]
    own[-1][:, 0], own[-1][:, 2] = 0.5, -0.5
    if ties:
        own[0][:, 1] = 1
    blocks = [np.zeros((n, 3, count * width)) for count in (n_raters, n_items)]
    rows = np.arange(n)[:, None]
    for block, numbers in zip(blocks, (raters, items), strict=True):
        columns = numbers[:, None] * width + np.arange(width)
        for alternative in range(3):
            block[rows, alternative, columns] = strength[:, alternative]
    return np.concatenate([strength, *own, *blocks], axis=2)


def _mode(
    features: FloatArray, chosen: IntArray, ridge: FloatArray, start: FloatArray, ties: bool
) -> tuple[FloatArray, FloatArray]:
    """Mode of the penalised likelihood, and the inverse of its curvature there."""
    n, beta = len(features), start
    gone = np.zeros(3) if ties else np.array([0.0, -np.inf, 0.0])

    def objective(at: FloatArray) -> float:
        logits = features @ at + gone
        return float((logits[np.arange(n), chosen] - _log_sum(logits)).sum() - 0.5 * (ridge * at**2).sum())

    value = objective(beta)
    for _ in range(50):
        logits = features @ beta + gone
        p = np.exp(logits - _log_sum(logits)[:, None])
        mean = np.einsum("nk,nkp->np", p, features)
        gradient = features[np.arange(n), chosen].sum(axis=0) - mean.sum(axis=0) - ridge * beta
        spread = (np.sqrt(p)[:, :, None] * (features - mean[:, None])).reshape(3 * n, -1)
        curvature = spread.T @ spread + np.diag(ridge + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        length = 1.0
        while (better := objective(beta + length * step)) < value - 1e-9 and length > 1e-6:
            length /= 2
        beta, gain, value = beta + length * step, better - value, better
        if gain < 1e-7 * n:
            break
    return beta, np.linalg.inv(curvature)


def _log_sum(logits: FloatArray) -> FloatArray:
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))
