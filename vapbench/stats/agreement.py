"""Whether raters agree: Krippendorff's alpha, raw agreement, and each rater against the rest.

All of it takes votes in long form: the unit that was judged, who judged, and what they said. A *unit* is an item with
a set of methods and a question, in canonical method order, so that which side a method was shown on does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import FloatArray, IntArray, codes
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
    replicates: int = 1_000,
    seed: int = 0,
) -> Alpha:
    r""":math:`\alpha = 1 - D_o / D_e`: observed over expected disagreement.

    Krippendorff, "Content Analysis" (4th ed. 2019), chapter 12. The interval resamples units and, separately,
    raters, and is the wider of the two: which units were judged and who judged are both chance. A rater drawn twice
    is not compared with themselves.

    Args:
        unit: ``(N,)`` labels.
        rater: ``(N,)`` labels; a rater may judge a unit once.
        value: ``(N,)`` numbers, such as -1, 0, 1, or method numbers for nominal data.
        level: how values differ.
        confidence: of the interval.
        replicates: bootstrap replicates.
        seed: of the bootstrap.

    Raises:
        ValueError: a rater judged a unit twice (keep repeated trials out).
    """
    table = _table(unit, rater, value)
    distance = _distance(table.values, level)
    pairable = table.per_unit.sum(axis=1) >= 2
    units, votes = int(pairable.sum()), int(table.per_unit[pairable].sum())
    whole = _alpha(_coincidences(table.per_unit[None], table.per_unit[None]).sum(axis=1), distance)
    point = float(whole[0])
    if not np.isfinite(point):
        reason = "no unit has two votes" if not units else "every vote is the same"
        return Alpha(None, None, None, units, votes, reason)
    if units < 5:
        return Alpha(
            point,
            None,
            None,
            units,
            votes,
            "1 unit gives no interval" if units == 1 else f"{units} units give no interval",
        )
    rng = np.random.default_rng(seed)
    by_unit = _over_units(table, distance, replicates, rng)
    by_rater = _over_raters(table, distance, replicates, rng)
    tail = (1 - confidence) / 2
    ends = [
        np.quantile(sample, [tail, 1 - tail])
        for sample in (by_unit[np.isfinite(by_unit)], by_rater[np.isfinite(by_rater)])
        if len(sample)
    ]
    low, high = max(ends, key=lambda pair: float(pair[1] - pair[0]))
    return Alpha(point, float(low), float(high), units, votes)


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
    whole = _coincidences(table.per_unit[None], table.per_unit[None]).sum(axis=1)
    alpha = float(_alpha(whole, _distance(table.values, "interval"))[0])
    return alpha if np.isfinite(alpha) else None


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


def _coincidences(counts: FloatArray, self_pairs: FloatArray) -> FloatArray:
    """``(B, U, V)`` counts, and pairs of a vote with itself, as ``(B, U, V, V)`` coincidences.

    A unit's coincidences sum to its number of votes; a unit without two different raters has none.
    """
    products = counts[..., :, None] * counts[..., None, :]
    diagonal = np.arange(counts.shape[-1])
    products[..., diagonal, diagonal] -= self_pairs
    pairs = products.sum(axis=(-1, -2), keepdims=True)
    size = counts.sum(axis=-1)[..., None, None]
    return np.where(pairs > 0, products * size / np.maximum(pairs, 1e-300), 0.0)


def _alpha(coincidences: FloatArray, distance: FloatArray) -> FloatArray:
    """``(B, V, V)`` coincidences as ``(B,)`` alphas; NaN where nothing could disagree."""
    marginal = coincidences.sum(axis=2)
    total = marginal.sum(axis=1)
    observed = (coincidences * distance).sum(axis=(1, 2))
    expected = (marginal[:, :, None] * marginal[:, None, :] * distance).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(expected > 0, 1 - (total - 1) * observed / expected, np.nan))


def _over_units(table: _Table, distance: FloatArray, replicates: int, rng: np.random.Generator) -> FloatArray:
    each = _coincidences(table.per_unit[None], table.per_unit[None])[0]
    n, width = len(each), len(table.values)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=replicates).astype(np.float64)
    return _alpha((weights @ each.reshape(n, -1)).reshape(-1, width, width), distance)


def _over_raters(table: _Table, distance: FloatArray, replicates: int, rng: np.random.Generator) -> FloatArray:
    from scipy.sparse import csr_array

    n_units, width = table.per_unit.shape
    cell = table.unit * width + table.value
    votes = csr_array((np.ones(len(cell)), (cell, table.rater)), shape=(n_units * width, table.n_raters))
    alphas = np.empty(replicates)
    # In parts, as a product of votes has units x values x values numbers per replicate.
    step = max(1, 4_000_000 // (n_units * width * width))
    for start in range(0, replicates, step):
        size = min(step, replicates - start)
        weights = rng.multinomial(table.n_raters, np.full(table.n_raters, 1 / table.n_raters), size=size)
        counts = (votes @ weights.T).T.reshape(size, n_units, width)
        own = (votes @ (weights.T**2)).T.reshape(size, n_units, width)
        alphas[start : start + size] = _alpha(_coincidences(counts, own).sum(axis=1), distance)
    return alphas
