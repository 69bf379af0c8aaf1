"""One table, five formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from vapbench.files.text import encodable
from vapbench.report.model import TableModel
from vapbench.report.tables.grid import Style, grid_of
from vapbench.report.tables.marks import Mark

Format = Literal["latex", "markdown", "html", "csv", "json"]


def render_all(models: Sequence[TableModel], style: Style, format_: Format, mark: Mark, standalone: bool) -> str:
    """Several tables as one text of the format: one JSON list, one CSV with one head, one LaTeX document.

    Args:
        models: the tables.
        style: see :func:`vapbench.report.tables.grid.grid_of`.
        format_: the format.
        mark: what bold and underlined mean; see :func:`vapbench.report.tables.marks.marks_of`.
        standalone: LaTeX only: a document that compiles by itself.
    """
    if format_ == "json":
        from vapbench.report.render.json import to_json

        return json.dumps([to_json(model) for model in models], ensure_ascii=False, indent=1) + "\n"
    if format_ == "csv":
        from vapbench.report.render.csv import to_csv

        return encodable(to_csv(*models))
    texts = [render(model, style, format_, mark) for model in models]
    if standalone:
        from vapbench.report.render.latex import document

        # Means fit A4; intervals, ranks and differences beside them do not.
        return document(texts, "a4paper" if style == "paper" else "a3paper")
    return "\n".join(texts)


def render(model: TableModel, style: Style, format_: Format, mark: Mark = "displayed") -> str:
    """The table as text.

    CSV and JSON hold every column's unrounded numbers whatever the style; the others print what the style shows.
    """
    return encodable(_render(model, style, format_, mark))


def _render(model: TableModel, style: Style, format_: Format, mark: Mark) -> str:
    if format_ == "csv":
        from vapbench.report.render.csv import to_csv

        return to_csv(model)
    if format_ == "json":
        from vapbench.report.render.json import to_json

        return json.dumps(to_json(model), ensure_ascii=False, indent=1) + "\n"
    grid = grid_of(model, style, mark)
    if format_ == "markdown":
        from vapbench.report.render.markdown import to_markdown

        return to_markdown(grid)
    if format_ == "html":
        from vapbench.report.render.html import to_html

        return to_html(grid)
    from vapbench.report.render.latex import to_latex

    return to_latex(grid, label="-".join(filter(None, (model.suite, model.task))))
