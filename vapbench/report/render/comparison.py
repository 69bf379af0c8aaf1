"""Comparisons in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vapbench.core.text_table import natural_width, table_lines
from vapbench.files.text import counted, in_a_row
from vapbench.report.tables.comparison import ColumnComparison, Comparison
from vapbench.report.tables.grid import ABSENT

_BLOCKS = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8, 9))
"""Columns of the two blocks that a narrow terminal gets: what the difference is, and what the test says."""
_HEADS = ("metric", "A", "B", "A - B", "95% interval", "p", "p, all", "won/tied/lost", "n", "better")


def without_shared(comparisons: Sequence[Comparison]) -> tuple[list[Comparison], list[str]]:
    """Comparisons without the notes that all of them have, and these notes, to be printed once."""
    if len(comparisons) < 2:
        return list(comparisons), []
    shared = [note for note in comparisons[0].footers if all(note in other.footers for other in comparisons)]
    kept = [replace(c, footers=tuple(note for note in c.footers if note not in shared)) for c in comparisons]
    return kept, list(map(in_a_row, shared))


def lines(comparison: Comparison, width: int | None = None) -> Iterator[str]:
    """The comparison as lines of plain text: a title, an aligned table, and its notes.

    Args:
        comparison: the comparison.
        width: columns there are; a table that needs more goes on in a second block. None: no limit.
    """
    for line in _lines(comparison, width):
        yield from wrapped(line, width)


def wrapped(text: str, width: int | None) -> list[str]:
    """Text as lines no wider than ``width``."""
    if width is None or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent="  ")


def _lines(comparison: Comparison, width: int | None) -> Iterator[str]:
    task = f" · {comparison.task}" if comparison.task else ""
    yield in_a_row(f"{comparison.suite}{task}: A = {comparison.a}, B = {comparison.b}")
    yield ""
    if not comparison.columns:
        yield "No column in common, scored by the same files; score both runs: vapbench score --help"
        return
    rows = [_HEADS, *(_cells(column) for column in comparison.columns)]
    fits = width is None or natural_width(rows) <= width
    for block in [range(len(_HEADS))] if fits else _BLOCKS:
        yield from table_lines([[row[column] for column in block] for row in rows], width)
        yield ""
    for column in comparison.columns:
        if column.reason:
            yield in_a_row(f"{column.column.title}: {column.reason}.")
        if column.yes_or_no and column.difference:
            cases = f"only A in {column.difference.wins}, only B in {counted(column.difference.losses, 'case')}"
            yield in_a_row(f"{column.column.title}: {cases}.")
    yield from (in_a_row(remark.line) for remark in comparison.remarks)
    yield from map(in_a_row, comparison.footers)


def p_text(p: float) -> str:
    """A p-value with three digits, never as zero."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _cells(item: ColumnComparison) -> tuple[str, ...]:
    column, difference = item.column, item.difference
    means = [ABSENT if mean is None else column.text(mean) for mean in (item.mean_a, item.mean_b)]
    count = f"{item.n}/{item.total}"
    title = in_a_row(column.header)
    if difference is None:
        return (title, *means, *[ABSENT] * 5, count, "")
    text = column.text(difference.mean)
    signed = text if difference.mean <= 0 else f"+{text}"
    ends = (
        f"[{column.text(difference.low)}, {column.text(difference.high)}]"
        if difference.low is not None and difference.high is not None
        else ABSENT
    )
    won, lost = (difference.wins, difference.losses)
    if column.higher_is_better is False:
        won, lost = lost, won
    tests = p_text(difference.p), p_text(difference.adjusted)
    better = item.verdict or (f"({item.alone})" if item.alone else "")
    return (title, *means, signed, ends, *tests, f"{won}/{difference.ties}/{lost}", count, better)
