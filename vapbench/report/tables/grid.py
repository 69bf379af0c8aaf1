"""A table as it is printed: texts and marks, decided once for every renderer.

A :class:`Grid` is made from a :class:`~vapbench.report.model.TableModel` by a style. Which numbers are bold,
underlined or marked by a dagger is decided here, on the digits shown, so that LaTeX, Markdown and HTML never disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from vapbench.files.text import counted
from vapbench.report.model import MEAN, Cell, Footer, TableModel, scored_of
from vapbench.report.read.columns import Column, Row
from vapbench.report.render.terminal import interval_text, rank_text
from vapbench.report.tables.arrange import lacking, only_columns, shown_columns
from vapbench.report.tables.layout import Layout
from vapbench.report.tables.marks import ALPHA, Marks, explanation, marks_of

ABSENT = "\N{EN DASH}"


@dataclass(frozen=True)
class PrintedCell:
    """One printed cell."""

    text: str
    interval: str = ""
    """``[0.12, 0.34]``, and ranks; empty if the style prints none."""
    difference: str = ""
    """``+1.23`` against the reference row; empty if the style prints none."""
    best: bool = False
    second: bool = False
    dagger: bool = False
    """Significantly different from the reference row."""
    note: int | None = None
    """Number of its footnote."""


@dataclass(frozen=True)
class Line:
    """One method."""

    label: str
    entries: tuple[PrintedCell, ...]
    count: str
    """``48/48``; empty for published rows."""


@dataclass(frozen=True)
class Group:
    """Rows between two rules."""

    title: str
    """Empty for the measured methods."""
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Header:
    """Head of a column."""

    title: str
    arrow: str


@dataclass(frozen=True)
class Grid:
    """The whole table."""

    title: str
    headers: tuple[Header, ...]
    groups: tuple[Group, ...]
    counts: bool
    """Whether there is a column of n."""
    notes: tuple[str, ...]
    """Footnotes, numbered from 1."""
    footers: tuple[Footer, ...]


def grid_of(model: TableModel, layout: Layout) -> Grid:
    """Lay out a table.

    Args:
        model: the table, its columns and rows chosen and in order.
        layout: its style (``paper``: means alone; ``wide``: intervals, ranks, n; ``ablation``: the reference row as it
            is, the others with their difference from it), and what departs from the style.
    """
    model = only_columns(model, shown_columns(model, layout))
    notes: dict[str, int] = {}
    marks = [marks_of(model, index, layout.mark) for index in range(len(model.columns))]
    lines = [
        (row, Line(row.label, tuple(_entries(model, number, layout, marks, notes)), _count(model.cells[number])))
        for number, row in enumerate(model.rows)
    ]
    return Grid(
        model.title,
        tuple(Header(column.title, column.arrow) for column in model.columns),
        tuple(_groups(lines)),
        layout.style == "wide",
        tuple(f"{account}; not ranked" for account in notes),
        tuple(_footers(model, layout, [entry for _, line in lines for entry in line.entries])),
    )


def _footers(model: TableModel, layout: Layout, entries: Sequence[PrintedCell]) -> Iterator[Footer]:
    """Lines below the table, what a reader asks for last at the end; none explains what is not printed."""
    if model.conditions:
        yield Footer(
            "cases",
            f"{counted(len(model.conditions), 'case')} of {counted(len(set(model.conditions.values())), 'condition')}.",
        )
    yield from (Footer("rows", remark.line) for remark in model.remarks)
    for footer in model.footers:
        if footer.kind in ("versions", "made") or (footer.kind == "ranks" and layout.style != "wide"):
            continue
        if footer.kind == "mean" and layout.shown_intervals == "none":
            footer = Footer("mean", f"{MEAN}.")
        elif footer.kind == "mean" and layout.shown_intervals == "plus-minus":
            footer = Footer("mean", footer.replace("brackets: ", "\N{PLUS-MINUS SIGN}: the longer arm of the "))
        yield footer
    yield from lacking(model, layout)
    if any(cell.place for line in model.cells for cell in line) and (layout.mark == "displayed" or model.scores):
        yield Footer("marks", explanation(layout.mark))
    if any(entry.dagger for entry in entries) and model.reference is not None:
        reference = model.rows[model.reference].label
        yield Footer("marks", f"Dagger: differs from {reference}, adjusted p < {ALPHA:g}.")
    yield from (footer for footer in model.footers if footer.kind in ("versions", "made"))


def _entries(
    model: TableModel, number: int, layout: Layout, marks: Sequence[Marks], notes: dict[str, int]
) -> Iterator[PrintedCell]:
    for index, column in enumerate(model.columns):
        cell = model.cells[number][index]
        if cell.mean is None:
            yield PrintedCell(ABSENT, note=_note(cell, notes))
            continue
        versus = cell.versus
        yield PrintedCell(
            column.text(cell.mean),
            interval=" ".join(filter(None, _beside(column, cell, layout))),
            difference=_signed(column, versus.difference) if versus and layout.style == "ablation" else "",
            best=number in marks[index].best,
            second=number in marks[index].second,
            dagger=versus is not None and versus.p < ALPHA,
            note=_note(cell, notes),
        )


def _beside(column: Column, cell: Cell, layout: Layout) -> Iterator[str]:
    if layout.shown_intervals == "brackets":
        yield interval_text(column, cell)
    elif layout.shown_intervals == "plus-minus" and None not in (cell.mean, cell.low, cell.high):
        # An interval is seldom symmetric: the longer arm claims no more than is known.
        arm = max(cell.high - cell.mean, cell.mean - cell.low)  # type: ignore[operator]
        yield f"\N{PLUS-MINUS SIGN}{column.text(arm)}"
    if layout.style == "wide":
        yield rank_text(cell)


def _note(cell: Cell, notes: dict[str, int]) -> int | None:
    if cell.complete or cell.published:
        return None
    return notes.setdefault(cell.account(), len(notes) + 1)


def _signed(column: Column, value: float) -> str:
    text = column.text(value)
    return text if text.startswith("\N{MINUS SIGN}") else f"+{text}"


def _count(cells: Sequence[Cell]) -> str:
    scored = scored_of(cells)
    if scored is None:
        return ""
    low, high, total = scored
    return f"{low if low == high else f'{low}-{high}'}/{total}"


def _in_group(title: str, row: Row) -> bool:
    return row.group == title


def _groups(lines: Sequence[tuple[Row, Line]]) -> Iterator[Group]:
    kinds: list[tuple[str, Callable[[Row], bool]]] = [
        ("", lambda row: row.competes and not row.group),
        *((title, partial(_in_group, title)) for title in dict.fromkeys(row.group for row, _ in lines if row.group)),
        ("Floors and ceilings", lambda row: not row.competes and not row.published and not row.group),
    ]
    sources = dict.fromkeys(row.published for row, _ in lines if row.published)
    for title, belongs in kinds:
        if chosen := tuple(line for row, line in lines if belongs(row)):
            yield Group(title, chosen)
    for source in sources:
        chosen = tuple(line for row, line in lines if row.published == source and not row.group)
        yield Group(f"As published ({source})", chosen)
