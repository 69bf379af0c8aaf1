"""A metric's page as data: what it measures, what it sees of known edits, and who is first by it."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace

from vapbench.leaderboard.boards import Board
from vapbench.leaderboard.charts import Grid, by_category, by_condition
from vapbench.leaderboard.views import Group, Number, groups_of, summary_of
from vapbench.metrics import REGISTRY
from vapbench.report.model import TableModel
from vapbench.report.read.columns import Column
from vapbench.report.read.facts import Fact


@dataclass(frozen=True)
class MetricView:
    """One column of a board."""

    column: Column
    text: tuple[str, ...]
    """Paragraphs of what it measures; empty where the metric is not installed here."""
    facts: tuple[Fact, ...]
    audit: tuple[tuple[str, str, str], ...]
    """Edit, verdict, how often the unchanged video scores better."""
    groups: tuple[Group, ...]
    """The methods of the board of all cases, the best first."""
    tasks: tuple[tuple[str, dict[str, Number]], ...]
    """Task -> a method's number, of the other boards that have the column."""
    categories: Grid | None
    conditions: Grid | None


def metric_view(board: Board, column: Column) -> MetricView:
    """All there is to show of a column."""
    whole, *others = [alone for table in board.tables[::-1] if (alone := _alone(table, column))] or [
        table for table in [_alone(board.whole, column)] if table
    ]
    audited = board.audit if board.audit and column.metric in board.audit.columns else None
    place = audited.columns.index(column.metric) if audited else 0
    return MetricView(
        column,
        _text(column),
        tuple(_facts(board, column)),
        tuple((edit, *cells[place]) for edit, cells in audited.lines if cells[place][0]) if audited else (),
        tuple(groups_of(board, whole)),
        tuple((table.task or "all cases", _numbers(table)) for table in sorted(others, key=lambda it: it.task or "")),
        by_category(board, whole),
        by_condition(board, whole),
    )


def _alone(table: TableModel, column: Column) -> TableModel | None:
    """The table with one column, if it has that."""
    places = [place for place, other in enumerate(table.columns) if other.definition == column.definition]
    if not places:
        return None
    return replace(
        table,
        columns=(table.columns[places[0]],),
        cells=tuple((line[places[0]],) for line in table.cells),
        scores=tuple((line[places[0]],) for line in table.scores),
    )


def _numbers(table: TableModel) -> dict[str, Number]:
    return {row.label: summary_of(table, row.label)[0][1] for row in table.rows}


def _text(column: Column) -> tuple[str, ...]:
    entry = next((entry for entry in REGISTRY if entry.name == column.metric), None)
    doc = inspect.cleandoc(entry.load().__doc__ or "") if entry else ""
    return tuple(" ".join(part.split()) for part in re.split(r"\n(?:\n|(?=[A-Z][a-z]+: ))", doc) if part.strip())


def _facts(board: Board, column: Column) -> list[Fact]:
    entry = next((entry for entry in REGISTRY if entry.name == column.metric), None)
    low, high = ("any" if end is None else f"{end * column.scale:g}" for end in column.range)
    newest = entry.load().version if entry else column.version
    facts = {
        "Definition": column.definition,
        "Newest": f"version {newest}: these rows are of an older one" if newest > column.version else "",
        "Better": {True: "higher", False: "lower", None: "not ranked"}[column.higher_is_better],
        "Range": f"{low} to {high}, as shown here" if (low, high) != ("any", "any") else "",
        "Unit": column.shown_unit,
        "Looks at": ", ".join(["the video", *sorted(entry.load().needs)]) if entry else "",
        "Not moved by": ", ".join(sorted(entry.load().invariant_to)) if entry else "",
        "Weights": board.weights.get(column.definition, "none")[:12],
    }
    return [Fact(label, text) for label, text in facts.items() if text]
