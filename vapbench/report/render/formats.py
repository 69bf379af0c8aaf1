"""One table, five formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from vapbench.files.text import encodable
from vapbench.report.model import TableModel
from vapbench.report.tables.grid import grid_of
from vapbench.report.tables.layout import Layout

Format = Literal["latex", "markdown", "html", "csv", "json"]


def render_all(models: Sequence[TableModel], layout: Layout, format_: Format, standalone: bool = False) -> str:
    """Several tables as one text of the format: one JSON list, one CSV with one head, one LaTeX document.

    Args:
        models: the tables.
        layout: how they look.
        format_: the format.
        standalone: LaTeX only: a document that compiles by itself.
    """
    if format_ == "json":
        from vapbench.report.render.json import to_json

        return json.dumps([to_json(model) for model in models], ensure_ascii=False, indent=1) + "\n"
    if format_ == "csv":
        from vapbench.report.render.csv import to_csv

        return encodable(to_csv(*models))
    texts = [render(model, layout, format_) for model in models]
    if standalone:
        from vapbench.report.render.latex import document

        return document(texts, layout.width)
    return "\n".join(texts)


def render(model: TableModel, layout: Layout, format_: Format) -> str:
    """The table as text.

    CSV and JSON hold unrounded numbers of every column, whatever the style; the others print what the style shows.
    """
    if format_ in ("csv", "json"):
        return render_all([model], layout, format_)
    grid = grid_of(model, layout)
    if format_ == "markdown":
        from vapbench.report.render.markdown import to_markdown

        return encodable(to_markdown(grid))
    if format_ == "html":
        from vapbench.report.render.html import to_html

        return encodable(to_html(grid))
    from vapbench.report.render.latex import to_latex

    label = layout.latex_label or f"tab:{'-'.join(filter(None, (model.suite, model.task)))}"
    return to_latex(grid, label, layout.width, layout.notes)
