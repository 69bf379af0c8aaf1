"""What changed on the boards and why: a file that is only ever appended to.

Each line holds the hash of the line before it, so a rewritten past is found. Dates are those of the data (when the
run's last session ended), never of the build: building twice adds nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import canonical_json, digest, write_text
from vapbench.files.parsing import parse_json
from vapbench.files.text import counted
from vapbench.leaderboard.boards import Board, Entry

GENESIS = "0" * 64


@dataclass(frozen=True)
class Change:
    """One line."""

    date: str
    """``YYYY-MM-DD`` of the data."""
    event: str
    """``added``, ``rescored``, ``verified`` (its badge changed, nothing else) or ``withdrawn``."""
    suite: str
    run: str
    """Name of its folder."""
    why: str
    columns: dict[str, str]
    """Definition -> hash of its scores, ``generations`` -> hash of the videos, ``badge``; empty once withdrawn."""
    previous: str
    """Hash of the line before."""


def read_changelog(path: Path) -> list[Change]:
    """Read it, and check that nothing was rewritten.

    Raises:
        DataError: a line is damaged, or does not follow from the one before it.
    """
    if not path.is_file():
        return []
    changes, previous = [], GENESIS
    for number, line in enumerate(_lines(path), start=1):
        try:
            change = Change(**parse_json(line))
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{path}:{number} is no line of a changelog ({error}); restore it from git.",
                ErrorKind.DAMAGED,
                "changelog.jsonl",
            ) from error
        if change.previous != previous:
            raise DataError(
                f"{path}:{number} does not follow the line before it: the past was rewritten; restore it.",
                ErrorKind.DAMAGED,
                "changelog.jsonl",
            )
        changes.append(change)
        previous = _hash(line)
    return changes


def update_changelog(path: Path, boards: Sequence[Board], left_out: Container[str] = ()) -> list[Change]:
    """Append what has changed since the last line; return all lines.

    Args:
        path: the changelog.
        boards: what stands now.
        left_out: submissions that are there and not shown.

    Raises:
        DataError: as :func:`read_changelog`.
    """
    changes = read_changelog(path)
    standing: dict[tuple[str, str], dict[str, str]] = {}
    for change in changes:
        standing[change.suite, change.run] = change.columns
    latest = max([change.date for change in changes] + [e.date for b in boards for e in b.entries], default="")
    found: list[dict[str, Any]] = []
    for board in boards:
        for entry in board.entries:
            key = (board.suite, entry.run.folder.path.name)
            columns, known = _columns(entry), standing.pop(key, {})
            if columns != known:
                changed = {name for name in {*columns, *known} if columns.get(name) != known.get(name)}
                event = "added" if not known else "verified" if changed == {"badge"} else "rescored"
                why = _why(known, columns) if known else f"{entry.badge}, {counted(len(columns) - 2, 'metric column')}"
                named = {"suite": key[0], "run": key[1], "why": why, "columns": columns}
                found.append({"date": entry.date, "event": event, **named})
    for (suite, run), known in sorted(standing.items()):
        if known:
            why = "it no longer passes the check" if run in left_out else "its rows are no longer in the results"
            found.append({"date": latest, "event": "withdrawn", "suite": suite, "run": run, "why": why, "columns": {}})
    return _append(path, changes, sorted(found, key=lambda item: (item["date"], item["suite"], item["run"])))


def _append(path: Path, changes: list[Change], found: Sequence[dict[str, Any]]) -> list[Change]:
    if not found:
        return changes
    lines = _lines(path) if path.is_file() else []
    for item in found:
        previous = _hash(lines[-1]) if lines else GENESIS
        lines.append(canonical_json({**item, "previous": previous}))
        changes.append(Change(**parse_json(lines[-1])))
    write_text(path, "".join(f"{line}\n" for line in lines))
    return changes


def _lines(path: Path) -> list[str]:
    # Not splitlines(): a name may hold a character that it takes for the end of a line.
    text = path.read_text(encoding="utf-8")
    return text.removesuffix("\n").split("\n") if text else []


def _columns(entry: Entry) -> dict[str, str]:
    made = {case: [(row.seed, row.status, row.sha256) for row in rows] for case, rows in entry.run.generations.items()}
    columns: dict[str, str] = {"badge": entry.badge, "generations": digest(made)[:16]}
    for key, rows in entry.run.scores.items():
        name = f"{key.metric} v{key.version}" + (f" {key.params}" if key.params != "{}" else "")
        columns[name] = digest(sorted([case, seed, row.status, row.value] for (case, seed), row in rows.items()))[:16]
    return columns


def _why(known: dict[str, str], now: dict[str, str]) -> str:
    if known.get("badge") != now["badge"]:
        badge = f"badge: {now['badge']}" + (f", was {known['badge']}" if "badge" in known else "")
        rest = _why({**known, "badge": now["badge"]}, now)
        return f"{badge}; {rest}" if rest else badge
    parts = {
        "new": sorted(now.keys() - known.keys()),
        "changed": sorted(name for name in now.keys() & known.keys() if now[name] != known[name]),
        "gone": sorted(known.keys() - now.keys()),
    }
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in parts.items() if names)


def _hash(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()
