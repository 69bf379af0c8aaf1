"""Figures of a study: a forest plot of shares, and a matrix of win probabilities with n."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vapbench.files.atomic import atomic_path
from vapbench.files.text import counted
from vapbench.stats.clusters import Interval
from vapbench.study.analysis.results import MethodResult, QuestionResult, StudyResult
from vapbench.study.analysis.reviewers import Flow, flow_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf")
_INK, _MUTED = "#1f2937", "#9ca3af"


def write_figures(result: StudyResult, folder: Path) -> list[Path]:
    """Write ``forest``, ``flow`` and, per question, ``wins-<question>`` and ``categories-<question>``, as PNG and PDF.

    Returns:
        The files.
    """
    figures = {"forest": forest(result), "flow": flow_diagram(flow_of(result))}
    figures |= {f"wins-{question.question}": wins(question) for question in result.questions}
    figures |= {
        f"categories-{question.question}": categories(question, result.choice)
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


def flow_diagram(flow: Flow) -> Figure:
    """Raters from consent to analysis: the main line downwards, whoever was lost to the right."""
    steps = [f"{flow.consented + flow.declined} asked for consent", f"{flow.consented} consented"]
    steps += [f"{flow.analysed} analysed\n{counted(flow.votes, 'vote')}"]
    beside = [f"{flow.declined} declined", "\n".join(f"{count} {why}" for why, count in flow.lost) or "0 left out"]
    tall = max(1.0, 0.28 * len(flow.lost))
    figure = _figure(6.4, 2.4 + tall)
    axes = figure.add_subplot(1, 1, 1)
    axes.set_axis_off()
    axes.set_xlim(0, 2)
    axes.set_ylim(-0.3, 2.3)
    box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": _INK}
    for place, text in enumerate(steps):
        axes.text(0.5, 2 - place, text, ha="center", va="center", color=_INK, bbox=box, zorder=2)
    for place, text in enumerate(beside):
        middle = 1.5 - place
        axes.text(1.1, middle, text, ha="left", va="center", color=_INK, bbox=box | {"edgecolor": _MUTED}, zorder=2)
        arrow = {"arrowstyle": "->", "color": _INK}
        axes.annotate("", (0.5, 1 - place + 0.16), (0.5, 2 - place - 0.12), arrowprops=arrow)
        axes.annotate("", (1.02, middle), (0.5, middle), arrowprops=arrow | {"color": _MUTED})
    return figure


def forest(result: StudyResult) -> Figure:
    """Each method's share with its interval, one panel per question; excluded raters left out, all raters in grey."""
    choice = result.choice
    rows = max(len(question.methods) for question in result.questions)
    shown = [_interval(method, choice) for question in result.everyone for method in question.methods]
    shown += [_interval(method, choice) for question in result.questions for method in question.methods]
    # Two side by side, more below them: as wide as a page.
    across = min(2, len(result.questions))
    down = -(-len(result.questions) // across)
    figure = _figure(4.4 * across, (0.9 + 0.42 * rows) * down)
    for place, question in enumerate(result.questions):
        axes = figure.add_subplot(down, across, place + 1)
        everyone = next(other for other in result.everyone if other.question == question.question)
        before = {method.name: method for method in everyone.methods}
        for row, method in enumerate(question.methods):
            if result.excluded:
                _whisker(axes, _interval(before[method.name], choice), row + 0.22, _MUTED)
            _whisker(axes, _interval(method, choice), row, _INK)
        _rows(axes, [f"{method.name}  (rank {method.rank})" for method in question.methods], shown)
        grey = "; grey: with excluded raters" if result.excluded else ""
        axes.set_xlabel(f"{'choice' if choice else 'Luce'} share, %{grey}", fontsize=9)
        axes.set_title(
            f"{question.question}  (n = {counted(question.votes, 'vote')}, {counted(question.raters, 'rater')})",
            fontsize=9,
        )
    return figure


def wins(question: QuestionResult) -> Figure:
    """Probability, by the model, that the row's method is preferred to the column's; votes between the two.

    Bold where the two are told apart, all pairs at once.
    """
    names = [method.name for method in question.methods]
    number = {name: n for n, name in enumerate(names)}
    chance = np.full((len(names), len(names)), np.nan)
    for pair in question.pairs:
        a, b = number[pair.a], number[pair.b]
        chance[a, b], chance[b, a] = pair.win_probability.estimate, 1 - pair.win_probability.estimate
    size = 1.6 + 0.8 * len(names)
    figure = _figure(size + 0.6, size)
    axes = figure.add_subplot(1, 1, 1)
    # A method is not compared with itself; white would say that it ties.
    axes.set_facecolor("#e5e7eb")
    image = axes.imshow(100 * chance, cmap="PuOr_r", vmin=0, vmax=100)
    for pair in question.pairs:
        for a, b in ((number[pair.a], number[pair.b]), (number[pair.b], number[pair.a])):
            red, green, blue, _ = image.cmap(chance[a, b])
            axes.text(
                b, a, f"{100 * chance[a, b]:.0f}\nn={pair.n}", ha="center", va="center", fontsize=8,
                fontweight="bold" if pair.certain else "normal",
                color=_INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white",
            )  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_title(
        f"{question.question}: the row preferred to the column\nn: votes between them; bold: told apart", fontsize=9
    )
    figure.colorbar(image, ax=axes, shrink=0.8).set_label("win probability by the model, %", fontsize=9)
    return figure


def categories(question: QuestionResult, choice: bool) -> Figure:
    """Each method's share with its interval within each category, one panel per category; all cases in grey."""
    overall = [_interval(method, choice) for method in question.methods]
    shown = [method.share for part in question.categories for method in part.methods if method.share]
    count = len(question.categories)
    figure = _figure(1.4 + 2.1 * count, 1.1 + 0.42 * len(question.methods))
    panels = figure.subplots(1, count, sharex=True, sharey=True, squeeze=False)[0]
    for axes, part in zip(panels, question.categories, strict=True):
        for row, method in enumerate(part.methods):
            _whisker(axes, overall[row], row + 0.22, _MUTED)
            if method.share:
                _whisker(axes, method.share, row, _INK)
        axes.set_title(f"{part.category}  (n = {part.votes:,}, {counted(part.items, 'case')})", fontsize=8)
        _rows(axes, [method.name for method in question.methods], (*shown, *overall))
    figure.suptitle(f"{question.question}: {'choice' if choice else 'Luce'} share, %; grey: all cases", fontsize=9)
    return figure


def _rows(axes: Axes, names: Sequence[str], shown: Sequence[Interval]) -> None:
    """One row per name from the top, and an axis of percent that has room for everything shown."""
    reach = max(interval.estimate if interval.high is None else interval.high for interval in shown)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, min(100.0, 105 * reach))
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _whisker(axes: Axes, interval: Interval, row: float, colour: str) -> None:
    if interval.low is not None and interval.high is not None:
        axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=colour, linewidth=1.4)
    axes.plot([100 * interval.estimate], [row], "o", color=colour, markersize=4.5 if colour == _INK else 3)


def _interval(method: MethodResult, choice: bool) -> Interval:
    return method.share if choice and method.share else method.luce_share


def _figure(width: float, height: float) -> Figure:
    # Drawn without pyplot: no window system, and nothing global is left behind.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
