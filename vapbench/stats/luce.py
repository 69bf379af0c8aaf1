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
from vapbench.stats.davidson import PRIOR_SD, SEPARATION
from vapbench.stats.newton import basis_of, components, maximise, strongly_connected
from vapbench.stats.profile import Profile
from vapbench.stats.strengths import Strengths
from vapbench.stats.votes import ChoiceVotes


@dataclass(frozen=True, eq=False)
class Luce(Strengths):
    """A fitted choice model."""

    votes: int
    notes: tuple[str, ...] = ()
    """What a reader must know, such as ``regularised; separation``."""


def fit_luce(votes: ChoiceVotes) -> Luce:
    """Fit the model, with two-way cluster-robust (rater x item) covariance.

    Args:
        votes: best-of-n or best-of-k votes; a tie among ``k`` counts ``1/k`` for each.

    Raises:
        ArithmeticError: the fit does not converge.
    """
    n = votes.n_methods
    shown = votes.shown if votes.shown is not None else np.ones(votes.credit.shape, dtype=bool)
    sets, member = np.unique(shown, axis=0, return_inverse=True)
    member = member.reshape(-1)
    counts = group_sums(votes.credit, member.astype(np.int64), len(sets))
    pieces = components((sets.astype(np.int64).T @ sets.astype(np.int64)) > 0)
    basis = basis_of(pieces)
    width = basis.shape[1]
    features = np.broadcast_to(basis, (len(sets), n, width)).copy()
    notes: tuple[str, ...] = ()
    beats = (counts > 0).astype(np.int64).T @ sets.astype(np.int64) > 0
    whole = all(strongly_connected(beats[np.ix_(piece, piece)]) for piece in pieces)
    solution = maximise(features, counts[None], np.zeros(width), available=sets) if whole else None
    profile = None
    if solution is None or not solution.converged[0]:
        notes = (SEPARATION,)
        solution = maximise(
            features, counts[None], np.zeros(width), available=sets, precision=np.full(width, 1 / PRIOR_SD**2)
        )
        if not solution.converged[0]:
            raise ArithmeticError("the Luce model does not converge on these votes, even with a prior")
        profile = Profile(features, counts, sets)
    strength = basis @ solution.beta[0]
    residual = votes.credit - _probabilities(strength, sets)[member]
    influence = residual @ basis @ np.linalg.inv(solution.information[0]) @ basis.T
    covariance = two_way_covariance(influence, votes.rater, votes.item)
    return Luce(
        strength, covariance, len(votes), notes, pieces=tuple(pieces), profile=profile, basis=basis if profile else None
    )


def _probabilities(strength: FloatArray, sets: BoolArray) -> FloatArray:
    weights = np.where(sets, np.exp(strength - strength.max()), 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
