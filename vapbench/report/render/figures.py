"""Figures from the same tables, at the width of a column or a page, for LaTeX to include unscaled.

Colours are Okabe and Ito's, which colour-blind readers can tell apart, and every method has a marker shape of its own.
Fonts are embedded as outlines that editors can still edit (type 42); text in SVG stays text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.errors import ErrorKind, UsageError, did_you_mean
from vapbench.report.model import TableModel
from vapbench.report.render.figures_frame import SUFFIXES, save_figure, save_figures
from vapbench.report.render.figures_grids import heatmap, matrix
from vapbench.report.render.figures_means import categories, conditions, forest
from vapbench.report.render.figures_points import human, pareto
from vapbench.report.tables.layout import WIDTHS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vapbench.report.tables.agreement import MetricAgreement

DRAWN: dict[str, Callable[[TableModel, float], Figure]] = {
    "forest": forest,
    "categories": categories,
    "conditions": conditions,
    "pareto": pareto,
}
PAGED: dict[str, Callable[[TableModel, float], Iterable[Figure]]] = {"heatmap": heatmap, "matrix": matrix}
"""Of these, a panel takes so much that one page may not hold every column: they go on in files of their own."""
KINDS = (*DRAWN, *PAGED, "human")


def kind_of(path: Path) -> str:
    """The figure a file name asks for: ``forest.pdf``, ``conditions-style.svg``.

    Raises:
        UsageError: the name begins with no kind of figure, or ends with no format (with a suggestion).
    """
    kind = next((kind for kind in KINDS if path.stem.startswith(kind)), None)
    if kind is None:
        raise UsageError(
            f"{path.name} names no figure.{did_you_mean(path.stem, KINDS)} Its name begins with the kind: "
            f"{', '.join(KINDS)}.",
            ErrorKind.UNKNOWN,
            "figure",
        )
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path.name}: figures are written as {', '.join(SUFFIXES)}.", ErrorKind.INVALID, "figure")
    return kind


def write_figure(
    path: Path, model: TableModel, agreements: Sequence[MetricAgreement] = (), width: float = WIDTHS["column"]
) -> None:
    """Draw the figure that the file's name asks for.

    Args:
        path: the file; see :func:`kind_of`.
        model: the table.
        agreements: for ``human``: :func:`vapbench.report.tables.agreement.metric_agreement`.
        width: inches that the figure takes; its letters have 8 pt at that width.

    Raises:
        UsageError: the table has nothing to draw, or more methods than can be told apart.
    """
    kind = kind_of(path)
    if kind == "human":
        if not agreements:
            raise UsageError(
                "A figure of metrics against people needs votes: add --votes votes.csv of a study's export.",
                ErrorKind.MISSING,
                "votes",
            )
        save_figure(path, lambda: human(agreements, width))
        return
    if not any(cell.mean is not None for line in model.cells for cell in line):
        raise UsageError(
            f"{model.title} has no scores to draw; see: vapbench score --help", ErrorKind.MISSING, "scores"
        )
    save_figures(path, lambda: PAGED[kind](model, width) if kind in PAGED else [DRAWN[kind](model, width)])
