r"""Tables in LaTeX: booktabs, nothing else, as wide as a column of the venue and no wider.

Sizes are in points rather than by name: ``\small`` is another size in every class. What does not fit is made smaller,
its labels are broken, and at last its columns continue in a second block.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from vapbench.report.model import Footer
from vapbench.report.render.tex import BOLD, escape, paragraph, spelled_out, width, wrap
from vapbench.report.tables.grid import Grid, Header, Line, PrintedCell
from vapbench.report.tables.layout import WIDTHS, Notes

log = logging.getLogger(__name__)

_POINTS = 72.27
_PAGE = 9.0
"""Inches of text on a page of most venues, from top to bottom."""
_SIZES = (9.0, 8.0, 7.0)
_SMALLER = {9.0: 7.0, 8.0: 7.0, 7.0: 6.0}
"""Size of intervals, by that of the numbers."""
_GAP = 5.0
_LABEL_SHARES = (1.0, 0.42, 0.3)
"""Parts of the width that labels may take before they are broken."""
_NOTE_SIZE, _NOTE_LINE = 7.0, 8.4
_SLACK = 1.15
"""Lines of prose are not full: so much more room they take."""

_ALWAYS = ("published", "marks", "mean", "ranks")
"""Kinds of notes without which what is printed could not be read."""
_BRIEF = ("cases", "conditions", "power", "votes", "rows", "tests", "suite", "lacking", "columns", "versions", "made")
"""The others, the most needed first."""


def to_latex(grid: Grid, label: str = "", inches: float = WIDTHS["column"], notes: Notes = "full") -> str:
    r"""A ``table`` environment.

    Args:
        grid: the table.
        label: of ``\label{...}``; empty for none.
        inches: width it may take.
        notes: ``full``: all of them; ``brief``: as many as are no longer than the table, the rest as comments.
    """
    table = _Table(grid, inches * _POINTS)
    for problem in table.overflow(notes):
        log.warning("%s: %s", grid.title, problem)
    printed = "\n".join(table.lines(label, notes)) + "\n"
    if absent := spelled_out(printed):
        log.warning(
            "%s: LaTeX's own fonts lack %s, so their numbers are printed; give another --label or --caption.",
            *(grid.title, " ".join(absent)),
        )
    return printed


def document(tables: Sequence[str], inches: float) -> str:
    """A document of tables that compiles by itself.

    Args:
        tables: what :func:`to_latex` made.
        inches: width of its text.
    """
    body = "\n".join(tables)
    return (
        f"\\documentclass[10pt]{{article}}\n\\usepackage[textwidth={inches:g}in,textheight=9in]{{geometry}}\n"
        f"\\usepackage{{booktabs}}\n\\begin{{document}}\n{body}\\end{{document}}\n"
    )


@dataclass(frozen=True)
class _Fit:
    """Sizes at which a table fits."""

    size: float
    labels: float
    """Widest that a label may be, in points."""
    blocks: tuple[range, ...]
    """Columns of each block."""


class _Table:
    """A grid that is to be so many points wide."""

    def __init__(self, grid: Grid, total: float) -> None:
        self.grid, self.total = grid, total
        self.rows = [line for group in grid.groups for line in group.lines]
        self.paired = [any(_beside(line.entries[i]) for line in self.rows) for i in range(len(grid.headers))]
        self.fit = self._fit()

    def overflow(self, notes: Notes) -> Iterator[str]:
        """What there is no room for on paper, and what to do."""
        needed = max((self._width(block, self.fit.size, self.fit.labels) for block in self.fit.blocks), default=0.0)
        if needed > self.total:
            yield (
                f"needs {needed / _POINTS:.1f} in of {self.total / _POINTS:.1f}, and runs into the margin; "
                "give it a wider --width, or shorter labels."
            )
        height = self._printed_height(notes)
        if height > _PAGE * _POINTS:
            shorter = "--notes brief, " if notes == "full" else ""
            yield (
                f"is about {height / _POINTS:.0f} in high, more than a page; choose fewer columns or rows "
                f"({shorter}--metric, --width page)."
            )

    def lines(self, label: str, notes: Notes) -> Iterator[str]:
        """The environment."""
        printed, comments = self._notes(notes)
        inches = f"{self.total / _POINTS:g}"
        yield rf"% Needs \usepackage{{booktabs}}. Laid out for {inches} in; --width column, page or INCHES sets it."
        yield from (f"% {comment}" for comment in comments)
        yield r"\begin{table}[t]"
        yield r"\centering\sloppy"
        # Above a table the caption needs room below it; most classes leave it above.
        yield r"\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{6pt}"
        yield rf"\caption{{{' '.join(paragraph([self.grid.title]))}}}"
        if label:
            yield rf"\label{{{''.join(c for c in label if c.isascii() and (c.isalnum() or c in '-.:'))}}}"
        yield rf"\fontsize{{{self.fit.size:g}}}{{{self.fit.size * 1.2:.1f}}}\selectfont"
        small = _SMALLER[self.fit.size]
        if any(entry.interval for line in self.rows for entry in line.entries):
            yield rf"\def\beside#1{{{{\fontsize{{{small:g}}}{{{small * 1.2:.1f}}}\selectfont #1}}}}"
        for number, block in enumerate(self.fit.blocks):
            if number:
                yield r"\par\vspace{4pt}"
            yield from self._block(block)
        yield r"\par\vspace{3pt}"
        yield r"\begin{minipage}{\linewidth}\raggedright"
        yield rf"\fontsize{{{_NOTE_SIZE:g}}}{{{_NOTE_LINE:g}}}\selectfont"
        yield from printed
        yield r"\end{minipage}"
        yield r"\end{table}"

    def _fit(self) -> _Fit:
        everything = range(len(self.grid.headers))
        count = max(1, len(everything))
        for blocks in range(1, count + 1):
            cut = [everything[i * count // blocks : (i + 1) * count // blocks] for i in range(blocks)]
            for size, share in product(_SIZES, _LABEL_SHARES):
                if all(self._width(block, size, share * self.total) <= self.total for block in cut):
                    return _Fit(size, share * self.total, tuple(cut))
        return _Fit(_SIZES[-1], _LABEL_SHARES[-1] * self.total, tuple(everything[i : i + 1] for i in everything))

    def _width(self, block: range, size: float, labels: float) -> float:
        texts = [part for line in self.rows for part in wrap(line.label, labels, size)]
        first = max((width(text, size) for text in ("Method", *texts)), default=0.0)
        counts = max(width(line.count, size) for line in self.rows) + _GAP if self.grid.counts and self.rows else 0.0
        return first + counts + sum(_GAP + self._column(index, size) for index in block)

    def _column(self, index: int, size: float) -> float:
        head = max(width(text, size) for text in _head(self.grid.headers[index], self._body(index, size), size))
        return max(head, self._body(index, size))

    def _body(self, index: int, size: float) -> float:
        """Width of a column's numbers with what stands beside them."""
        entries = [line.entries[index] for line in self.rows]
        numbers = max((width(e.text, size) * (BOLD if e.best else 1.0) for e in entries), default=0.0)
        small = _SMALLER[size]
        beside = (
            width(_marks(e), small)
            + (width(f" ({e.difference})", size) if e.difference else 0.0)
            + (width(f" {e.interval}", small) if e.interval else 0.0)
            for e in entries
        )
        return numbers + max(beside, default=0.0)

    def _block(self, block: range) -> Iterator[str]:
        between = rf"@{{\extracolsep{{\fill}}\hspace{{{_GAP:g}pt}}}}"
        columns = "".join(between + (r"r@{\extracolsep{0pt}}l" if self.paired[index] else "r") for index in block) + (
            f"{between}r" if self.grid.counts else ""
        )
        yield rf"\begin{{tabular*}}{{\linewidth}}{{@{{}}l{columns}@{{}}}}"
        yield r"\toprule"
        yield from self._heads(block)
        for group in self.grid.groups:
            yield r"\midrule"
            if group.title:
                # No wider than nothing: a long title would push the columns apart.
                for text in wrap(group.title, 0.95 * self.total, self.fit.size):
                    yield rf"\rlap{{\textit{{{escape(text)}}}}} \\"
            for line in group.lines:
                yield from self._line(line, block)
        yield r"\bottomrule"
        yield r"\end{tabular*}"

    def _heads(self, block: range) -> Iterator[str]:
        """As many lines as the longest title needs: on one line most would be wider than their numbers."""
        size = self.fit.size
        heads = [_head(self.grid.headers[index], self._body(index, size), size) for index in block]
        height = max((len(head) for head in heads), default=1)
        stacked = [[""] * (height - len(head)) + head for head in heads]
        for number in range(height):
            last = number == height - 1
            cells = ["Method" if last else ""]
            for index, head in zip(block, stacked, strict=True):
                text = escape(head[number])
                # What stands right of a column belongs to it, and is replaced with it.
                after = "" if index == block[-1] and not self.grid.counts else rf"\hspace{{{_GAP:g}pt}}"
                spanning = rf"\multicolumn{{2}}{{r@{{{after}}}}}{{{text}}}"
                cells.append(spanning if self.paired[index] and text else text)
                if self.paired[index] and not text:
                    cells.append("")
            yield _row([*cells, *(["$n$" if last else ""] if self.grid.counts else [])])

    def _line(self, line: Line, block: range) -> Iterator[str]:
        first, *rest = wrap(line.label, self.fit.labels, self.fit.size)
        cells = [escape(first)]
        for index in block:
            entry = line.entries[index]
            cells += [_number(entry), _beside(entry)] if self.paired[index] else [_number(entry)]
        yield _row([*cells, *([escape(line.count)] if self.grid.counts else [])])
        for text in rest:
            yield _row([escape(text)])

    def _notes(self, wanted: Notes) -> tuple[list[str], list[str]]:
        """Notes in print, and those that are left to comments of the file."""
        marked = [rf"$^{{{i}}}$ {text}" for i, text in enumerate(paragraph(self._numbered()), start=1)]
        kept = self._footers(wanted)
        left = [footer for footer in self.grid.footers if footer not in kept]
        return [*marked, *paragraph(kept)], [escape(footer) for footer in left]

    def _numbered(self) -> list[str]:
        return [f"{text}." for text in self.grid.notes]

    def _footers(self, wanted: Notes) -> list[Footer]:
        """Those in print."""
        if wanted == "full":
            return list(self.grid.footers)
        room = self._height() - sum(map(_height_of, self._numbered()), 0.0) * self._note_width()
        kept: set[Footer] = set()
        for kind in (*_ALWAYS, *_BRIEF):
            for footer in self.grid.footers:
                needed = _height_of(footer) * self._note_width()
                if footer.kind == kind and (kind in _ALWAYS or needed <= room):
                    kept.add(footer)
                    room -= needed
        return [footer for footer in self.grid.footers if footer in kept]

    def _height(self) -> float:
        """Of the tables, in points."""
        labels = sum(len(wrap(line.label, self.fit.labels, self.fit.size)) for line in self.rows)
        heads = 2 + len(self.grid.groups)
        return (labels + heads) * self.fit.size * 1.2 * len(self.fit.blocks)

    def _printed_height(self, notes: Notes) -> float:
        """Of the whole environment, in points: caption, heads of several lines and notes too."""
        size, caption = self.fit.size, 12.0
        heads = 0.0
        for block in self.fit.blocks:
            lines = (len(_head(self.grid.headers[index], self._body(index, size), size)) for index in block)
            heads += (max(lines, default=1) - 1) * size * 1.2
        below = [*self._numbered(), *self._footers(notes)]
        return (
            self._height()
            + heads
            + sum(map(_height_of, below), 0.0) * self._note_width()
            + (width(self.grid.title, 10.0) // self.total + 2) * caption
        )

    def _note_width(self) -> float:
        """Height that a point of the width of a text takes."""
        return _NOTE_LINE * _SLACK / self.total


def _height_of(text: str) -> float:
    return width(text, _NOTE_SIZE)


def _head(header: Header, body: float, size: float) -> list[str]:
    """Lines of a column's head, no wider than its numbers where its words allow it."""
    words = [word for word in header.title.split() if word] or [""]
    limit = max([body, *(width(word, size) for word in words)])
    longest = 2.4 * max(body, 24.0)
    lines = wrap(header.title, min(limit, longest), size)
    if not header.arrow:
        return lines
    return [*lines[:-1], f"{lines[-1]} {header.arrow}".strip()]


def _number(entry: PrintedCell) -> str:
    text = escape(entry.text)
    return rf"\textbf{{{text}}}" if entry.best else rf"\underline{{{text}}}" if entry.second else text


def _marks(entry: PrintedCell) -> str:
    return ",".join([*(["\N{DAGGER}"] if entry.dagger else []), *([str(entry.note)] if entry.note else [])])


def _beside(entry: PrintedCell) -> str:
    """What stands beside a number, in a column of its own, so that numbers stay in line."""
    marks = [*([r"\dagger"] if entry.dagger else []), *([str(entry.note)] if entry.note else [])]
    text = f"$^{{{','.join(marks)}}}$" if marks else ""
    if entry.difference:
        text += rf"\ ({escape(entry.difference)})"
    if entry.interval:
        text += rf"\ \beside{{{escape(entry.interval)}}}"
    return text


def _row(cells: list[str]) -> str:
    # A row that begins with a bracket would be read as the optional argument of the row before it.
    return " & ".join(f"{{{cell}}}" if cell.startswith(("[", "*")) else cell for cell in cells) + r" \\"
