"""The figure of a probe: scores by what methods were shown, and the effects of reference and caption beside them.

Every method has a colour and a shape in both panels. A hollow mark is an output that the counterfactual left unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.errors import UsageError
from vapbench.files.text import in_a_row
from vapbench.report.render.figures import COLOURS, MARKERS, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GREY = "#8C8C8C"


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


def write_effects(path: Path, figure: EffectsFigure) -> None:
    """Draw it as ``.pdf``, ``.svg`` or ``.png``, by the file's name.

    Raises:
        UsageError: there are more methods than can be told apart.
    """
    if len(figure.methods) > len(MARKERS):
        raise UsageError(f"{len(figure.methods)} methods cannot be told apart in one figure; name {len(MARKERS)}.")
    save_figure(path, lambda: _draw(figure))


def _draw(data: EffectsFigure) -> Figure:
    from matplotlib.figure import Figure

    tall = 0.12 * len(data.methods) + 0.1
    height = tall * max(len(data.cells), 2 * len(data.effects)) + 0.8
    figure = Figure(figsize=(8.2, height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _panel(left, data.cells, data.scores)
    _panel(right, data.effects, data.differences)
    left.axhline(0.5, color=_GREY, linewidth=0.6)
    left.set_xlim(*data.range)
    left.set_xlabel(_flat(data.score), fontsize=7)
    left.set_title("Is the effect there, by what was shown", fontsize=8)
    right.axvline(0, color="black", linewidth=0.8)
    right.set_xlabel("difference, in the same unit", fontsize=7)
    right.set_title("What reference and caption do", fontsize=8)
    for number, (method, answer) in enumerate(zip(data.methods, data.answers, strict=True)):
        style = {"color": COLOURS[number], "marker": MARKERS[number], "linestyle": "", "markersize": 5}
        left.plot([], [], label=_flat(f"{method}: {answer}"), **style)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0, 0), frameon=False, fontsize=8)
    figure.suptitle(_flat(data.title), fontsize=9)
    figure.supxlabel(_flat(data.footer), fontsize=6.5)
    return figure


def _panel(axes: Axes, rows: Sequence[str], marks: Sequence[Sequence[Mark | None]]) -> None:
    step = 0.8 / len(marks)
    for number, line in enumerate(marks):
        for row, mark in enumerate(line):
            place = row + (number - (len(marks) - 1) / 2) * step
            if mark is not None:
                _draw_mark(axes, mark, place, number)
    axes.set_yticks(range(len(rows)), list(map(_flat, rows)))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_mark(axes: Axes, mark: Mark, place: float, number: int) -> None:
    colour = COLOURS[number]
    if mark.low is not None and mark.high is not None:
        axes.plot([mark.low, mark.high], [place, place], color=colour, linewidth=1.2)
    face = "white" if mark.hollow else colour
    axes.plot(mark.mean, place, MARKERS[number], color=colour, markerfacecolor=face, markersize=5, clip_on=False)


def _flat(text: str) -> str:
    return in_a_row(text).replace("$", r"\$")
