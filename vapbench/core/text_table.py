"""Tables of plain text: rich aligns them, measures wide letters, and folds what does not fit."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_GAP = 2
_NO_LIMIT = 100_000
_Rows = Sequence[Sequence[str]]


def table_lines(rows: _Rows, width: int | None = None, *, left: int = 1, indent: int = 0) -> list[str]:
    """A table as lines without blanks at their ends.

    Args:
        rows: cells of each row, the heads first where there are any.
        width: columns of the terminal; None for no limit. A table of numbers that needs more goes on in further
            blocks, each beginning with the first column; text, and what is too wide even then, is folded.
        left: how many columns, from the first on, are of text and stand to the left; the others, of numbers, stand to
            the right.
        indent: blanks before every line.
    """
    from rich.console import Console

    lines: list[str] = []
    room = (width or _NO_LIMIT) - indent
    console = Console(width=room, file=io.StringIO(), color_system=None, force_terminal=False)
    for block in _blocks(rows, room) if left < len(rows[0]) else [range(len(rows[0]))]:
        table = text_table([[row[column] for column in block] for row in rows], left=sum(c < left for c in block))
        drawn = console.render_lines(table, pad=False)
        lines += [""] if lines else []
        lines += [(" " * indent + "".join(piece.text for piece in line)).rstrip() for line in drawn]
    return lines


def natural_width(rows: _Rows) -> int:
    """Columns that a table needs to stand in one block, unfolded."""
    widths = _widths(rows)
    return sum(widths) + _GAP * (len(widths) - 1)


def text_table(rows: _Rows, *, left: int = 1, style: str = "") -> Table:
    """A table for rich to print, without lines and heads of its own; ``style`` is the first column's."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column in range(len(rows[0])):
        table.add_column(justify="left" if column < left else "right", style="" if column else style, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _widths(rows: _Rows) -> list[int]:
    from rich.cells import cell_len

    return [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]


def _blocks(rows: _Rows, room: int) -> Iterator[list[int]]:
    """Columns of each block: the first, and as many others as there is room for, but one at least."""
    widths = _widths(rows)
    block, used = [0], widths[0]
    for column in range(1, len(widths)):
        if len(block) > 1 and used + _GAP + widths[column] > room:
            yield block
            block, used = [0], widths[0]
        block.append(column)
        used += _GAP + widths[column]
    yield block
