"""Which numbers of a column are bold, and which are underlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vapbench.report.model import TableModel
from vapbench.report.tables.layout import Mark

ALPHA = 0.05


@dataclass(frozen=True)
class Marks:
    """Rows of one column."""

    best: frozenset[int] = frozenset()
    second: frozenset[int] = frozenset()


def marks_of(model: TableModel, column: int, mark: Mark) -> Marks:
    """Best and second best of the rows that are ranked.

    Args:
        model: the table.
        column: which of its columns.
        mark: ``displayed``: by the digits shown, so that equal prints get equal marks. ``significant``: best is
            whatever is not significantly worse than the best mean, second the same among the others; by sign-flip
            tests over conditions, adjusted for all rows compared (max-t). Where that is every row, as with few
            conditions, none is marked. Rows without cases of their own, such as published ones, cannot be tested.
            Preferences are marked by rank intervals either way.
    """
    if any(line[column].votes for line in model.cells):
        # Votes have no score per case to test, and digits of shares mislead most: their rank intervals decide.
        spans = {row: line[column].ranks for row, line in enumerate(model.cells)}
        first = frozenset(row for row, span in spans.items() if span and span[0] == 1)
        return Marks(first) if len(first) < sum(span is not None for span in spans.values()) else Marks()
    places = {row: line[column].place for row, line in enumerate(model.cells)}
    ranked = {row: place for row, place in places.items() if place is not None}
    if mark == "significant":
        testable = [row for row in ranked if model.scores and model.scores[row][column]]
        best = _not_worse(model, column, testable)
        if len(best) == len(testable):
            return Marks()
        return Marks(best, _not_worse(model, column, [row for row in testable if row not in best]))
    after = min((place for place in ranked.values() if place > 1), default=None)
    first = frozenset(row for row, place in ranked.items() if place == 1)
    return Marks(first, frozenset(row for row, place in ranked.items() if place == after))


def explanation(mark: Mark) -> str:
    """What the foot of a table says of its marks."""
    if mark == "displayed":
        return "Bold is best and underlined second best of the column, by the digits shown."
    return (
        "Bold is not significantly worse than the best of the column, underlined than the best of the others "
        f"(sign-flip by condition, max-t over the methods, p < {ALPHA:g}); without bold, nothing is."
    )


def _not_worse(model: TableModel, column: int, rows: Sequence[int]) -> frozenset[int]:
    """The best of ``rows``, and those that are not significantly worse."""
    from vapbench.report.ranking import units_of
    from vapbench.stats.paired import Pairs, paired_differences

    if not rows:
        return frozenset()
    sign = 1 if model.columns[column].higher_is_better else -1
    leader = max(rows, key=lambda row: sign * (model.cells[row][column].mean or 0.0))
    others = [row for row in rows if row != leader]
    # Ranked rows have a score for every case of the table.
    cases = list(model.scores[leader][column])
    units = units_of({case: model.conditions[case] for case in cases})
    clusters = [units.of[case] for case in cases]
    values = {row: [model.scores[row][column][case] for case in cases] for row in rows}
    tests = paired_differences([Pairs(values[leader], values[row], clusters) for row in others])
    return frozenset({leader, *(row for row, test in zip(others, tests, strict=True) if test.adjusted >= ALPHA)})
