"""Where output goes: tables and results to standard output, everything said along the way to standard error."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@cache
def output() -> Console:
    """Standard output."""
    from rich.console import Console

    return Console(highlight=False)


@cache
def errors() -> Console:
    """Standard error: progress, warnings, errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def configure_logging(verbose: int, quiet: bool) -> None:
    """Show warnings (``-v``: details too, ``-q``: errors only), one line each."""
    level = logging.ERROR if quiet else logging.WARNING if not verbose else logging.INFO
    handler = _ConsoleHandler()
    logger = logging.getLogger("vapbench")
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False


class _ConsoleHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from rich.markup import escape

        colour = "red" if record.levelno >= logging.ERROR else "yellow"
        word = "error" if record.levelno >= logging.ERROR else "note"
        errors().print(f"[{colour}]{word}[/{colour}] {escape(record.getMessage())}", soft_wrap=True)
