"""Whether raters agree: Krippendorff's alpha, raw agreement, and each rater against the rest.

All of it takes votes in long form: the unit that was judged, who judged, and what they said. A *unit* is an item with
a set of methods and a question, in canonical method order, so that which side a method was shown on does not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import FloatArray, IntArray, codes
from vapbench.stats.clusters import two_way_covariance
from vapbench.stats.intervals import edge_reach, t_critical
from vapbench.stats.votes import PairVotes

Level = Literal["nominal", "interval"]
"""How values differ: equal or not; or by their squared distance, so that a tie lies halfway."""


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha: 1 is full agreement, 0 is chance, below is worse than chance."""

    alpha: float | None
    """None if it does not exist: no unit with two votes, or one value throughout."""
    low: float | None
    high: float | None
    units: int
    """Units with at least two votes; the others say nothing of agreement."""
    votes: int
    """Votes on those units."""
    reason: str = ""
    """Why there is no alpha or no interval."""


def krippendorff_alpha(
    unit: npt.ArrayLike,
    rater: npt.ArrayLike,
    value: npt.ArrayLike,
    level: Level = "nominal",
    confidence: float = 0.95,
    item: npt.ArrayLike | None = None,
) -> Alpha:
    r""":math:`\alpha = 1 - D_o / D_e`: observed over expected disagreement.

    Krippendorff, "Content Analysis" (4th ed. 2019), chapter 12. The interval is two-way cluster-robust (raters, items)
    with t. Let :math:`h_v` be the mean distance of a vote from the others on its unit, :math:`\bar h` that of the
    unit's pairs, and :math:`e_v` the mean distance of a vote from all. The vote's influence on
    :math:`\log(D_o / D_e)` is :math:`[(2 h_v - \bar h - D_o) / D_o - 2 (e_v - D_e) / D_e] / n`. The interval is made on
    the scale of Fisher's z for an intraclass correlation of k votes, :math:`\log[(1 + (k - 1) \alpha) / (1 - \alpha)]`.
    Where nobody disagrees, no variance can be seen, and what remains is what as many independent raters or items,
    whichever are fewer, may have missed.

    Args:
        unit: ``(N,)`` labels.
        rater: ``(N,)`` labels; a rater may judge a unit once.
        value: ``(N,)`` numbers, such as -1, 0, 1, or method numbers for nominal data.
        level: how values differ.
        confidence: of the interval.
        item: ``(N,)`` labels of what units are about, such as a case whose every pair is a unit; None: the units.

    Raises:
        ValueError: a rater judged a unit twice (keep repeated trials out).
    """
    table = _table(unit, rater, value)
    distance = _distance(table.values, level)
    size = table.per_unit.sum(axis=1)
    paired = size[table.unit] >= 2
    units, votes = int((size >= 2).sum()), int(paired.sum())
    point = _alpha(_coincidences(table.per_unit), distance)
    if not math.isfinite(point):
        reason = "no unit has two votes" if not units else "every vote is the same"
        return Alpha(None, None, None, units, votes, reason)
    of, said = table.unit[paired], table.value[paired]
    apart = (table.per_unit @ distance)[of, said] / (size[of] - 1)
    within = (np.bincount(of, apart, minlength=len(size)) / np.maximum(size, 1))[of]
    at_large = (distance @ np.bincount(said, minlength=len(distance)))[said] / votes
    observed, expected = float(apart.mean()), float(at_large.mean())
    influence = 2 * apart - within - observed, 2 * (at_large - expected) / expected
    scores = (influence[0] / (observed or 1.0) - influence[1]) / votes
    items = np.asarray(unit if item is None else item)[paired]
    covariance = two_way_covariance(scores[:, None], table.rater[paired], items)
    if covariance.reason:
        return Alpha(point, None, None, units, votes, covariance.reason)
    if not observed:
        missed = edge_reach(covariance.degrees + 1, confidence) * float(distance.max())
        return Alpha(point, 1 - missed / expected, 1.0, units, votes)
    half = t_critical(confidence, covariance.degrees) * math.sqrt(covariance.variance([1.0]))
    return Alpha(point, *_ends(point, half, votes / units), units, votes)


def _ends(alpha: float, half: float, k: float) -> tuple[float, float]:
    """Ends of an interval that reaches ``half`` to either side on the scale of ``log(1 - alpha)``, near alpha."""
    # With unequal units alpha can lie beyond the scale's lower end, -1 / (k - 1).
    k = min(k, 1 - 0.5 / alpha) if alpha < 0 else k
    odds, reach = (1 + (k - 1) * alpha) / (1 - alpha), math.exp(k * half / (1 + (k - 1) * alpha))
    low, high = ((z - 1) / (z + k - 1) for z in (odds / reach, odds * reach))
    return low, high


def alpha_both_ways(unit: npt.ArrayLike, rater: npt.ArrayLike, value: npt.ArrayLike) -> float | None:
    """A variant of Krippendorff's alpha (interval) that does not depend on which of two methods counts as +1.

    Every unit is also read the other way round, with values of the other sign. Where the better method mostly counts as
    +1, most agreement is expected by the marginals, and alpha is near 0 for raters who agree; this variant is not.

    Args:
        unit: as in :func:`krippendorff_alpha`.
        rater: likewise.
        value: ``(N,)`` 1, 0 or -1, as of :func:`canonical_outcomes`.
    """
    numbers, count = codes(unit)
    values = np.asarray(value, dtype=np.float64)
    table = _table(
        np.concatenate([numbers, numbers + count]), np.tile(np.asarray(rater), 2), np.concatenate([values, -values])
    )
    alpha = _alpha(_coincidences(table.per_unit), _distance(table.values, "interval"))
    return alpha if math.isfinite(alpha) else None


