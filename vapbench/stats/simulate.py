"""Simulated votes: for planning a study, and for testing that the estimators cover.

Raters and items have tastes of their own: each adds a normal deviation to every method's strength. That is what makes
votes of one rater, or on one item, alike, and what intervals must allow for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import FloatArray, IntArray, LabelArray, codes
from vapbench.stats.votes import LEFT, RIGHT, TIE, ChoiceVotes, PairVotes, choices


@dataclass(frozen=True, eq=False)
class Tastes:
    """A population of raters and items."""

    strength: FloatArray
    """``(n_methods,)`` log strengths."""
    ties: float = 0.5
    """nu of the Davidson model: equal methods tie with probability ``nu / (2 + nu)``."""
    side: float = 0.0
    """delta of the Davidson model: log-odds of left over right between equal methods."""
    rater_sd: float = 0.5
    """Spread of raters' tastes, per method, on the log scale."""
    item_sd: float = 0.8
    """Spread of items, per method, on the log scale."""


def simulate_pairs(
    tastes: Tastes, left: IntArray, right: IntArray, rater: LabelArray, item: LabelArray, rng: np.random.Generator
) -> PairVotes:
    """Vote on the trials of a design, such as an assigner made.

    Args:
        tastes: who votes, on what.
        left: ``(N,)`` method shown left.
        right: ``(N,)`` method shown right.
        rater: ``(N,)`` labels.
        item: ``(N,)`` labels.
        rng: source of chance.
    """
    utility = _utilities(tastes, rater, item, rng)
    index = np.arange(len(left))
    a, b = utility[index, left], utility[index, right]
    weights = np.stack(
        [np.exp(a + tastes.side / 2), tastes.ties * np.exp((a + b) / 2), np.exp(b - tastes.side / 2)], axis=1
    )
    threshold = rng.random(len(left)) * weights.sum(axis=1)
    picked = (threshold[:, None] >= np.cumsum(weights, axis=1)[:, :2]).sum(axis=1)
    outcome = np.array([LEFT, TIE, RIGHT])[picked]
    return PairVotes(len(tastes.strength), left, right, outcome, rater, item)


def simulate_choices(
    tastes: Tastes,
    rater: LabelArray,
    item: LabelArray,
    rng: np.random.Generator,
    shown: npt.NDArray[np.bool_] | None = None,
) -> ChoiceVotes:
    """Choose the best of all shown in each of ``(N,)`` trials (``shown``: ``(N, n_methods)``; None: all)."""
    utility = _utilities(tastes, rater, item, rng) + rng.gumbel(size=(len(rater), len(tastes.strength)))
    if shown is not None:
        utility = np.where(shown, utility, -np.inf)
    return choices(utility.argmax(axis=1), len(tastes.strength), rater, item, shown)


def _utilities(tastes: Tastes, rater: LabelArray, item: LabelArray, rng: np.random.Generator) -> FloatArray:
    raters, n_raters = codes(rater)
    items, n_items = codes(item)
    n = len(tastes.strength)
    own = rng.normal(0, tastes.rater_sd, (n_raters, n))
    case = rng.normal(0, tastes.item_sd, (n_items, n))
    return np.asarray(tastes.strength + own[raters] + case[items])
