"""Tables in HTML: a ``figure`` to paste into any page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from vapbench.report.tables.grid import Grid, Line, PrintedCell


def to_html(grid: Grid) -> str:
    """The table with its caption and notes; no style, no script, everything escaped."""
    return "\n".join(_figure(grid)) + "\n"


def _figure(grid: Grid) -> Iterator[str]:
    heads = [f"{escape(h.title)} {h.arrow}".rstrip() for h in grid.headers] + (["n"] if grid.counts else [])
    yield '<figure class="vapbench-table">'
    yield "<table>"
    yield f"<caption>{escape(grid.title)}</caption>"
    columns = "".join(f'<th scope="col">{head}</th>' for head in ("Method", *heads))
    yield f"<thead><tr>{columns}</tr></thead>"
    for group in grid.groups:
        yield "<tbody>"
        if group.title:
            yield f'<tr><th scope="rowgroup" colspan="{len(heads) + 1}">{escape(group.title)}</th></tr>'
        for line in group.lines:
            yield _line(line, grid.counts)
        yield "</tbody>"
    yield "</table>"
    if grid.notes or grid.footers:
        notes = [f"<sup>{number}</sup> {escape(note)}" for number, note in enumerate(grid.notes, start=1)]
        yield f"<figcaption>{''.join(f'<p>{text}</p>' for text in (*notes, *map(escape, grid.footers)))}</figcaption>"
    yield "</figure>"


def _line(line: Line, counts: bool) -> str:
    cells = "".join(f"<td>{_entry(entry)}</td>" for entry in line.entries)
    count = f"<td>{escape(line.count)}</td>" if counts else ""
    return f'<tr><th scope="row">{escape(line.label)}</th>{cells}{count}</tr>'


def _entry(entry: PrintedCell) -> str:
    text = escape(entry.text)
    text = f"<strong>{text}</strong>" if entry.best else f"<u>{text}</u>" if entry.second else text
    text += "<sup>\N{DAGGER}</sup>" if entry.dagger else ""
    text += f"<sup>{entry.note}</sup>" if entry.note else ""
    text += f" ({escape(entry.difference)})" if entry.difference else ""
    return text + (f" <small>{escape(entry.interval)}</small>" if entry.interval else "")
