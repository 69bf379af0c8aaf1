"""A table as it is printed: texts and marks, decided once for every renderer.

A :class:`Grid` is made from a :class:`~vapbench.report.model.TableModel` by a style. Which numbers are bold,
underlined or marked by a dagger is decided here, on the digits shown, so that LaTeX, Markdown and HTML never disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vapbench.report.model import Cell, TableModel
from vapbench.report.read.columns import Column, Row
from vapbench.report.read.versions import VERSIONS
from vapbench.report.render.terminal import interval_text, rank_text
from vapbench.report.tables.marks import ALPHA, Mark, Marks, explanation, marks_of

Style = Literal["paper", "wide", "ablation"]
STYLES: tuple[Style, ...] = ("paper", "wide", "ablation")

PAPER_COLUMNS = (
    "text_alignment",
    "motion_smoothness",
    "dynamic_degree",
    "aesthetic_quality",
    "semantic_alignment",
    "preference_rate",
)
"""Metrics of the paper's table, in its order; of each, one variant."""

ABSENT = "\N{EN DASH}"


@dataclass(frozen=True)
class Entry:
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
    entries: tuple[Entry, ...]
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
    footers: tuple[str, ...]


def grid_of(model: TableModel, style: Style, mark: Mark = "displayed") -> Grid:
    """Lay out a table.

    Args:
        model: the table.
        style: ``paper`` (the paper's six columns, means alone), ``wide`` (every column, intervals, ranks, n), or
            ``ablation`` (the reference row as it is, the others with their difference from it).
        mark: what bold and underlined mean; see :func:`vapbench.report.tables.marks.marks_of`.
    """
    if style == "paper":
        model = _paper_columns(model)
    notes: dict[str, int] = {}
    marks = [marks_of(model, index, mark) for index in range(len(model.columns))]
    lines = [
        (row, Line(row.label, tuple(_entries(model, number, style, marks, notes)), _count(model.cells[number])))
        for number, row in enumerate(model.rows)
    ]
    footers = list(model.footers)
    ranked = any(cell.place for line in model.cells for cell in line)
    if ranked and (mark == "displayed" or model.scores):
        footers.append(explanation(mark))
    if any(entry.dagger for _, line in lines for entry in line.entries) and model.reference is not None:
        reference = model.rows[model.reference].label
        footers.append(f"Dagger: differs from {reference}, adjusted p < {ALPHA:g}.")
    if style != "wide":
        # These styles print neither intervals nor ranks, so nothing explains them.
        footers = [text.partition("; brackets: ")[0] + "." * ("; brackets: " in text) for text in footers]
        footers = [text for text in footers if not text.startswith("#:")]
    # What made the numbers comes last: a reader of the table asks for it last.
    footers.sort(key=lambda text: text.startswith((VERSIONS, "Made with ")))
    footers[:0] = [remark.line for remark in model.remarks]
    if model.conditions:
        footers.insert(0, f"{len(model.conditions)} cases of {len(set(model.conditions.values()))} conditions.")
    return Grid(
        model.title,
        tuple(Header(column.title, column.arrow) for column in model.columns),
        tuple(_groups(lines)),
        style == "wide",
        tuple(f"{account}; not ranked" for account in notes),
        tuple(footers),
    )


def _paper_columns(model: TableModel) -> TableModel:
    chosen = []
    for name in PAPER_COLUMNS:
        variants = [i for i, column in enumerate(model.columns) if column.metric.partition("[")[0] == name]
        # Of several variants, the one most methods have; the first of these.
        filled = {i: sum(line[i].mean is not None for line in model.cells) for i in variants}
        if variants:
            chosen.append(max(variants, key=lambda i: (filled[i], -i)))
    if not chosen:
        return model
    shown = {model.columns[index].title for index in chosen}
    definitions = "; ".join(f"{c.title} is {c.definition}" for c in model.columns if c.title in shown and c.version)
    hidden = tuple(f"{column.title}: " for column in model.columns if column.title not in shown)
    footers = [text for text in model.footers if not text.startswith(("Columns: ", *hidden))]
    remarks = (replace(r, columns=tuple(c for c in r.columns if c in shown)) if r.columns else r for r in model.remarks)
    return replace(
        model,
        columns=tuple(model.columns[index] for index in chosen),
        cells=tuple(tuple(line[index] for index in chosen) for line in model.cells),
        scores=tuple(tuple(line[index] for index in chosen) for line in model.scores),
        footers=(*footers, *([f"Columns: {definitions}."] if definitions else [])),
        remarks=tuple(new for new, old in zip(remarks, model.remarks, strict=True) if new.columns or not old.columns),
    )


def _entries(
    model: TableModel, number: int, style: Style, marks: Sequence[Marks], notes: dict[str, int]
) -> Iterator[Entry]:
    for index, column in enumerate(model.columns):
        cell = model.cells[number][index]
        if cell.mean is None:
            yield Entry(ABSENT, note=_note(cell, notes))
            continue
        versus = cell.versus
        yield Entry(
            column.text(cell.mean),
            interval=" ".join(filter(None, (interval_text(column, cell), rank_text(cell)))) if style == "wide" else "",
            difference=_signed(column, versus.difference) if versus and style == "ablation" else "",
            best=number in marks[index].best,
            second=number in marks[index].second,
            dagger=versus is not None and versus.p < ALPHA,
            note=_note(cell, notes),
        )


def _note(cell: Cell, notes: dict[str, int]) -> int | None:
    if cell.complete or cell.published:
        return None
    return notes.setdefault(cell.account(), len(notes) + 1)


def _signed(column: Column, value: float) -> str:
    text = column.text(value)
    return text if text.startswith("\N{MINUS SIGN}") else f"+{text}"


def _count(cells: Sequence[Cell]) -> str:
    counts = [(cell.n, cell.total) for cell in cells if not cell.published and not cell.votes and cell.total]
    if not counts:
        return ""
    low, high = min(n for n, _ in counts), max(n for n, _ in counts)
    return f"{low if low == high else f'{low}-{high}'}/{counts[0][1]}"


def _groups(lines: Sequence[tuple[Row, Line]]) -> Iterator[Group]:
    kinds: list[tuple[str, Callable[[Row], bool]]] = [
        ("", lambda row: row.competes),
        ("Floors and ceilings", lambda row: not row.competes and not row.published),
    ]
    sources = dict.fromkeys(row.published for row, _ in lines if row.published)
    for title, belongs in kinds:
        if chosen := tuple(line for row, line in lines if belongs(row)):
            yield Group(title, chosen)
    for source in sources:
        chosen = tuple(line for row, line in lines if row.published == source)
        yield Group(f"As published ({source})", chosen)
