"""Figures of a study: a forest plot of shares, and a matrix of win probabilities with n."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vapbench.files import atomic_path
from vapbench.stats.clusters import Interval
from vapbench.study.results import MethodResult, QuestionResult, StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf")
_INK, _MUTED = "#1f2937", "#9ca3af"


def write_figures(result: StudyResult, folder: Path) -> list[Path]:
    """Write ``forest`` and, per question, ``wins-<question>`` and ``categories-<question>``, each as PNG and PDF.

    Returns:
        The files.
    """
    figures = {"forest": forest(result)}
    figures |= {f"wins-{question.question}": wins(question) for question in result.questions}
    choice = result.protocol.kind == "best_of_n"
    figures |= {
        f"categories-{question.question}": categories(question, choice)
        for question in result.questions
        if any(method.share for part in question.categories for method in part.methods)
    }
    written = []
    for name, figure in figures.items():
        for suffix in SUFFIXES:
            path = folder / f"{name}{suffix}"
            with atomic_path(path) as temporary:
                # Without a date, equal votes give equal files.
                metadata = {"CreationDate": None} if suffix == ".pdf" else None
                figure.savefig(temporary, dpi=200, bbox_inches="tight", metadata=metadata)
            written.append(path)
    return written


def forest(result: StudyResult) -> Figure:
    """Each method's share with its interval, one panel per question; excluded raters left out, all raters in grey."""
    choice = result.protocol.kind == "best_of_n"
    rows = max(len(question.methods) for question in result.questions)
    shown = [_interval(method, choice) for question in result.everyone for method in question.methods]
    shown += [_interval(method, choice) for question in result.questions for method in question.methods]
    reach = max(interval.estimate if interval.high is None else interval.high for interval in shown)
    figure = _figure(4.2 * len(result.questions), 0.9 + 0.42 * rows)
    for place, question in enumerate(result.questions):
        axes = figure.add_subplot(1, len(result.questions), place + 1)
        everyone = next(other for other in result.everyone if other.question == question.question)
        before = {method.name: method for method in everyone.methods}
        for row, method in enumerate(question.methods):
            if result.excluded:
                _whisker(axes, _interval(before[method.name], choice), row + 0.22, _MUTED)
            _whisker(axes, _interval(method, choice), row, _INK)
        names = [f"{method.name}  (rank {method.rank})" for method in question.methods]
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(0, min(100.0, 105 * reach))
        axes.set_xlabel("choice share, %" if choice else "Luce share, %")
        axes.set_title(f"{question.question}  (n = {question.votes:,} votes, {question.raters} raters)", fontsize=9)
        axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
        axes.set_axisbelow(True)
    figure.tight_layout()
    return figure


def wins(question: QuestionResult) -> Figure:
    """Probability that the row's method is preferred to the column's, and the number of votes behind it."""
    names = [method.name for method in question.methods]
    number = {name: n for n, name in enumerate(names)}
    chance = np.full((len(names), len(names)), np.nan)
    votes = np.zeros(chance.shape, dtype=np.int64)
    for pair in question.pairs:
        a, b = number[pair.a], number[pair.b]
        chance[a, b], chance[b, a] = pair.win_probability.estimate, 1 - pair.win_probability.estimate
        votes[a, b] = votes[b, a] = pair.n
    size = 1.6 + 0.8 * len(names)
    figure = _figure(size + 0.6, size)
    axes = figure.add_subplot(1, 1, 1)
    image = axes.imshow(100 * chance, cmap="PuOr_r", vmin=0, vmax=100)
    for a, b in zip(*np.nonzero(votes), strict=True):
        dark = abs(chance[a, b] - 0.5) > 0.32
        text = f"{100 * chance[a, b]:.0f}\nn={votes[a, b]}"
        axes.text(b, a, text, ha="center", va="center", fontsize=7, color="white" if dark else _INK)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_title(f"{question.question}: row preferred to column, %", fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.8)
    return figure


def categories(question: QuestionResult, choice: bool) -> Figure:
    """Each method's share with its interval within each category, one panel per category; all cases in grey."""
    overall = [_interval(method, choice) for method in question.methods]
    shown = [method.share for part in question.categories for method in part.methods if method.share]
    reach = max(interval.estimate if interval.high is None else interval.high for interval in (*shown, *overall))
    count = len(question.categories)
    figure = _figure(1.4 + 2.1 * count, 0.9 + 0.42 * len(question.methods))
    panels = figure.subplots(1, count, sharex=True, sharey=True, squeeze=False)[0]
    for axes, part in zip(panels, question.categories, strict=True):
        for row, method in enumerate(part.methods):
            _whisker(axes, overall[row], row + 0.22, _MUTED)
            if method.share:
                _whisker(axes, method.share, row, _INK)
        axes.set_title(f"{part.category}  (n = {part.votes:,}, {part.items} cases)", fontsize=8)
        axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(question.methods)), [method.name for method in question.methods])
    panels[0].set_ylim(len(question.methods) - 0.5, -0.5)
    panels[0].set_xlim(0, min(100.0, 105 * reach))
    figure.supxlabel(f"{'choice' if choice else 'Luce'} share, %; grey: all cases", fontsize=9)
    figure.suptitle(question.question, fontsize=9)
    figure.tight_layout()
    return figure


def _whisker(axes: Any, interval: Interval, row: float, colour: str) -> None:
    if interval.low is not None and interval.high is not None:
        axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=colour, linewidth=1.4)
    axes.plot([100 * interval.estimate], [row], "o", color=colour, markersize=4.5 if colour == _INK else 3)


def _interval(method: MethodResult, choice: bool) -> Interval:
    return method.share if choice and method.share else method.luce_share


def _figure(width: float, height: float) -> Figure:
    # Drawn without pyplot: no window system, and nothing global is left behind.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure
