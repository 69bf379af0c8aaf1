"""Tables in a terminal: aligned, readable at 80 columns, plain when nobody watches."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from vapbench.core.console import terminal_width
from vapbench.files.text import counted, in_a_row
from vapbench.report.model import Cell, TableModel, scored_of
from vapbench.report.read.columns import Column

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Layout = Literal["inline", "stacked"]
"""Intervals beside the mean, or below it."""

_GAP = "  "
_LONGEST = 10_000
_NO_BREAK = "\N{NO-BREAK SPACE}"
_ABSENT = "\N{EN DASH}"
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class _Column:
    """The texts of a metric column."""

    title: str
    means: tuple[str, ...]
    """Right-aligned, footnote marks after the digits."""
    intervals: tuple[str, ...]

    def body_width(self, layout: Layout) -> int:
        """Width of the widest cell."""
        means, intervals = max(map(len, self.means), default=0), max(map(len, self.intervals), default=0)
        return max(means, intervals) if layout == "stacked" else means + (1 + intervals if intervals else 0)

    def width(self, layout: Layout) -> int:
        """Width of the column: long headers are broken between words."""
        return max(self.body_width(layout), *map(len, self.title.split(" ")), 0)

    def header(self, layout: Layout) -> list[str]:
        """The header's lines."""
        wrapped = textwrap.wrap(self.title, self.width(layout), break_long_words=False, break_on_hyphens=False)
        return [line.replace(_NO_BREAK, " ") for line in wrapped] or [""]


@dataclass(frozen=True)
class _Grid:
    """The texts of a table before they are laid out."""

    labels: tuple[str, ...]
    columns: tuple[_Column, ...]
    counts: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def label_width(self) -> int:
        """Width of the methods' column."""
        return max(map(len, ("method", *self.labels)))

    @property
    def count_width(self) -> int:
        """Width of the n column."""
        return max(map(len, ("n", *self.counts)))

    def width(self, layout: Layout, block: Iterable[int]) -> int:
        """Width of a block of metric columns with the methods and their n."""
        columns = sum(len(_GAP) + self.columns[index].width(layout) for index in block)
        return self.label_width + columns + len(_GAP) + self.count_width


def print_tables(
    models: Sequence[TableModel], console: Console, below: Callable[[TableModel, int | None], Iterable[str]]
) -> None:
    """Print tables one below the other, and the notes that all of them share once, at the end.

    Args:
        models: the tables.
        console: where to print.
        below: further lines of a table, for so many columns; None for no limit.
    """
    shared = [note for note in models[0].footers if all(note in m.footers for m in models)] if len(models) > 1 else []
    for model in models:
        console.print()
        print_table(replace(model, footers=tuple(note for note in model.footers if note not in shared)), console)
        for line in below(model, terminal_width(console)):
            console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
    for note in ("", *shared) if shared else ():
        for text in _wrap(_one_line(note), terminal_width(console)):
            console.print(text, style="dim", soft_wrap=True, highlight=False, markup=False, emoji=False)


def print_table(model: TableModel, console: Console | None = None) -> None:
    """Print a table.

    A terminal gets what fits its width: intervals beside the means, or below them; if they do not fit, the columns
    continue in a second block. Without a terminal the table is plain text, one line per method, as wide as it needs
    to be.
    """
    from rich.console import Console as RichConsole

    console = console or RichConsole()
    width = terminal_width(console)
    for line in lines(model, width):
        # Labels and reasons come from files: neither markup nor emoji codes in them mean anything.
        console.print(line, soft_wrap=True, highlight=False, markup=False, emoji=False)


def lines(model: TableModel, width: int | None = None) -> list[Text]:
    """The table as lines of styled text.

    Args:
        model: the table.
        width: columns there are; None for no limit.
    """
    from rich.text import Text

    grid = _grid(model)
    layout, blocks = _fit(grid, width)
    count = len(set(model.conditions.values()))
    conditions = f" · {counted(count, 'condition')}" if count else ""
    output = [Text(text, style="bold") for text in _wrap(_one_line(model.title) + conditions, width)] + [Text()]
    for block in blocks:
        output += _block(model, grid, layout, block)
        output.append(Text())
    for note in (*grid.notes, *(remark.line for remark in model.remarks), *model.footers):
        output += [Text(text, style="dim") for text in _wrap(_one_line(note), width)]
    return output


def _grid(model: TableModel) -> _Grid:
    accounts = dict.fromkeys(
        cell.account() for cells in model.cells for cell in cells if not cell.complete and not cell.published
    )
    notes = {account: str(number).translate(_SUPERSCRIPTS) for number, account in enumerate(accounts, start=1)}
    return _Grid(
        tuple(_one_line(f"{row.label} ({row.published})" if row.published else row.label) for row in model.rows),
        tuple(
            _column(column, [cells[index] for cells in model.cells], notes)
            for index, column in enumerate(model.columns)
        ),
        tuple(_count(cells) for cells in model.cells),
        tuple(f"{mark} {account}; not ranked" for account, mark in notes.items()),
    )


