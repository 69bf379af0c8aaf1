r"""Does a model agree with people as people agree with each other? Both by one estimator, on the same units.

For a unit :math:`u` (an item, a set of methods, a question) let :math:`m_u` be the share of pairs (a vote of the
model's, a person's vote) that say the same, and :math:`h_u` that of pairs of votes of two people. The estimates are the
means of :math:`m_u` and :math:`h_u` over units that have both, so that easy and hard units weigh alike on either side.

With the influence :math:`d_p` of a pair on the estimate, :math:`D_r` the sum over pairs that person :math:`r` is in,
:math:`D_i` over those of item :math:`i`, and :math:`D_{ri}` over both,

.. math::
    V = \frac{R}{R-1} \sum_r D_r D_r^\top + \frac{I}{I-1} \sum_i D_i D_i^\top - \sum_{r,i} D_{ri} D_{ri}^\top ,

which is the two-way cluster-robust covariance for statistics of pairs (Hájek's projection: a pair of people counts for
both). The model is one and fixed; people and items are drawn. No variance is below that by items alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from vapbench.stats.arrays import FloatArray, codes, group_sums
from vapbench.stats.clusters import Covariance, Interval, logit_interval


@dataclass(frozen=True)
class Said:
    """One vote that prefers something."""

    unit: Hashable
    item: Hashable
    rater: Hashable
    """Who voted; of a model's votes not looked at."""
    answer: Hashable


@dataclass(frozen=True)
class Concordance:
    """How often two votes on the same say the same; a coin among two gives one half."""

    with_people: Interval
    """A vote of the model's and one of a person's."""
    among_people: Interval
    """Votes of two people."""
    difference: Interval
    """The first less the second; not on the logit scale."""
    units: int
    """Units with a vote of the model's and votes of two people or more."""
    pairs: tuple[int, int]
    """Pairs of votes: model and person, two people."""


def concordance(people: Sequence[Said], model: Sequence[Said]) -> Concordance | None:
    """Compare a model's votes with people's.

    Args:
        people: votes that prefer something; a person's first on each unit counts.
        model: the model's, any number on a unit.

    Returns:
        None if no unit has votes of the model and of two people.
    """
    of_unit: dict[Hashable, dict[Hashable, Said]] = defaultdict(dict)
    for vote in people:
        of_unit[vote.unit].setdefault(vote.rater, vote)
    of_model: dict[Hashable, list[Said]] = defaultdict(list)
    for vote in model:
        of_model[vote.unit].append(vote)
    units = [unit for unit, votes in of_unit.items() if len(votes) > 1 and of_model[unit]]
    if not units:
        return None
    pairs = [_pairs(list(of_unit[unit].values()), of_model[unit]) for unit in units]
    means = np.array([[np.mean([pair.same for pair in side]) for side in both] for both in pairs])
    estimate = means.mean(axis=0)
    rows: list[tuple[Hashable, Hashable, int, float]] = []
    items: dict[Hashable, FloatArray] = defaultdict(lambda: np.zeros(2))
    for both, mean in zip(pairs, means, strict=True):
        items[both[0][0].item] += (mean - estimate) / len(units)
        for column, side in enumerate(both):
            for pair in side:
                influence = (pair.same - float(estimate[column])) / (len(units) * len(side))
                rows += [(rater, pair.item, column, influence) for rater in pair.raters]
    covariance = _covariance(rows, np.array(list(items.values())))
    counts = sum(len(both[0]) for both in pairs), sum(len(both[1]) for both in pairs)
    return Concordance(
        _share(covariance, estimate, 0, len(units)),
        _share(covariance, estimate, 1, len(units)),
        covariance.interval(float(estimate[0] - estimate[1]), [1, -1]),
        len(units),
        counts,
    )


@dataclass(frozen=True)
class _Pair:
    item: Hashable
    raters: tuple[Hashable, ...]
    """The people in it: one or two."""
    same: bool


def _pairs(people: Sequence[Said], model: Sequence[Said]) -> tuple[list[_Pair], list[_Pair]]:
    """Pairs of the model with people, and of people with each other, on one unit."""
    crossed = [_Pair(b.item, (b.rater,), a.answer == b.answer) for a in model for b in people]
    own = [_Pair(a.item, (a.rater, b.rater), a.answer == b.answer) for a, b in combinations(people, 2)]
    return crossed, own


def _covariance(rows: Sequence[tuple[Hashable, Hashable, int, float]], by_item: FloatArray) -> Covariance:
    scores = np.zeros((len(rows), 2))
    for row, (_, _, column, influence) in enumerate(rows):
        scores[row, column] = influence
    raters, n_raters = codes([str(row[0]) for row in rows])
    items, n_items = codes([str(row[1]) for row in rows])
    cells, n_cells = codes(raters * n_items + items)
    of_raters, of_cells = group_sums(scores, raters, n_raters), group_sums(scores, cells, n_cells)
    alone = by_item.T @ by_item * _inflation(n_items)
    total = of_raters.T @ of_raters * _inflation(n_raters) + alone - of_cells.T @ of_cells
    values, vectors = np.linalg.eigh((total + total.T) / 2)
    matrix = (vectors * np.maximum(values, 0)) @ vectors.T
    return Covariance(matrix, alone, (("raters", n_raters), ("items", n_items)))


def _inflation(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else 1.0


def _share(covariance: Covariance, estimate: FloatArray, column: int, units: int) -> Interval:
    share, contrast = float(estimate[column]), np.eye(2)[column]
    if covariance.reason:
        return Interval(share, None, None, None, covariance.reason)
    return logit_interval(share, covariance.variance(contrast), units, covariance.degrees)
