"""Figures of the mini suite's claims: dots with their intervals, and a curve where the number of conditions varies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from vapbench.report.render.figures_frame import COLOURS, GREY, LINE, save_figure

if TYPE_CHECKING:
    from mini_claims import Row

_WIDTH = 5.5
"""Inches of a page."""
_TITLES = {"score": "Alignment", "points": "Difference, points", "dB": "PSNR, dB"}
_GRID: Any = {"color": "#E5E5E5", "linewidth": 0.6}


def draw(path: Path, title: str, rows: Sequence[Row]) -> None:
    """Draw a claim: a panel below the other for scores, differences and decibels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(path, lambda: _figure(title, rows))


def _figure(title: str, rows: Sequence[Row]) -> Figure:
    groups = {unit: [row for row in rows if row.unit == unit] for unit in _TITLES}
    shown = {unit: found for unit, found in groups.items() if found}
    heights = [_height(found) for found in shown.values()]
    figure = Figure(figsize=(_WIDTH, sum(heights) + 4 * LINE * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (unit, found) in zip(panels, shown.items(), strict=True):
        (_curve if _varies(found) else _dots)(axes, found)
        if unit == "points":
            axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    figure.suptitle(title)
    return figure


def _varies(rows: Sequence[Row]) -> bool:
    return all(row.conditions is not None for row in rows)


def _height(rows: Sequence[Row]) -> float:
    return 2.0 if _varies(rows) else 1.3 * LINE * len(rows)


def _dots(axes: Any, rows: Sequence[Row]) -> None:
    for place, row in enumerate(rows):
        if row.mean is None:
            axes.text(0.01, place, "not measured", transform=axes.get_yaxis_transform(), color=GREY, va="center")
            continue
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [place, place], color=COLOURS[0], linewidth=1.1)
        axes.plot(row.mean, place, "o", color=COLOURS[0], markersize=3.5, clip_on=False)
    axes.set_yticks(range(len(rows)), [row.what for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(_TITLES[rows[0].unit])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="x", **_GRID)
    axes.set_axisbelow(True)
    if rows[0].unit == "score":
        axes.set_xlim(0, 100)


def _curve(axes: Any, rows: Sequence[Row]) -> None:
    known = [row for row in rows if row.mean is not None]
    for row in rows:
        if row.mean is None:
            axes.text(row.conditions, 2, "not measured", color=GREY, ha="center")
    for row in known:
        if row.low is not None and row.high is not None:
            axes.plot([row.conditions] * 2, [row.low, row.high], color=COLOURS[0], linewidth=1.1)
    axes.plot([row.conditions for row in known], [row.mean for row in known], "o-", color=COLOURS[0], markersize=3.5)
    axes.set_xscale("log", base=2)
    axes.set_xticks([row.conditions for row in rows], [str(row.conditions) for row in rows])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(rows[0].conditions / 1.3, rows[-1].conditions * 1.3)
    axes.set_ylim(0, 100)
    axes.set_xlabel("Conditions of each category in training")
    axes.set_ylabel(_TITLES[rows[0].unit])
    axes.grid(axis="y", **_GRID)
