r"""Luce's choice model for best-of-n votes: :math:`P(m \mid S) = e^{\theta_m} / \sum_{j \in S} e^{\theta_j}`.

Luce, "Individual Choice Behavior" (1959); the first choice of Plackett (1975). When every trial shows every method
the Luce shares equal the pooled choice shares; when trials show subsets (best-of-k), they are what makes different
subsets comparable. For subsets of two it is the Bradley-Terry model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vapbench.stats.arrays import BoolArray, FloatArray, group_sums
from vapbench.stats.clusters import two_way_covariance
from vapbench.stats.davidson import PRIOR_SD, SeparationError
from vapbench.stats.newton import maximise, strongly_connected, sum_zero_basis
from vapbench.stats.strengths import Strengths
from vapbench.stats.votes import ChoiceVotes


@dataclass(frozen=True, eq=False)
class Luce(Strengths):
    """A fitted choice model."""

    votes: int
    notes: tuple[str, ...] = ()
    """What a reader must know, such as ``regularised; separation``."""


def fit_luce(votes: ChoiceVotes, strict: bool = False) -> Luce:
    """Fit the model, with two-way cluster-robust (rater x item) covariance.

    Args:
        votes: best-of-n or best-of-k votes; a tie among ``k`` counts ``1/k`` for each.
        strict: refuse separated data (a method never chosen, subsets that do not connect) instead of regularising
            them with ``theta ~ N(0, 2^2)``.

    Raises:
        SeparationError: ``strict``, and there are no finite strengths.
        ArithmeticError: the fit does not converge.
    """
    n = votes.n_methods
    shown = votes.shown if votes.shown is not None else np.ones(votes.credit.shape, dtype=bool)
    sets, member = np.unique(shown, axis=0, return_inverse=True)
    member = member.reshape(-1)
    counts = group_sums(votes.credit, member.astype(np.int64), len(sets))
    basis = sum_zero_basis(n)
    features = np.broadcast_to(basis, (len(sets), n, n - 1)).copy()
    notes: tuple[str, ...] = ()
    beats = (counts > 0).astype(np.int64).T @ sets.astype(np.int64) > 0
    solution = maximise(features, counts[None], np.zeros(n - 1), available=sets) if strongly_connected(beats) else None
    if solution is None or not solution.converged[0]:
        if strict:
            raise SeparationError(
                "some methods were never chosen, or never shown with the others: no finite strengths fit"
            )
        notes = ("regularised; separation",)
        prior = np.full(n - 1, 1 / PRIOR_SD**2)
        solution = maximise(features, counts[None], np.zeros(n - 1), available=sets, precision=prior)
        if not solution.converged[0]:
            raise ArithmeticError("the Luce model does not converge on these votes, even with a prior")
    strength = basis @ solution.beta[0]
    residual = votes.credit - _probabilities(strength, sets)[member]
    influence = residual @ basis @ np.linalg.inv(solution.information[0]) @ basis.T
    return Luce(strength, two_way_covariance(influence, votes.rater, votes.item), len(votes), notes)


def _probabilities(strength: FloatArray, sets: BoolArray) -> FloatArray:
    weights = np.where(sets, np.exp(strength - strength.max()), 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
