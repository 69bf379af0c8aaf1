"""Text from files, names and models, made fit for where it is shown: no other module cleans text by itself."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable
from typing import Any

_UNFIT = "\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
_TURNING = "\u202a-\u202e\u2066-\u2069"
_NOT_HTML = re.compile(f"[{_UNFIT}]")
_NOT_PUBLIC = re.compile(f"[{_UNFIT}{_TURNING}]")
_SHOWN = 3
_REPLACED = "\N{REPLACEMENT CHARACTER}"


def visible(text: str) -> str:
    """Lines that a terminal only shows: what could drive it, or cannot be encoded, is marked."""
    return "".join(c if c.isprintable() or c == "\n" else _REPLACED for c in text)


def in_a_row(text: str) -> str:
    """Text on one line, in which everything that does not print is a space."""
    return "".join(c if c.isprintable() else " " for c in text)


def encodable(text: str) -> str:
    """Text that UTF-8 holds: a lone surrogate becomes ``?``."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def escaped(text: str) -> str:
    r"""Text that UTF-8 holds: a lone surrogate, as of an undecodable file name, becomes its escape, ``\udc80``."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def csv_text(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV; None is an empty cell."""
    table = io.StringIO(newline="")
    # With this end of line a lone carriage return in a cell is quoted as well; readers would end the row there.
    writer = csv.writer(table, lineterminator="\r\n")
    lines = []
    for row in (header, *rows):
        writer.writerow(row)
        lines.append(table.getvalue().removesuffix("\r\n"))
        table.seek(0)
        table.truncate()
    return "".join(f"{line}\n" for line in lines)


def some(texts: Collection[object]) -> str:
    """The first few of many, with commas between them."""
    return ", ".join(list(map(str, texts))[:_SHOWN]) + (", …" if len(texts) > _SHOWN else "")


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number and what there are that many of: ``1 tie``, ``2 ties``, ``1,200 votes``.

    Args:
        number: of things.
        one: what one of them is called; what goes with it may follow, as in ``case is``.
        many: what several are called, if not ``one`` and an s: ``cases are``.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def for_page(value: Any) -> Any:
    """What a template prints, without what UTF-8 or HTML cannot hold; markup and what is no text stay as they are.

    That is lone surrogates, noncharacters, and control characters other than tab and line feed.
    """
    return _marked(_NOT_HTML, value)


def for_public_page(value: Any) -> Any:
    """As :func:`for_page`, and without what turns the reading direction around: the text is a stranger's."""
    return _marked(_NOT_PUBLIC, value)


def _marked(unfit: re.Pattern[str], value: Any) -> Any:
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return unfit.sub(_REPLACED, value)
    return value
