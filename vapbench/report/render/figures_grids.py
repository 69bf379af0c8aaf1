"""Figures as grids of colour: means by condition and method, and methods against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vapbench.errors import ErrorKind, UsageError
from vapbench.report.model import TableModel
from vapbench.report.render.figures_frame import LETTER, LINE, Frame, entitle, pages, short, unit_of
from vapbench.report.tables.breakdown import Breakdown, breakdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELL = 1.05 * LINE
"""Inches of a cell beside upright names."""
_UPRIGHT = 0.66
"""Of what a name may take beside a panel: so much below it, where it takes the page's height."""
_CLOSE = 0.9 * LINE
"""Inches from a name to the next below it."""


def heatmap(model: TableModel, width: float) -> Iterator[Figure]:
    """Conditions by methods, the mean as colour, one panel per column; conditions of a category stand together."""
    items = breakdown(model)
    category = {model.conditions[case]: name for case, name in model.categories.items()}
    order = sorted(range(len(items[0].conditions)), key=lambda place: (category[items[0].conditions[place]], place))
    names, methods = (
        short([items[0].conditions[place] for place in order], width),
        short(items[0].methods, _UPRIGHT * width),
    )
    least = max(_CELL * len(methods), 1.0) + 0.35
    upright = max(map(len, methods)) * LETTER
    frame = Frame(width, names, _CLOSE * len(names), least, below=upright, own_axis=0.05)
    titles = [f"{item.column.header}, {unit_of(item.column)}" if item.column.unit else item.column.header
              for item in items]  # fmt: skip
    groups = _groups([category[items[0].conditions[place]] for place in order])
    for kept in pages(frame, range(len(items)), dict(enumerate(titles))):
        figure, panels = frame.panels([titles[place] for place in kept])
        for axes, item in zip(panels, [items[place] for place in kept], strict=True):
            _heat(axes, item, order)
        _label(panels, names, methods, frame.across)
        entitle(figure, model.title, groups)
        yield figure


def matrix(model: TableModel, width: float) -> Iterator[Figure]:
    """Share of common cases, in percent, in which the row's method scores better than the column's; ties count half."""
    rows = [i for i, row in enumerate(model.rows) if not row.published]
    # A probe's effect has a direction and no score of a case.
    scored = [any(line[i] for line in model.scores) for i in range(len(model.columns))]
    directed = [i for i, c in enumerate(model.columns) if c.higher_is_better is not None and scored[i]]
    if len(rows) < 2 or not directed:
        raise UsageError("A matrix needs two methods, and a metric with a direction.", ErrorKind.MISSING, "figure")
    labels = short([model.rows[row].label for row in rows], width)
    titles = {index: model.columns[index].header for index in directed}
    below = short(labels, _UPRIGHT * width)
    upright = max(map(len, below)) * LETTER
    frame = Frame(width, labels, _CLOSE * len(rows), max(_CELL * len(rows), 1.0), below=upright + LINE, own_axis=0.05)
    for columns in pages(frame, directed, titles):
        figure, panels = frame.panels([titles[index] for index in columns])
        counted = set[int]()
        for axes, index in zip(panels, columns, strict=True):
            shares, counts = _wins(model, rows, index)
            counted |= {n for line in counts for n in line if n}
            axes.imshow(shares, vmin=0, vmax=1, cmap="PuOr_r", aspect="auto")
            if _holds(frame, len(columns), len(rows)):
                _write(axes, shares, counts)
        _label(panels, labels, below, frame.across)
        many = (
            f"n = {min(counted)}" + (f" to {max(counted)}" if len(counted) > 1 else "") if counted else "no common case"
        )
        entitle(figure, model.title, f"% of cases in which the row is better than the column (orange); {many}")
        yield figure


def _write(axes: Axes, shares: Sequence[Sequence[float]], counts: Sequence[Sequence[int]]) -> None:
    for y, line in enumerate(shares):
        for x, share in enumerate(line):
            if counts[y][x]:
                colour = "white" if abs(share - 0.5) > 0.3 else "black"
                axes.text(x, y, f"{100 * share:.0f}", ha="center", va="center", color=colour)


def _heat(axes: Axes, item: Breakdown, order: Sequence[int]) -> None:
    scale, (low, high) = item.column.scale, item.column.range
    nothing = float("nan")
    values = [[nothing if part.mean is None else part.mean * scale for part in item.parts[place]] for place in order]
    ends = (None if low is None else low * scale, None if high is None else high * scale)
    image = axes.imshow(values, cmap="viridis", aspect="auto", vmin=ends[0], vmax=ends[1])
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.06, pad=0.02, aspect=30)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(width=0.4, length=2)


def _label(panels: Sequence[Axes], names: Sequence[str], methods: Sequence[str], across: int) -> None:
    """Rows by name at the left, columns by name below the lowest panels."""
    for number, axes in enumerate(panels):
        axes.set_xticks(range(len(methods)), list(methods) if number + across >= len(panels) else [], rotation=90)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    panels[0].set_yticks(range(len(names)), list(names))


def _holds(frame: Frame, panels: int, methods: int) -> bool:
    """Whether a cell holds three digits."""
    room = (frame.width - frame.left) / min(panels, frame.across) - 0.1
    return room / methods >= 3.2 * LETTER


def _groups(categories: Sequence[str]) -> str:
    """Which rows are which category."""
    found = dict.fromkeys(categories)
    if len(found) < 2:
        return ""
    return "from above: " + ", ".join(f"{name} ({categories.count(name)})" for name in found)


def _wins(model: TableModel, rows: Sequence[int], index: int) -> tuple[list[list[float]], list[list[int]]]:
    better = model.columns[index].higher_is_better
    shares, counts = [], []
    for a in rows:
        line, ns = [], []
        for b in rows:
            first, second = model.scores[a][index], model.scores[b][index]
            common = [case for case in first if case in second] if a != b else []
            won = sum(0.5 if first[c] == second[c] else float((first[c] > second[c]) == better) for c in common)
            line.append(won / len(common) if common else float("nan"))
            ns.append(len(common))
        shares.append(line)
        counts.append(ns)
    return shares, counts
