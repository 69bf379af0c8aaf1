"""Where output goes: tables and results to standard output, everything said along the way to standard error."""

from __future__ import annotations

import codecs
import io
import logging
import sys
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from vapbench.files.text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.progress import Progress


@cache
def output() -> Console:
    """Standard output."""
    from rich.console import Console

    return Console(highlight=False, emoji=False)


@cache
def errors() -> Console:
    """Standard error: progress, warnings, errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


def say(*lines: str) -> None:
    """Print lines to standard output as they are: no markup, and no break but the terminal's."""
    for line in lines:
        output().print(line, markup=False, soft_wrap=True)


def tell(*lines: str) -> None:
    """The same to standard error."""
    for line in lines:
        errors().print(line, markup=False, soft_wrap=True)


def terminal_width(console: Console) -> int | None:
    """Columns of the terminal that a console writes to; None where it writes to a file, whose lines have no limit."""
    return console.width if console.is_terminal else None


def progress_bar() -> Progress:
    """A bar of steps done and time left, on standard error; tasks have a field ``note``, shown behind the count."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=errors())


def print_json(value: object) -> None:
    """Print a JSON document to standard output, where nothing else may be printed then."""
    import json

    # What another encoding lacks has an escape in JSON, and needs no replacement.
    ascii_only = not output().encoding.casefold().startswith("utf")
    output().print_json(json.dumps(value, default=str), ensure_ascii=ascii_only)


def print_in_any_encoding() -> None:
    """Let standard output and error take every character: what their encoding lacks is spelled in ASCII, or ``?``."""
    codecs.register_error("vapbench", _spell)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="vapbench")


_SPELLED = {"↑": "^", "↓": "v", "±": "+/-", "·": "-", "→": "->", "≤": "<=", "≥": ">=", "—": "-", "•": "*"}
_SPELLED |= {"“": '"', "”": '"', "─": "-", "│": "|", "├": "|", "└": "`", "\u2018": "'", "\u2019": "'"}
# Minus sign, en dash, multiplication sign.
_SPELLED |= {"\u2212": "-", "\u2013": "-", "\u00d7": "x"}


def _spell(error: UnicodeError) -> tuple[str, int]:
    import unicodedata

    if not isinstance(error, UnicodeEncodeError):
        raise error
    made = []
    for character in error.object[error.start : error.end]:
        # An accent is left out; a ligature, a superscript or an ellipsis is written out.
        plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode("ascii")
        made.append(_SPELLED.get(character) or plain or "?")
    return "".join(made), error.end


def configure_logging(verbose: int | None, quiet: bool, log_json: Path | None = None) -> None:
    """Show warnings (``-v``: details too, ``-q``: errors only), one line each; everything as JSON to ``log_json``.

    ``verbose`` is None of a command that has no ``-v``.
    """
    handler = _ConsoleHandler(None if verbose else _REPEATS, "" if verbose is None else "; -v shows all")
    handler.setLevel(logging.ERROR if quiet else logging.WARNING if not verbose else logging.INFO)
    logger = logging.getLogger("vapbench")
    logger.handlers = [handler]
    logger.setLevel(handler.level)
    logger.propagate = False
    if log_json is not None:
        from vapbench.core.events import JsonHandler

        logger.addHandler(JsonHandler(log_json))
        logger.setLevel(logging.DEBUG)


_REPEATS = 2


class _ConsoleHandler(logging.Handler):
    """Prints records; of those that differ only in their details, the first few."""

    def __init__(self, repeats: int | None, hint: str) -> None:
        super().__init__()
        self._repeats, self._hint = repeats, hint
        self._seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        from rich.markup import escape

        self._seen[str(record.msg)] += 1
        if self._repeats is not None and self._seen[str(record.msg)] > self._repeats:
            if self._seen[str(record.msg)] == self._repeats + 1:
                errors().print(f"[yellow]note[/yellow] … and more like this{self._hint}")
            return
        colour = "red" if record.levelno >= logging.ERROR else "yellow"
        word = "error" if record.levelno >= logging.ERROR else "note"
        errors().print(f"[{colour}]{word}[/{colour}] {escape(visible(record.getMessage()))}", soft_wrap=True)
