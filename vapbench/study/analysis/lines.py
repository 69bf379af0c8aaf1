"""Pieces of a report in plain text: aligned columns, and numbers with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from vapbench.core.text_table import table_lines
from vapbench.stats.clusters import Interval

GAP = "  "


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: bool = True) -> list[str]:
    """First column to the left, the others to the right (or all to the left)."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    return table_lines(cells, left=1 if right else len(header))


def percent(interval: Interval | None) -> str:
    """A share in percent, with its interval."""
    return "" if interval is None else f"{100 * interval.estimate:.1f} {span(interval)}".rstrip()


def span(interval: Interval | None) -> str:
    """The interval of a share in percent; empty without one."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"[{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def plain_interval(interval: Interval) -> str:
    """A number as it is, with its interval."""
    return with_ends(interval.estimate, interval.low, interval.high)


def with_ends(value: float | None, low: float | None, high: float | None) -> str:
    """The same from three numbers."""
    if value is None:
        return "none"
    ends = f" [{low:.2f}, {high:.2f}]" if low is not None and high is not None else ""
    return f"{value:.2f}{ends}"
