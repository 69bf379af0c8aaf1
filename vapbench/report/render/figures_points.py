"""Methods as points: quality against the time a clip takes, metrics against people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vapbench.errors import ErrorKind, UsageError
from vapbench.report.model import TableModel
from vapbench.report.render.figures_frame import (
    COLOURS,
    GREY,
    LINE,
    MARKERS,
    Frame,
    chosen,
    entitle,
    flat,
    legend,
    legend_height,
    unit_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vapbench.report.tables.agreement import MetricAgreement

_SIDE = 1.5
"""Inches of a panel of points, at least."""
_PARETO = "seconds as each run's machine took · line: nothing is both better and faster"


def pareto(model: TableModel, width: float) -> Figure:
    """Means against the median seconds of a clip, one panel per column; a line through what nothing else surpasses."""
    timed = [place for place, row in enumerate(model.rows) if row.competes and row.seconds]
    directed = [
        index
        for index, column in enumerate(model.columns)
        if column.higher_is_better is not None
        and sum(model.cells[place][index].mean is not None for place in timed) > 1
    ]
    if not directed:
        raise UsageError(
            "Quality against time needs two methods with scores whose clips were timed: vapbench run --help",
            ErrorKind.MISSING,
            "figure",
        )
    labels = [flat(model.rows[place].label) for place in timed]
    titles = {index: model.columns[index].header for index in directed}
    frame = _frame(width, labels, _PARETO)
    columns = chosen(frame, directed, titles)
    figure, panels = frame.panels([titles[index] for index in columns], share_y=False)
    for axes, index in zip(panels, columns, strict=True):
        _pareto_panel(axes, model, timed, index, labels)
    legend(figure, panels[0], _PARETO)
    entitle(figure, model.title)
    return figure


def human(agreements: Sequence[MetricAgreement], width: float) -> Figure:
    """Methods' means against their shares of votes, one panel per column and question."""
    methods = list(dict.fromkeys(name for item in agreements for name in item.methods))
    labels = [flat(name) for name in methods]
    titles = {place: _agreement(item) for place, item in enumerate(agreements)}
    frame = _frame(width, labels)
    kept = chosen(frame, range(len(agreements)), titles)
    figure, panels = frame.panels([titles[place] for place in kept], share_y=False)
    for axes, item in zip(panels, [agreements[place] for place in kept], strict=True):
        for number, method in enumerate(methods):
            where = item.methods.index(method) if method in item.methods else None
            x = [] if where is None else [item.means[where] * item.column.scale]
            y = [] if where is None else [100 * item.shares[where]]
            _point(axes, x, y, number, labels[number])
        unit = f" ({unit_of(item.column)})" if item.column.unit else ""
        axes.set_xlabel(frame.title(f"{item.column.title}{unit}", len(kept)))
        axes.set_ylabel("votes won, %")
        axes.margins(0.12)
    legend(figure, panels[0])
    entitle(figure, "Metrics against people")
    return figure


def _frame(width: float, labels: Sequence[str], note: str = "") -> Frame:
    return Frame(width, ["00"], _SIDE, _SIDE, below=legend_height(labels, width, note), own_axis=3.5 * LINE)


def _pareto_panel(axes: Axes, model: TableModel, timed: Sequence[int], index: int, labels: Sequence[str]) -> None:
    column, points = model.columns[index], []
    for number, place in enumerate(timed):
        mean, seconds = model.cells[place][index].mean, model.rows[place].seconds
        known = mean is not None and seconds is not None
        points += [(seconds, mean * column.scale)] if mean is not None and seconds is not None else []
        _point(axes, [points[-1][0]] if known else [], [points[-1][1]] if known else [], number, labels[number])
    best = _frontier(points, column.higher_is_better is True)
    axes.plot([x for x, _ in best], [y for _, y in best], color=GREY, linewidth=0.8, drawstyle="steps-post", zorder=1)
    axes.set_xscale("log")
    _plain_ticks(axes)
    axes.set_xlabel("seconds a clip")
    axes.set_ylabel(unit_of(column))
    axes.margins(0.12)


def _plain_ticks(axes: Axes) -> None:
    """1, 2, 5, 10 in place of powers: times of a table seldom span many."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_locator(NullLocator())


def _frontier(points: Sequence[tuple[float, float]], higher: bool) -> list[tuple[float, float]]:
    """Points that none surpasses in both, fastest first."""
    best: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1] if higher else point[1])):
        if not best or ((y > best[-1][1]) == higher and y != best[-1][1]):
            best.append((x, y))
    return best


def _point(axes: Axes, x: Sequence[float], y: Sequence[float], number: int, label: str) -> None:
    # Shapes and colours go round at different steps: 64 methods look different.
    colour = COLOURS[(number + number // len(MARKERS)) % len(COLOURS)]
    axes.plot(x, y, MARKERS[number % len(MARKERS)], color=colour, markersize=4.5, label=label, linestyle="")


def _agreement(item: MetricAgreement) -> str:
    interval = item.accuracy
    ends = "" if interval.low is None or interval.high is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    rho = "" if item.spearman is None else f", Spearman {item.spearman:.2f}"
    return f"{item.question}: agrees {interval.estimate:.2f}{ends}{rho}"
