"""The picture that a link to a board is shown with, 1200x630: the best methods by the headline column."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.files.text import counted
from vapbench.leaderboard.boards import Board, headline
from vapbench.leaderboard.charts import best_first, measured
from vapbench.report.model import TableModel
from vapbench.report.render.figures_frame import COLOURS, flat, save_figure, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (1200, 630)
"""Pixels: what sites that show links ask for."""
_DPI = 300
_INK, _SOFT = "#1C1B1A", "#5D5A56"
_SHOWN = 6
"""Methods that a card has room for."""


def draw_card(path: Path, board: Board) -> None:
    """Draw a board's card as PNG; equal boards give equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(path, lambda: _card(board))


def _card(board: Board) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0] / _DPI, SIZE[1] / _DPI), facecolor="#FBFAF8")
    table = board.tables[-1]
    figure.text(0.05, 0.83, "vapbench", size=18, color=_INK)
    figure.text(0.95, 0.84, "Mini board" if board.small else "Full-size board", size=8, color=_SOFT, ha="right")
    figure.text(0.05, 0.72, "Semantic-controlled video generation", size=10, color=_INK)
    lead = headline(table.columns)
    ours = measured(board, table, lead) if table.columns else []
    printed = [place for place, line in enumerate(table.cells) if line and line[lead].mean is not None]
    if ours or printed:
        places = best_first(table, lead, ours or printed)[:_SHOWN]
        _means(figure, table, lead, places)
        first, cell = table.rows[places[0]], table.cells[places[0]][lead]
        source = f"{counted(cell.total, 'case')}, 95 % intervals" if ours else f"as published, {first.published}"
        figure.text(0.05, 0.06, flat(f"{table.columns[lead].header} · {source}"), size=7, color=_SOFT)
    return figure


def _means(figure: Figure, table: TableModel, lead: int, places: list[int]) -> None:
    """Means and intervals of some rows, the first on top."""
    column = table.columns[lead]
    axes = figure.add_axes((0.36, 0.15, 0.5, 0.49), facecolor="none")
    for height, place in enumerate(places):
        cell = table.cells[place][lead]
        mean = cell.mean or 0.0
        if cell.low is not None and cell.high is not None:
            ends = [cell.low * column.scale, cell.high * column.scale]
            axes.plot(ends, [height, height], color=COLOURS[0], linewidth=1.6)
        axes.plot(mean * column.scale, height, "D" if cell.published else "o", color=COLOURS[0], markersize=4.5)
        right = axes.get_yaxis_transform()
        axes.text(1.04, height, column.text(mean), transform=right, va="center", color=_INK)
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_yticks(range(len(places)), short([table.rows[place].label for place in places], 2.6))
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.set_frame_on(False)
