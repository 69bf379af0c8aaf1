"""Means as marks: by method with intervals, by category, by condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vapbench.errors import ErrorKind, UsageError
from vapbench.report.model import TableModel
from vapbench.report.ranking import units_of
from vapbench.report.read.columns import Column
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
    short,
    unit_of,
)
from vapbench.report.tables.breakdown import breakdown
from vapbench.stats.intervals import Estimate, clustered_mean, clustered_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR = 0.1
"""Inches of a bar."""


def forest(model: TableModel, width: float) -> Figure:
    """Means with their intervals, one panel per column; floors and ceilings grey, published rows hollow."""
    filled = [i for i in range(len(model.columns)) if any(line[i].mean is not None for line in model.cells)]
    titles = {index: model.columns[index].header for index in filled}
    names = short([f"{r.label} ({r.published})" if r.published else r.label for r in model.rows], width)
    frame = Frame(width, names, LINE * len(names), below=2 * LINE)
    columns = chosen(frame, filled, titles)
    figure, panels = frame.panels([titles[index] for index in columns])
    for axes, index in zip(panels, columns, strict=True):
        _forest_panel(axes, model, index)
    _name_rows(panels[0], names)
    entitle(figure, model.title, _marks(model, columns))
    return figure


def categories(model: TableModel, width: float) -> Figure:
    """A bar per method and category with its interval, one panel per column."""
    groups = sorted(set(model.categories.values()))
    measured = [place for place, row in enumerate(model.rows) if not row.published]
    filled = [i for i in range(len(model.columns)) if any(model.scores[place][i] for place in measured)]
    if len(groups) > len(COLOURS):
        raise UsageError(
            f"Bars of {len(groups)} categories cannot be told apart; choose a task: --task", ErrorKind.LIMIT, "task"
        )
    titles = {index: model.columns[index].header for index in filled}
    names = short([model.rows[place].label for place in measured], width)
    tall = max(LINE, _BAR * (len(groups) + 1))
    units = units_of(model.conditions)
    note = f"bars: 95 % intervals, clustered by {units.name.removesuffix('s')}"
    frame = Frame(width, names, tall * len(names), below=legend_height(groups, width, note))
    columns = chosen(frame, filled, titles)
    figure, panels = frame.panels([titles[index] for index in columns])
    for axes, index in zip(panels, columns, strict=True):
        column = model.columns[index]
        for number, group in enumerate(groups):
            found = [_of_category(model, place, index, group, units.of) for place in measured]
            _bars(axes, column, found, number, group, _BAR / tall, len(groups))
        _axis(axes, column)
    _name_rows(panels[0], names)
    legend(figure, panels[0], note)
    entitle(figure, model.title)
    return figure


def conditions(model: TableModel, width: float) -> Figure:
    """One row per condition, one dot per method, one panel per column."""
    items = breakdown(model)
    methods = items[0].methods
    if len(methods) > len(MARKERS):
        raise UsageError(
            f"Dots of {len(methods)} methods cannot be told apart; name at most {len(MARKERS)} of the runs: "
            "vapbench report vap i2v lora --figure conditions.pdf (or draw heatmap.pdf)",
            ErrorKind.LIMIT,
            "figure",
        )
    names = short(items[0].conditions, width)
    frame = Frame(width, names, LINE * len(names), below=legend_height(methods, width))
    kept = chosen(frame, range(len(items)), {place: item.column.header for place, item in enumerate(items)})
    figure, panels = frame.panels([items[place].column.header for place in kept])
    for axes, item in zip(panels, [items[place] for place in kept], strict=True):
        for number, method in enumerate(methods):
            dots = [(part[number].mean, place) for place, part in enumerate(item.parts)]
            known = [(mean * item.column.scale, place) for mean, place in dots if mean is not None]
            xs, ys = [x for x, _ in known], [y for _, y in known]
            style = {"color": COLOURS[number], "markersize": 3.5, "alpha": 0.85, "label": flat(method)}
            axes.plot(xs, ys, MARKERS[number], **style)  # type: ignore[arg-type]
        _axis(axes, item.column)
        axes.grid(color="#E5E5E5", linewidth=0.6)
    _name_rows(panels[0], names)
    legend(figure, panels[0])
    entitle(figure, model.title)
    return figure


def _forest_panel(axes: Axes, model: TableModel, index: int) -> None:
    column = model.columns[index]
    for place, (row, line) in enumerate(zip(model.rows, model.cells, strict=True)):
        cell = line[index]
        if cell.mean is None:
            text = "not published" if cell.published else f"no score ({cell.n}/{cell.total})"
            axes.text(0.02, place, text, transform=axes.get_yaxis_transform(), color=GREY, va="center")
            continue
        colour = COLOURS[0] if row.competes else COLOURS[1] if row.published else GREY
        if cell.low is not None and cell.high is not None:
            ends = [cell.low * column.scale, cell.high * column.scale]
            axes.plot(ends, [place, place], color=colour, linewidth=1.1)
        marker = "D" if row.published else "o" if row.competes else "s"
        # An incomplete cell is hollow as well: it is not ranked.
        face = colour if cell.complete else "white"
        axes.plot(cell.mean * column.scale, place, marker, color=colour, markerfacecolor=face, markersize=3.5)
    _axis(axes, column)


def _of_category(model: TableModel, row: int, index: int, category: str, units: Mapping[str, str]) -> Estimate | None:
    scores = {case: value for case, value in model.scores[row][index].items() if model.categories[case] == category}
    if not scores:
        return None
    values, clusters = list(scores.values()), [units[case] for case in scores]
    if model.columns[index].range == (0, 1) and set(values) <= {0.0, 1.0}:
        return clustered_share(values, clusters)
    return clustered_mean(values, clusters, bounds=model.columns[index].range)


def _bars(
    axes: Axes, column: Column, found: Sequence[Estimate | None], number: int, name: str, size: float, count: int
) -> None:
    """The bars of one category."""
    places = [row + (number - (count - 1) / 2) * size for row in range(len(found))]
    means = [0.0 if estimate is None else estimate.mean * column.scale for estimate in found]
    axes.barh(places, means, size, color=COLOURS[number], label=flat(name), linewidth=0)
    for place, estimate in zip(places, found, strict=True):
        if estimate is not None and estimate.low is not None and estimate.high is not None:
            ends = [estimate.low * column.scale, estimate.high * column.scale]
            axes.plot(ends, [place, place], color="black", linewidth=0.6)


def _axis(axes: Axes, column: Column) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(unit_of(column))
    # Few numbers: at the width of a column more would touch.
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)


def _marks(model: TableModel, columns: Sequence[int]) -> str:
    """What the marks of a forest plot are."""
    cells = [line[index] for line in model.cells for index in columns]
    parts = ["bars: 95 % intervals, clustered by condition"] if any(cell.low is not None for cell in cells) else []
    kinds = [(row.competes, bool(row.published)) for row in model.rows]
    parts += ["grey squares: floors and ceilings"] * ((False, False) in kinds)
    parts += ["hollow: incomplete"] * any(0 < cell.n < cell.total for cell in cells)
    parts += ["diamonds: as published"] * ((False, True) in kinds)
    return " · ".join(parts)
