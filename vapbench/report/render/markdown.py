"""Tables in Markdown, as GitHub and the documentation site render it."""

from __future__ import annotations

from vapbench.files.text import in_a_row
from vapbench.report.tables.grid import Grid, Line, PrintedCell

# Not every Markdown knows a backslash before these four.
_ESCAPED = {character: f"\\{character}" for character in "\\`*_[]>#|"} | {
    "<": "&lt;",
    "&": "&amp;",
    "~": "&#126;",
    "$": "&#36;",
}


def to_markdown(grid: Grid) -> str:
    """A pipe table with its notes; second best is underlined by ``<u>``, which Markdown has no sign for."""
    heads = [
        "Method",
        *(f"{escape(h.title)} {h.arrow}".rstrip() for h in grid.headers),
        *(["n"] if grid.counts else []),
    ]
    width = len(heads)
    rows = [_row(heads), _row([":--", *["--:"] * (width - 1)])]
    for group in grid.groups:
        if group.title:
            rows.append(_row([f"*{escape(group.title)}*", *[""] * (width - 1)]))
        rows += [_row(_cells(line, grid.counts)) for line in group.lines]
    notes = [f"<sup>{number}</sup> {escape(note)}" for number, note in enumerate(grid.notes, start=1)]
    paragraphs = [f"**{escape(grid.title)}**", "\n".join(rows), *notes, *map(escape, grid.footers)]
    return "\n\n".join(paragraphs) + "\n"


def escape(text: str) -> str:
    """Text without meaning for Markdown or HTML, on one line."""
    return "".join(_ESCAPED.get(character, character) for character in in_a_row(text))


def _cells(line: Line, counts: bool) -> list[str]:
    return [escape(line.label), *map(_entry, line.entries), *([line.count] if counts else [])]


def _entry(entry: PrintedCell) -> str:
    text = f"**{entry.text}**" if entry.best else f"<u>{entry.text}</u>" if entry.second else entry.text
    text += "\N{DAGGER}" if entry.dagger else ""
    text += f"<sup>{entry.note}</sup>" if entry.note else ""
    text += f" ({entry.difference})" if entry.difference else ""
    return text + (f" {escape(entry.interval)}" if entry.interval else "")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
