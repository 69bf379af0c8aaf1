"""Numbers in captions: whole ones, of one word each, so that a small text encoder can learn them."""

from __future__ import annotations

from collections.abc import Sequence


def degrees(turns: float) -> str:
    """Turns as degrees: ``"45 degrees"``."""
    return f"{round(360 * turns)} degrees"


def amount(size: float) -> str:
    """A size without its sign, in hundredths: ``"60 percent"``."""
    return f"{round(100 * abs(size))} percent"


def joined(parts: Sequence[str]) -> str:
    """Parts of a clause in a row: ``"pans and rolls and zooms"``."""
    return " and ".join(parts)