@dataclass(frozen=True, eq=False)
class RaterAgreement:
    """How far each rater agrees with the others on the same units."""

    raters: npt.NDArray[np.generic]
    """``(R,)`` labels, sorted."""
    agreement: FloatArray
    """``(R,)`` mean share of other raters' votes on the same unit that say the same; NaN if nobody else judged."""
    robust_z: FloatArray
    """``(R,)`` distance from the median in scaled median absolute deviations; NaN where agreement is."""


def rater_agreement(unit: npt.ArrayLike, rater: npt.ArrayLike, value: npt.ArrayLike) -> RaterAgreement:
    """Compare each rater with the rest; arguments as in :func:`krippendorff_alpha`."""
    table = _table(unit, rater, value)
    said = table.per_unit[table.unit, table.value] - 1
    others = table.per_unit[table.unit].sum(axis=1) - 1
    with np.errstate(invalid="ignore"):
        shares = np.where(others > 0, said / np.maximum(others, 1), np.nan)
        known = np.isfinite(shares)
        count = np.bincount(table.rater[known], minlength=table.n_raters)
        total = np.bincount(table.rater[known], weights=shares[known], minlength=table.n_raters)
        agreement = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    seen = agreement[np.isfinite(agreement)]
    centre = float(np.median(seen)) if len(seen) else np.nan
    spread = 1.4826 * float(np.median(np.abs(seen - centre))) if len(seen) else np.nan
    z = (agreement - centre) / spread if spread > 0 else np.where(np.isfinite(agreement), 0.0, np.nan)
    return RaterAgreement(np.unique(np.asarray(rater)), agreement, z)


def raw_agreement(unit: npt.ArrayLike, rater: npt.ArrayLike, value: npt.ArrayLike) -> float | None:
    """Share of pairs of votes on a unit that agree, every pair weighing the same; None without such pairs."""
    table = _table(unit, rater, value)
    size = table.per_unit.sum(axis=1)
    pairs = float((size * (size - 1)).sum())
    same = float((table.per_unit * (table.per_unit - 1)).sum())
    return same / pairs if pairs else None


def canonical_outcomes(votes: PairVotes) -> tuple[npt.NDArray[np.str_], IntArray]:
    """Units and values of pairwise votes, whichever side methods were shown on.

    Returns:
        ``(N,)`` unit names (item and unordered pair), and ``(N,)`` values: 1 if the method of the lower number won,
        0 for a tie, -1 if the other did.
    """
    low, high = np.minimum(votes.left, votes.right), np.maximum(votes.left, votes.right)
    items, _ = codes(votes.item)
    units = np.array([f"{i}:{a}:{b}" for i, a, b in zip(items, low, high, strict=True)])
    return units, np.where(votes.left == low, votes.outcome, -votes.outcome)


@dataclass(frozen=True, eq=False)
class _Table:
    unit: IntArray
    rater: IntArray
    value: IntArray
    n_raters: int
    values: FloatArray
    """``(V,)`` the different values."""
    per_unit: FloatArray
    """``(U, V)`` votes."""


def _table(unit: npt.ArrayLike, rater: npt.ArrayLike, value: npt.ArrayLike) -> _Table:
    units, n_units = codes(unit)
    raters, n_raters = codes(rater)
    values, numbers = np.unique(np.asarray(value, dtype=np.float64), return_inverse=True)
    numbers = numbers.reshape(-1).astype(np.int64)
    if not len(units) == len(raters) == len(numbers):
        raise ValueError("unit, rater and value differ in length")
    if len(np.unique(raters * n_units + units)) < len(units):
        raise ValueError("a rater judged a unit twice; keep repeated trials out")
    flat = np.bincount(units * len(values) + numbers, minlength=n_units * len(values))
    return _Table(units, raters, numbers, n_raters, values, flat.reshape(n_units, -1).astype(np.float64))


def _distance(values: FloatArray, level: Level) -> FloatArray:
    if level == "nominal":
        return 1 - np.eye(len(values))
    return np.asarray((values[:, None] - values[None, :]) ** 2)


def _coincidences(per_unit: FloatArray) -> FloatArray:
    """``(U, V)`` votes as ``(V, V)`` coincidences: of a unit as many as it has votes, none where it has one."""
    products = per_unit[:, :, None] * per_unit[:, None, :]
    diagonal = np.arange(per_unit.shape[1])
    products[:, diagonal, diagonal] -= per_unit
    return np.asarray((products / np.maximum(per_unit.sum(axis=1) - 1, 1)[:, None, None]).sum(axis=0))


def _alpha(coincidences: FloatArray, distance: FloatArray) -> float:
    """Alpha of ``(V, V)`` coincidences; NaN where nothing could disagree."""
    marginal = coincidences.sum(axis=1)
    expected = float(marginal @ distance @ marginal)
    observed = float((coincidences * distance).sum())
    return 1 - (float(marginal.sum()) - 1) * observed / expected if expected > 0 else math.nan
