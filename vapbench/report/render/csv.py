"""Tables as CSV, one line per method and column, for spreadsheets and scripts."""

from __future__ import annotations

from vapbench.files.text import csv_text
from vapbench.report.model import Cell, TableModel

FIELDS = (
    *("suite", "task", "method", "kind", "published", "metric", "version", "title", "unit"),
    *("mean", "low", "high", "n", "total", "failed", "unscored", "missing", "conditions"),
    *("place", "rank_best", "rank_worst", "difference", "p_adjusted"),
)

# With what spreadsheets begin a formula, wide forms included, and the blanks that some of them skip before it.
_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def to_csv(*models: TableModel) -> str:
    """Numbers in each metric's own unit, unrounded; what does not exist is empty.

    Where there is anything to remark, a last column ``remarks`` holds it.
    """
    remarked, lines = any(model.remarks or _of_cases(model) for model in models), []
    for model in models:
        for row, cells in zip(model.rows, model.cells, strict=True):
            for column, cell in zip(model.columns, cells, strict=True):
                what = (model.suite, model.task or "", row.label, row.kind, row.published)
                metric = (column.metric, column.version, column.title, column.unit)
                said = [*_remarks(model, row.label, column.title), *([] if row.published else _of_cases(model))]
                remarks = ["; ".join(said)] if remarked else []
                lines.append(map(harmless, (*what, *metric, *_numbers(cell), *remarks)))
    return csv_text((*FIELDS, "remarks") if remarked else FIELDS, lines)


def _remarks(model: TableModel, label: str, title: str) -> list[str]:
    """What there is to say of a row in a column."""
    about = [remark for remark in model.remarks if label in remark.methods]
    return [remark.text for remark in about if not remark.columns or title in remark.columns]


def _of_cases(model: TableModel) -> list[str]:
    """What a suite knows of its cases beside their content."""
    return [footer.removesuffix(".") for footer in model.footers if footer.kind == "suite"]


def harmless(field: object) -> object:
    """Text that no spreadsheet takes for a formula; numbers as they are."""
    if isinstance(field, str) and field.lstrip(" ").startswith(_FORMULA_STARTS):
        return f"'{field}"
    return field


def _numbers(cell: Cell) -> list[object]:
    best, worst = cell.ranks or (None, None)
    versus = (cell.versus.difference, cell.versus.p) if cell.versus else (None, None)
    counted = (cell.n, cell.total, cell.failed, cell.unscored, cell.missing, cell.conditions)
    counts = (None,) * len(counted) if cell.published else counted
    values = (cell.mean, cell.low, cell.high, *counts, cell.place, best, worst, *versus)
    return ["" if value is None else value for value in values]
