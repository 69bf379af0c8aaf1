"""Where each page of the site lies, relative to its root."""

from __future__ import annotations

from collections.abc import Sequence

from vapbench.leaderboard.boards import Board, Entry, slug
from vapbench.report.model import TableModel
from vapbench.report.read.columns import Column
from vapbench.report.read.probes import EFFECT
from vapbench.results.keys import column_slug


def board_page(boards: Sequence[Board], board: Board, number: int) -> str:
    """Of one of a board's tables."""
    last = len(board.tables) - 1
    if board is boards[0] and number == last:
        return "index.html"
    table: TableModel = board.tables[number]
    return f"board/{board.slug}/{'index' if number == last else slug(table.task or 'all')}.html"


def home_page(boards: Sequence[Board], board: Board) -> str:
    """Of a board's last table, of most cases."""
    return board_page(boards, board, len(board.tables) - 1)


def embed_page(board: Board) -> str:
    """Of the bare table."""
    return f"embed/{board.slug}.html"


def card_image(board: Board) -> str:
    """Of the picture that links are shown with."""
    return f"card/{board.slug}.png"


def case_page(board: Board, case: str) -> str:
    """Of a case."""
    return f"case/{board.slug}/{slug(case)}.html"


def method_page(board: Board, entry: Entry) -> str:
    """Of a run."""
    return f"method/{board.slug}/{entry.slug}.html"


def metric_page(board: Board, column: Column) -> str:
    """Of a column that was measured, or what a probe's means; empty for a paper's."""
    if column.metric == EFFECT:
        return "methodology.html#probes"
    if column.definition not in board.columns:
        return ""
    return f"metric/{board.slug}/{slug(column_slug(column.metric, column.params))}-v{column.version}.html"
