"""A column condition by condition: where a method is good, and where it is not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vapbench.core.text_table import table_lines
from vapbench.files.text import in_a_row
from vapbench.report.model import TableModel
from vapbench.report.read.columns import Column
from vapbench.report.tables.grid import ABSENT


@dataclass(frozen=True)
class Part:
    """One method on one condition."""

    mean: float | None
    """In the metric's unit; None if no case of the condition has a score."""
    n: int
    total: int
    """Cases of the condition in the table."""


@dataclass(frozen=True)
class Breakdown:
    """One column, conditions by methods."""

    column: Column
    conditions: tuple[str, ...]
    methods: tuple[str, ...]
    parts: tuple[tuple[Part, ...], ...]
    """``parts[condition][method]``. Two or three cases each: no intervals, and no ranks."""


def breakdown(model: TableModel) -> list[Breakdown]:
    """Every column of a table by condition; published rows have no cases and are left out."""
    measured = [index for index, row in enumerate(model.rows) if not row.published]
    conditions = tuple(sorted(set(model.conditions.values())))
    cases = {name: [case for case, where in model.conditions.items() if where == name] for name in conditions}
    return [
        Breakdown(
            column,
            conditions,
            tuple(model.rows[row].label for row in measured),
            tuple(tuple(_part(model, row, index, cases[name]) for row in measured) for name in conditions),
        )
        for index, column in enumerate(model.columns)
        if any(model.scores[row][index] for row in measured)
    ]


def lines(item: Breakdown, width: int | None = None) -> Iterator[str]:
    """The breakdown as plain text of so many columns, None for no limit; ``(1/2)`` where a case has no score."""
    rows = [("condition", *item.methods)]
    rows += [
        (name, *(_text(item.column, part) for part in parts))
        for name, parts in zip(item.conditions, item.parts, strict=True)
    ]
    yield f"{item.column.header} by condition"
    yield from table_lines([tuple(map(in_a_row, row)) for row in rows], width)


def to_json(item: Breakdown) -> dict[str, Any]:
    """Plain data; numbers unrounded, in the metric's unit."""
    return {
        "column": item.column.definition,
        "title": item.column.title,
        "conditions": [
            {
                "condition": name,
                "methods": [
                    {"method": method, "mean": part.mean, "n": part.n, "total": part.total}
                    for method, part in zip(item.methods, parts, strict=True)
                ],
            }
            for name, parts in zip(item.conditions, item.parts, strict=True)
        ],
    }


def _part(model: TableModel, row: int, column: int, cases: list[str]) -> Part:
    values = [model.scores[row][column][case] for case in cases if case in model.scores[row][column]]
    return Part(math.fsum(values) / len(values) if values else None, len(values), len(cases))


def _text(column: Column, part: Part) -> str:
    if part.mean is None:
        return ABSENT
    return column.text(part.mean) + ("" if part.n == part.total else f" ({part.n}/{part.total})")
