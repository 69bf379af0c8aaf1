"""Figures of a board as data: what a page draws as SVG, with the numbers of its tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vapbench.errors import UsageError
from vapbench.leaderboard.boards import Board, headline
from vapbench.report.model import TableModel
from vapbench.report.read.columns import Column
from vapbench.suites.mini.conditions import condition as mini_condition

_PREFIXES = ("mini_", "vidu_", "kling_")
_WIDTH, _HEIGHT = 640.0, 320.0
_LINE = 15.0
_PLOTTED = 24
"""Most methods of a figure: the best by the headline column."""


@dataclass(frozen=True)
class Point:
    """One method of the plot of quality against time."""

    label: str
    x: float
    y: float
    place: float
    """Height of its label: labels stand apart."""
    text: str
    """What it says: value and seconds."""


@dataclass(frozen=True)
class Plot:
    """Quality against the seconds a clip takes."""

    points: tuple[Point, ...]
    ticks: tuple[tuple[float, str], ...]
    """Place and label on the axis of seconds, which is logarithmic."""
    marks: tuple[tuple[float, str], ...]
    """The same on the other axis."""


@dataclass(frozen=True)
class Share:
    """A mean over some cases, as a part of a scale."""

    text: str
    part: float
    """0 to 1."""


@dataclass(frozen=True)
class Grid:
    """Means of methods over groups of cases, in one column."""

    column: Column
    names: tuple[str, ...]
    """Of the groups."""
    lines: tuple[tuple[str, tuple[Share | None, ...]], ...]
    """Per method."""


def human(condition: str) -> str:
    """A condition as people say it: of the mini suite in plain words, otherwise its name without whose it is."""
    for prefix in _PREFIXES:
        if condition.startswith(prefix):
            if prefix == "mini_":
                return _plain(condition)
            return f"{_spaced(condition.removeprefix(prefix))} ({prefix.strip('_').capitalize()})"
    return _spaced(condition)


def by_category(board: Board, table: TableModel) -> Grid | None:
    """Means of the methods that are ranked, per category; None where there is one or none."""
    return _grid(board, table, table.categories)


def by_condition(board: Board, table: TableModel) -> Grid | None:
    """The same per condition."""
    return _grid(board, table, table.conditions)


def plot_of(board: Board, table: TableModel) -> Plot | None:
    """Quality against the median seconds of a clip; None without two methods whose times are known."""
    if not table.columns:
        return None
    lead = headline(table.columns)
    column, found = table.columns[lead], []
    for place in measured(board, table, lead):
        row, mean = table.rows[place], table.cells[place][lead].mean or 0.0
        if row.seconds:
            found.append((row.label, row.seconds, mean))
    if len(found) < 2:
        return None
    low, high = min(item[1] for item in found), max(item[1] for item in found)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high * 1.001))
    bottom, top = _scale(column, [item[2] for item in found])

    def on_plot(seconds: float, value: float) -> tuple[float, float]:
        across = (math.log10(seconds) - first) / max(1, last - first)
        return round(across * _WIDTH, 1), round(_HEIGHT - (value - bottom) / (top - bottom) * _HEIGHT, 1)

    placed = [(*on_plot(seconds, value), label, seconds, value) for label, seconds, value in found]
    points, lowest = list[Point](), -math.inf
    for x, y, label, time, value in sorted(placed, key=lambda item: (item[1], item[0])):
        lowest = max(y, lowest + _LINE)
        points.append(Point(label, x, y, lowest, f"{label}: {column.text(value)} at {time:.3g} s"))
    ticks = tuple((on_plot(10.0**power, bottom)[0], f"{10.0**power:g} s") for power in range(first, last + 1))
    steps = [bottom + (top - bottom) * part / 4 for part in range(5)]
    return Plot(tuple(points), ticks, tuple((on_plot(10.0**first, step)[1], column.text(step)) for step in steps))


def best_first(table: TableModel, lead: int, places: Sequence[int]) -> list[int]:
    """Rows by their means in one column."""
    up = table.columns[lead].higher_is_better is not False
    return sorted(places, key=lambda place: table.cells[place][lead].mean or 0.0, reverse=up)


def _grid(board: Board, table: TableModel, groups: Mapping[str, str]) -> Grid | None:
    names = tuple(sorted(set(groups.values())))
    if not table.columns or not table.scores or len(names) < 2:
        return None
    lead = headline(table.columns)
    column = table.columns[lead]
    order = best_first(table, lead, measured(board, table, lead))[:_PLOTTED]
    means = {place: _means(table.scores[place][lead], groups) for place in order}
    if not means:
        return None
    bottom, top = _scale(column, [value for line in means.values() for value in line.values()])

    def share(value: float | None) -> Share | None:
        return None if value is None else Share(column.text(value), round((value - bottom) / (top - bottom), 3))

    lines = tuple(
        (table.rows[place].label, tuple(share(line.get(name)) for name in names)) for place, line in means.items()
    )
    return Grid(column, names, lines)


def measured(board: Board, table: TableModel, lead: int) -> list[int]:
    """Rows of methods that were measured or computed again, and have a mean in the headline column."""
    reported = {entry.label for entry in board.entries if entry.badge == "self-reported"}
    return [
        place
        for place, row in enumerate(table.rows)
        if row.competes and row.label not in reported and table.cells[place][lead].mean is not None
    ]


def _means(scores: Mapping[str, float], groups: Mapping[str, str]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for case, value in scores.items():
        found.setdefault(groups[case], []).append(value)
    return {name: math.fsum(values) / len(values) for name, values in found.items()}


def _scale(column: Column, values: Sequence[float]) -> tuple[float, float]:
    """The metric's own range, or that of the values where it has none."""
    low, high = column.range
    bottom, top = min(values) if low is None else low, max(values) if high is None else high
    return (bottom, top) if top > bottom else (bottom, bottom + 1.0)


def _plain(condition: str) -> str:
    try:
        return mini_condition(condition).description.format(it="the subject").capitalize()
    except UsageError:
        return _spaced(condition.removeprefix("mini_"))


def _spaced(name: str) -> str:
    return name.replace("_", " ").capitalize()
