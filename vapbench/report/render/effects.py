"""The figure of a probe: scores by what methods were shown, and the effects of reference and caption beside them.

Every method has a colour and a shape in both panels. A hollow mark is an output that the counterfactual left unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.errors import ErrorKind, UsageError
from vapbench.report.render.figures_frame import (
    COLOURS,
    GREY,
    LINE,
    MARKERS,
    broken,
    entitle,
    flat,
    legend,
    save_figure,
    short,
)
from vapbench.report.tables.layout import WIDTHS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Mark:
    """A mean with its interval, as it is drawn."""

    mean: float
    low: float | None
    high: float | None
    hollow: bool = False
    """Whether the outputs behind it are unchanged."""


@dataclass(frozen=True)
class EffectsFigure:
    """What to draw; marks stand by method, then by row."""

    title: str
    methods: tuple[str, ...]
    answers: tuple[str, ...]
    """What is said of each method."""
    score: str
    """What the scores are, with their unit."""
    range: tuple[float | None, float | None]
    """Of the scores."""
    cells: tuple[str, ...]
    """What was shown; the first is the case's own."""
    scores: tuple[tuple[Mark | None, ...], ...]
    effects: tuple[str, ...]
    differences: tuple[tuple[Mark | None, ...], ...]
    footer: str


def write_effects(path: Path, figure: EffectsFigure, width: float = WIDTHS["page"]) -> None:
    """Draw it as ``.pdf``, ``.svg`` or ``.png``, by the file's name.

    Args:
        path: the file.
        figure: what to draw.
        width: inches it takes; its letters have 8 pt at that width.

    Raises:
        UsageError: there are more methods than can be told apart.
    """
    if len(figure.methods) > len(MARKERS):
        raise UsageError(
            f"{len(figure.methods)} methods cannot be told apart in one figure; name {len(MARKERS)}.",
            ErrorKind.LIMIT,
            "method",
        )
    save_figure(path, lambda: _draw(figure, width))


def _draw(data: EffectsFigure, width: float) -> Figure:
    from matplotlib.figure import Figure

    cells, effects = short(data.cells, width), short(data.effects, width)
    # A page holds both panels side by side, a column one above the other.
    side_by_side = width >= WIDTHS["page"]
    tall = max(LINE, 0.1 * len(data.methods) + 0.08)
    heights = (tall * len(cells), tall * len(effects))
    texts = [flat(f"{method}: {answer}") for method, answer in zip(data.methods, data.answers, strict=True)]
    labels = [broken(text, width - 0.4) for text in texts]
    below = LINE * 1.15 * sum(label.count("\n") + 1 for label in labels) + 0.3
    score = broken(flat(data.score), 0.62 * width if not side_by_side else 0.33 * width)
    # Titles, ticks, and what the axis is called, which may take several lines.
    frames = (3.5 + 1.3 * score.count("\n")) * LINE
    height = (max(heights) + frames if side_by_side else sum(heights) + 2 * frames) + below + 4 * LINE
    figure = Figure(figsize=(width, height), layout="constrained")
    shape = (1, 2) if side_by_side else (2, 1)
    ratios = {"width_ratios": (1.15, 1)} if side_by_side else {"height_ratios": heights}
    left, right = figure.subplots(*shape, **ratios)
    _panel(left, cells, data.scores)
    _panel(right, effects, data.differences)
    left.axhline(0.5, color=GREY, linewidth=0.6)
    left.set_xlim(*data.range)
    left.set_xlabel(score)
    left.set_title("Score by what was shown")
    right.axvline(0, color="black", linewidth=0.8)
    right.set_xlabel("difference, in the same unit")
    right.set_title("What each does")
    for number, label in enumerate(labels):
        left.plot([], [], MARKERS[number], color=COLOURS[number], label=label, markersize=4)
    legend(figure, left, data.footer, columns=1)
    entitle(figure, data.title)
    return figure


def _panel(axes: Axes, rows: Sequence[str], marks: Sequence[Sequence[Mark | None]]) -> None:
    step = 0.8 / len(marks)
    for number, line in enumerate(marks):
        for row, mark in enumerate(line):
            place = row + (number - (len(marks) - 1) / 2) * step
            if mark is not None:
                _draw_mark(axes, mark, place, number)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_mark(axes: Axes, mark: Mark, place: float, number: int) -> None:
    colour = COLOURS[number]
    if mark.low is not None and mark.high is not None:
        axes.plot([mark.low, mark.high], [place, place], color=colour, linewidth=1.1)
    face = "white" if mark.hollow else colour
    axes.plot(mark.mean, place, MARKERS[number], color=colour, markerfacecolor=face, markersize=4, clip_on=False)
