"""One table, five formats."""

from __future__ import annotations

import json
from typing import Literal

from vapbench.report.grid import Style, grid_of
from vapbench.report.table import TableModel

Format = Literal["latex", "markdown", "html", "csv", "json"]


def render(model: TableModel, style: Style, format_: Format, standalone: bool = False) -> str:
    """The table as text.

    CSV and JSON hold every column's unrounded numbers whatever the style; the others print what the style shows.

    Args:
        model: the table.
        style: see :func:`vapbench.report.grid.grid_of`.
        format_: the format.
        standalone: LaTeX only: a document that compiles by itself.
    """
    # A title may hold half a character, which no file takes.
    return _render(model, style, format_, standalone).encode("utf-8", "replace").decode("utf-8")


def _render(model: TableModel, style: Style, format_: Format, standalone: bool) -> str:
    if format_ == "csv":
        from vapbench.report.csv import to_csv

        return to_csv(model)
    if format_ == "json":
        from vapbench.report.json import to_json

        return json.dumps(to_json(model), ensure_ascii=False, indent=1) + "\n"
    grid = grid_of(model, style)
    if format_ == "markdown":
        from vapbench.report.markdown import to_markdown

        return to_markdown(grid)
    if format_ == "html":
        from vapbench.report.html import to_html

        return to_html(grid)
    from vapbench.report.latex import to_latex

    return to_latex(grid, label="-".join(filter(None, (model.suite, model.task))), standalone=standalone)
