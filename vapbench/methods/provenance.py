"""Where videos come from that nobody can make again: which service, which of its effects, when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from vapbench.errors import DataError, ErrorKind

FIELDS = ("service", "effect", "date", "watermark")
"""Columns of a manifest beside ``case`` and ``video``."""
_LONGEST = 200
_SHOWN = 5

Provenance = Mapping[str, str]


def read_provenance(row: Mapping[str, str | None], where: str) -> dict[str, str]:
    """What a row of a manifest says of a video's origin; blank and absent fields are left out.

    Args:
        row: the manifest's row.
        where: file and line, for messages.

    Raises:
        DataError: ``date`` is no YYYY-MM-DD, ``watermark`` neither yes nor no, or a text too long for a table's foot.
    """
    found = {name: " ".join((row.get(name) or "").split()) for name in FIELDS}
    found = {name: text for name, text in found.items() if text}
    if long := [name for name, text in found.items() if len(text) > _LONGEST]:
        raise DataError(
            f"{where}: {long[0]} has more than {_LONGEST} characters; shorten it.", ErrorKind.LIMIT, long[0]
        )
    if "date" in found:
        try:
            found["date"] = date.fromisoformat(found["date"]).isoformat()
        except ValueError:
            raise DataError(
                f"{where}: the date {found['date']!r} is none; write it as 2025-11-03.", ErrorKind.INVALID, "date"
            ) from None
    if found.get("watermark", "no") not in ("yes", "no"):
        raise DataError(
            f"{where}: watermark is {found['watermark']!r}; write yes or no.", ErrorKind.INVALID, "watermark"
        )
    return found


def notes_on(origins: Sequence[Provenance]) -> list[str]:
    """What a reader of a table must know of the origins of its videos; nothing where none is told."""
    told = [origin for origin in origins if any(field in origin for field in FIELDS)]
    if not told:
        return []
    parts = [f"service {_counted(told, 'service')}", f"effect {_counted(told, 'effect')}"]
    dates = sorted(origin["date"] for origin in told if "date" in origin)
    if dates:
        parts.append(f"made {dates[0]}" + (f" to {dates[-1]}" if dates[-1] != dates[0] else ""))
    if undated := len(told) - len(dates):
        parts.append(f"{undated} without a date")
    marked = sum(origin.get("watermark") == "yes" for origin in told)
    unknown = sum("watermark" not in origin for origin in told)
    parts.append(f"{marked} of {len(told)} with a watermark" + (f", {unknown} not known" if unknown else ""))
    return [f"Imported videos: {'; '.join(parts)}."]


def _counted(origins: Sequence[Provenance], name: str) -> str:
    """``Ghibli (3), Orbit (1)``, the commonest first."""
    counts = Counter(origin.get(name, "not told") for origin in origins)
    shown = [f"{text} ({count})" for text, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
