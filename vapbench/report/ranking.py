"""Which ranks a column's methods may have, and how each differs from a reference method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vapbench.files.text import counted
from vapbench.stats.intervals import FEWEST_CONDITIONS, fixed_conditions

Scores = Mapping[str, float]
"""Case -> score, seeds averaged."""

SHORTFALL = 0.05
"""No test where more than this share of the cases lacks a score on either side."""


@dataclass(frozen=True)
class Versus:
    """A method against the reference method, on the cases both have."""

    difference: float
    """Mean of the method less the reference's, in the metric's unit."""
    low: float | None
    """Lower end of the differences that its test by itself does not reject; None if there is no interval."""
    high: float | None
    p: float
    """Sign-flip p-value, adjusted for all methods of the column."""
    n: int
    """Common cases."""


@dataclass(frozen=True)
class Units:
    """What the cases of a table are clustered by, in every test, rank and interval of it."""

    of: Mapping[str, str]
    """Case -> its condition; the case itself where conditions are fixed."""
    fixed: bool
    """Whether the conditions are taken as they are; see :func:`vapbench.stats.intervals.fixed_conditions`."""

    @property
    def name(self) -> str:
        """What one of them is called, in the plural."""
        return "cases" if self.fixed else "conditions"

    @property
    def how(self) -> str:
        """How a footer says it."""
        return "cases within these conditions" if self.fixed else "conditions"


def units_of(conditions: Mapping[str, str]) -> Units:
    """Choose by the plan, before any score is looked at.

    Args:
        conditions: planned case -> condition.
    """
    if not fixed_conditions(conditions.values()):
        return Units(conditions, False)
    return Units({case: case for case in conditions}, True)


def fixed_note(conditions: Mapping[str, str]) -> str:
    """What a reader must know of an analysis with fixed conditions."""
    return (
        f"With {counted(len(set(conditions.values())), 'condition')}, fewer than {FEWEST_CONDITIONS}, cases are "
        "taken as drawn and conditions as given: intervals, ranks and tests are about these conditions, not about "
        "others like them."
    )


def out_of_reach(units: int, name: str, alpha: float = 0.05) -> str:
    """Why no difference can be significant, if it is so; else empty.

    A pattern of signs and its opposite say the same, so of C signs one in 2^(C-1) patterns is as far out as a
    difference that all share, however many differences are tested together.

    Args:
        units: conditions (or cases) that are flipped, the largest number of any of the tests.
        name: what they are called.
        alpha: level.
    """
    from vapbench.stats.flips import least_p

    if not units or (least := least_p(units)) < alpha:
        return ""
    return (
        f"With {counted(units, name.removesuffix('s'))} no p-value is below {least:.3f}: no difference, "
        f"however large, can be significant at {alpha:g}; that takes more {name}."
    )


def rank_spans(
    scores: Sequence[Scores | None], units: Units, higher_is_better: bool | None
) -> list[tuple[int, int] | None]:
    """Rank intervals of one column: best and worst rank each method may have, all at once with 95 %.

    Args:
        scores: per row, its scores on the same cases; None for rows that are not compared.
        units: what the cases are clustered by.
        higher_is_better: None: no direction, no ranks.

    Returns:
        Per row, (best, worst); None where there is nothing to rank, or too few conditions to.
    """
    import numpy as np

    from vapbench.stats.arrays import codes, group_sums
    from vapbench.stats.flips import flip_ranks

    compared = [index for index, values in enumerate(scores) if values]
    nothing: list[tuple[int, int] | None] = [None] * len(scores)
    if higher_is_better is None or len(compared) < 2:
        return nothing
    cases = list(scores[compared[0]] or ())
    clusters, count = codes([units.of[case] for case in cases])
    if out_of_reach(count, units.name):
        return nothing
    sign = 1.0 if higher_is_better else -1.0
    columns = [list(map((scores[row] or {}).__getitem__, cases)) for row in compared]
    matrix = sign * np.array(columns).T
    ranks = flip_ranks(group_sums(matrix, clusters, count))
    for place, row in enumerate(compared):
        nothing[row] = (ranks.best[place], ranks.worst[place])
    return nothing


def against(scores: Sequence[Scores | None], reference: int, units: Units, total: int) -> list[Versus | None]:
    """Differences of each row from the row ``reference``, with p-values adjusted over the rows.

    Args:
        scores: per row, its scores; None for rows that take no part.
        reference: row compared with.
        units: what the cases are clustered by.
        total: cases of the table; a row with less than 95 % of them in common with the reference is not tested.
    """
    from vapbench.stats.paired import Pairs, paired_differences

    base = scores[reference] or {}
    family: dict[int, Pairs] = {}
    for row, values in enumerate(scores):
        common = [case for case in values or () if case in base]
        if row == reference or not values or len(common) < (1 - SHORTFALL) * total or not common:
            continue
        family[row] = Pairs(
            [values[case] for case in common], [base[case] for case in common], [units.of[case] for case in common]
        )
    found: list[Versus | None] = [None] * len(scores)
    for row, result in zip(family, paired_differences(list(family.values()), unit=units.name), strict=True):
        found[row] = Versus(result.mean, result.low, result.high, result.adjusted, result.n)
    return found
