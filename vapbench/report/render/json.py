"""Tables as JSON, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vapbench.report.model import Cell, TableModel
from vapbench.report.read.columns import Column

SCHEMA = 1


def to_json(model: TableModel) -> dict[str, Any]:
    """A table as plain data, ready for :func:`json.dumps`.

    Numbers are in each metric's own unit, unrounded; ``text`` holds them as every renderer prints them. A
    cell without a score has ``mean: null``.
    """
    return {
        "schema": SCHEMA,
        "title": model.title,
        "suite": model.suite,
        "task": model.task,
        "columns": [{**asdict(column), "arrow": column.arrow} for column in model.columns],
        "rows": [
            {
                **asdict(row),
                "notes": list(row.notes),
                "cells": [_cell(column, cell) for column, cell in zip(model.columns, cells, strict=True)],
            }
            for row, cells in zip(model.rows, model.cells, strict=True)
        ],
        "footers": list(model.footers),
        "remarks": [remark.to_json() for remark in model.remarks],
    }


def _cell(column: Column, cell: Cell) -> dict[str, Any]:
    texts = {name: getattr(cell, name) for name in ("mean", "low", "high")}
    return {
        **asdict(cell),
        "missing": cell.missing,
        "complete": cell.complete,
        "text": {name: None if value is None else column.text(value) for name, value in texts.items()},
    }
