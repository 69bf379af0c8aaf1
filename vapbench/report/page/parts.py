"""What a score is made of, as a tree a page can lay out: series of numbers become small charts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vapbench.files.text import counted

_LONGEST = 4000
"""Characters of one text; a judge's raw answer fits."""
_DEEPEST = 8
_SERIES = 4
"""Numbers from which on a list is a series."""


@dataclass(frozen=True)
class Part:
    """One named part of a score."""

    name: str
    text: str = ""
    chart: str = ""
    """SVG path of a series in a 100 x 24 box; empty for anything else."""
    block: bool = False
    """Whether the text wants lines of its own."""
    children: tuple[Part, ...] = ()


def parts_of(parts: Mapping[str, Any], depth: int = 0) -> tuple[Part, ...]:
    """Lay out the ``parts`` of a score row, in their order; what is nested deeper than a page can show is left out."""
    if depth > _DEEPEST:
        return (Part("…", "nested too deeply to be shown"),)
    return tuple(_part(str(name).replace("_", " "), value, depth) for name, value in parts.items())


def number(value: float) -> str:
    """A number of unknown scale: whole numbers in full, others to four significant digits."""
    if not abs(value) < 1e300:
        return f"{value:.3e}" if isinstance(value, float) else f"a number of {counted(value.bit_length(), 'bit')}"
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.4g}"


def _part(name: str, value: Any, depth: int) -> Part:
    if isinstance(value, Mapping):
        return Part(name, text="" if value else "none", children=parts_of(value, depth + 1))
    if isinstance(value, list | tuple):
        return _list(name, value, depth)
    text = _text(value)
    return Part(name, text, block=len(text) > 60 or "\n" in text)


def _list(name: str, values: Sequence[Any], depth: int) -> Part:
    if not values:
        return Part(name, "none")
    if all(isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 for value in values):
        if len(values) < _SERIES:
            return Part(name, ", ".join(map(number, values)))
        low, high = number(min(values)), number(max(values))
        return Part(name, f"{counted(len(values), 'value')}, {low} to {high}", chart=_chart(values))
    if any(isinstance(value, Mapping | list | tuple) for value in values):
        return Part(name, children=parts_of({str(i): value for i, value in enumerate(values, start=1)}, depth + 1))
    text = ", ".join(map(_text, values))
    return Part(name, text, block=len(text) > 60)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({counted(len(text), 'character')})"


def _chart(values: Sequence[float]) -> str:
    """A polyline over the series; the axis runs from the least value to the greatest."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = 100 / (len(values) - 1)
    points = (f"{i * step:.1f} {22 - 20 * (value - low) / span:.1f}" for i, value in enumerate(values))
    return "M" + "L".join(points)