def _column(column: Column, cells: Sequence[Cell], notes: dict[str, str]) -> _Column:
    digits = [column.text(cell.mean) if cell.mean is not None else _ABSENT for cell in cells]
    marks = [notes.get(cell.account(), "") for cell in cells]
    # A column whose every method may have every rank says nothing; neither do its ranks.
    told = len({cell.ranks for cell in cells if cell.ranks}) > 1
    left, right = max(map(len, digits), default=0), max(map(len, marks), default=0)
    return _Column(
        # The arrow stays with the word before it.
        f"{_one_line(column.title)}{_NO_BREAK}{column.arrow}".rstrip(),
        tuple(text.rjust(left) + mark.ljust(right) for text, mark in zip(digits, marks, strict=True)),
        tuple(" ".join(filter(None, (interval_text(column, cell), rank_text(cell) if told else ""))) for cell in cells),
    )


def interval_text(column: Column, cell: Cell) -> str:
    """``[0.12, 0.34]``; empty without an interval."""
    return (
        f"[{column.text(cell.low)}, {column.text(cell.high)}]" if cell.low is not None and cell.high is not None else ""
    )


def rank_text(cell: Cell) -> str:
    """``#1`` or ``#1-2``; empty without ranks."""
    if cell.ranks is None:
        return ""
    best, worst = cell.ranks
    return f"#{best}" if best == worst else f"#{best}-{worst}"


def _count(cells: Iterable[Cell]) -> str:
    """``n/N`` of a row, or the range of n where columns differ; the footnotes give each."""
    scored = scored_of(cells)
    if scored is None:
        return _ABSENT
    low, high, total = scored
    return f"{low if low == high else f'{low}-{high}'}/{total}"


def _fit(grid: _Grid, width: int | None) -> tuple[Layout, list[list[int]]]:
    """Choose the fullest layout that fits, and which metric columns go into which block."""
    everything = list(range(len(grid.columns)))
    candidates: tuple[Layout, ...] = ("inline", "stacked")
    for layout in candidates:
        if width is None or grid.width(layout, everything) <= width:
            return layout, [everything]
    blocks: list[list[int]] = [[]]
    for index in everything:
        if blocks[-1] and grid.width("stacked", [*blocks[-1], index]) > (width or 0):
            blocks.append([])
        blocks[-1].append(index)
    return "stacked", blocks


def _block(model: TableModel, grid: _Grid, layout: Layout, block: Sequence[int]) -> list[Text]:
    from rich.text import Text

    output = _headers(grid, layout, block)
    groups = [row.group for row in model.rows]
    for number, row in enumerate(model.rows):
        if any(groups) and (not number or row.group != groups[number - 1]):
            output += [Text(_one_line(row.group), style="italic")] if row.group else [Text()] if number else []
        first, second = Text(grid.labels[number].ljust(grid.label_width)), Text(" " * grid.label_width)
        for index in block:
            column, cell = grid.columns[index], model.cells[number][index]
            mean, interval, width = column.means[number], column.intervals[number], column.width(layout)
            beside = f" {interval}" if layout == "inline" and interval else ""
            first.append(_GAP).append(mean, style=_style(cell, row.competes))
            first.append(beside.ljust(width - len(mean)), style="dim")
            second.append(_GAP + interval.ljust(width), style="dim")
        output.append(first.append(_GAP + grid.counts[number].rjust(grid.count_width)))
        if layout == "stacked" and second.plain.strip():
            second.rstrip()
            output.append(second)
    return output


def _headers(grid: _Grid, layout: Layout, block: Sequence[int]) -> list[Text]:
    """Header lines, aligned at the bottom."""
    from rich.text import Text

    wrapped = [grid.columns[index].header(layout) for index in block]
    height = max(map(len, wrapped), default=1)
    output = []
    for line in range(height):
        texts = [
            ([""] * (height - len(header)) + header)[line].ljust(grid.columns[index].width(layout))
            for index, header in zip(block, wrapped, strict=True)
        ]
        last = line == height - 1
        ends = (
            ("method" if last else "").ljust(grid.label_width),
            ("n" if last else "").rjust(grid.count_width),
        )
        output.append(Text(_GAP.join([ends[0], *texts, ends[1]]).rstrip(), style="bold"))
    return output


def _style(cell: Cell, competes: bool) -> str:
    if cell.place == 1:
        return "bold green"
    return "" if cell.complete and competes else "dim"


def _one_line(text: str) -> str:
    """Text from files on one line, without the control characters that could drive a terminal.

    What no terminal shows at once is cut: the time to break a text into lines grows with the square of its length.
    """
    shown = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return in_a_row(shown)


def _wrap(text: str, width: int | None) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ") if width else [text]
