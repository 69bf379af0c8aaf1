"""Which ranks a column's methods may have, and how each differs from a reference method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vapbench.stats.paired import EXACT_CLUSTERS

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
    """Lower end of the bootstrap interval over conditions."""
    high: float | None
    p: float
    """Sign-flip p-value, adjusted by Holm over the column."""
    n: int
    """Common cases."""


def out_of_reach(conditions: int, tests: int, alpha: float = 0.05) -> str:
    """Why no difference can be significant, if it is so; else empty.

    A sign-flip test over C conditions has 2^C sign patterns, two of which are as far out as a difference that all
    conditions share, so no p-value is below 2 / 2^C; the smallest of m counts m times after Holm.

    Args:
        conditions: conditions tested on, the largest number of any of the tests.
        tests: tests that are adjusted for each other.
        alpha: level.
    """
    if not conditions or not tests or conditions > EXACT_CLUSTERS or (least := 2.0 ** (1 - conditions)) * tests < alpha:
        return ""
    return (
        f"With {conditions} conditions no p-value is below {least:.3f}, {min(1.0, least * tests):.3f} after Holm over "
        f"{tests}: no difference, however large, can be significant at {alpha:g}; that takes more conditions."
    )


def rank_spans(
    scores: Sequence[Scores | None], conditions: Mapping[str, str], higher_is_better: bool | None
) -> list[tuple[int, int] | None]:
    """Rank intervals of one column: best and worst rank each method may have, all at once with 95 %.

    Args:
        scores: per row, its scores on the same cases; None for rows that are not compared.
        conditions: case -> condition.
        higher_is_better: None: no direction, no ranks.

    Returns:
        Per row, (best, worst); None where there is nothing to rank, or too few conditions to.
    """
    import numpy as np

    from vapbench.stats.clusters import clustered_covariance
    from vapbench.stats.strengths import rank_intervals

    compared = [index for index, values in enumerate(scores) if values]
    nothing: list[tuple[int, int] | None] = [None] * len(scores)
    if higher_is_better is None or len(compared) < 2:
        return nothing
    cases = list(scores[compared[0]] or ())
    sign = 1.0 if higher_is_better else -1.0
    matrix = sign * np.array([[(scores[row] or {})[case] for row in compared] for case in cases])
    means = matrix.mean(axis=0)
    covariance = clustered_covariance((matrix - means) / len(cases), np.array([conditions[case] for case in cases]))
    if covariance.reason:
        return nothing
    ranks = rank_intervals(means, covariance)
    for place, row in enumerate(compared):
        nothing[row] = (ranks.best[place], ranks.worst[place])
    return nothing


def against(
    scores: Sequence[Scores | None], reference: int, conditions: Mapping[str, str], total: int
) -> list[Versus | None]:
    """Differences of each row from the row ``reference``, with p-values adjusted by Holm over the rows.

    Args:
        scores: per row, its scores; None for rows that take no part.
        reference: row compared with.
        conditions: case -> condition.
        total: cases of the table; a row with less than 95 % of them in common with the reference is not tested.
    """
    from dataclasses import replace

    from vapbench.stats.multiplicity import holm
    from vapbench.stats.paired import paired_difference

    found: list[Versus | None] = [None] * len(scores)
    base = scores[reference] or {}
    for row, values in enumerate(scores):
        common = [case for case in values or () if case in base]
        if row == reference or not values or len(common) < (1 - SHORTFALL) * total or not common:
            continue
        result = paired_difference(
            [values[case] for case in common], [base[case] for case in common], [conditions[case] for case in common]
        )
        found[row] = Versus(result.mean, result.low, result.high, result.p, result.n)
    tested = [row for row, versus in enumerate(found) if versus]
    for row, p in zip(tested, holm([versus.p for versus in found if versus]), strict=True):
        versus = found[row]
        found[row] = replace(versus, p=float(p)) if versus else None
    return found
