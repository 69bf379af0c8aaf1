r"""Tables in LaTeX: booktabs, nothing else, pure ASCII.

Whatever a label or caption holds is escaped: characters that LaTeX gives a meaning, letters with accents, arrows and
signs. What no standard font has is written as its code point, so that the file compiles with pdfLaTeX as it is.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence

from vapbench.report.tables.grid import Entry, Grid, Header, Line

PREAMBLE = "% Needs \\usepackage{booktabs}. If it is wider than a column, make it a table*."
_HEAD = 12
"""Letters in a line of a column's head: about as wide as its numbers."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{MINUS SIGN}": "$-$",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{UPWARDS ARROW}": r"$\uparrow$",
    "\N{DOWNWARDS ARROW}": r"$\downarrow$",
    "\N{NO-BREAK SPACE}": "~",
    "\N{LATIN SMALL LETTER SHARP S}": r"\ss{}",
    "\N{LATIN SMALL LETTER AE}": r"\ae{}",
    "\N{LATIN SMALL LETTER O WITH STROKE}": r"\o{}",
    "\N{LATIN SMALL LETTER DOTLESS I}": r"\i{}",
    "\N{LATIN SMALL LETTER L WITH STROKE}": r"\l{}",
}
_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": r"\`",
    "\N{COMBINING ACUTE ACCENT}": r"\'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": r"\^",
    "\N{COMBINING TILDE}": r"\~",
    "\N{COMBINING DIAERESIS}": r"\"",
    "\N{COMBINING MACRON}": r"\=",
    "\N{COMBINING BREVE}": r"\u",
    "\N{COMBINING CARON}": r"\v",
    "\N{COMBINING CEDILLA}": r"\c",
    "\N{COMBINING RING ABOVE}": r"\r",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": r"\H",
    "\N{COMBINING DOT ABOVE}": r"\.",
}


def to_latex(grid: Grid, label: str = "") -> str:
    r"""A ``table`` environment.

    Args:
        grid: the table.
        label: of ``\label{tab:...}``; empty for none.
    """
    body = "\n".join(_table(grid, label))
    return f"{PREAMBLE}\n{body}\n"


def document(tables: Sequence[str], paper: str) -> str:
    """A document of tables that compiles by itself.

    Args:
        tables: what :func:`to_latex` made.
        paper: its size, wide enough for the tables: ``a4paper``, ``a3paper``.
    """
    body = "\n".join(tables)
    return (
        f"\\documentclass{{article}}\n\\usepackage[landscape,{paper},margin=1cm]{{geometry}}\n"
        "\\usepackage{booktabs}\n\\setlength{\\belowcaptionskip}{6pt}\n"
        f"\\begin{{document}}\n{body}\\end{{document}}\n"
    )


def escape(text: str) -> str:
    """Any text as LaTeX that prints it; line breaks and control characters become spaces."""
    return "".join(_escape(character) for character in unicodedata.normalize("NFC", text))


def _escape(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii():
        return character if character.isprintable() else " "
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in _ACCENTS:
        # An i or j loses its dot before it gets an accent.
        letter = {"i": r"\i", "j": r"\j"}.get(parts[0], parts[0])
        return f"{{{_ACCENTS[parts[1]]}{{{letter}}}}}"
    if unicodedata.category(character)[0] in "ZC":
        return " "
    return rf"\texttt{{U+{ord(character):04X}}}"


def _table(grid: Grid, label: str) -> Iterator[str]:
    columns = len(grid.headers) + 1 + grid.counts
    yield r"\begin{table}[t]"
    yield r"\centering"
    yield rf"\caption{{{escape(grid.title)}}}"
    if label:
        yield rf"\label{{tab:{''.join(c for c in label if c.isascii() and (c.isalnum() or c in '-.:'))}}}"
    yield r"\small"
    yield r"\setlength{\tabcolsep}{3pt}"
    yield rf"\begin{{tabular}}{{@{{}}l{'r' * (columns - 1)}@{{}}}}"
    yield r"\toprule"
    yield from _heads(grid)
    for group in grid.groups:
        yield r"\midrule"
        if group.title:
            yield rf"\multicolumn{{{columns}}}{{@{{}}l}}{{\textit{{{escape(group.title)}}}}} \\"
        for line in group.lines:
            yield _line(line, grid.counts)
    yield r"\bottomrule"
    yield r"\end{tabular}"
    notes = [rf"$^{{{number}}}$ {escape(note)}." for number, note in enumerate(grid.notes, start=1)]
    yield r"\par\smallskip"
    yield r"\begin{minipage}{\linewidth}"
    yield r"\footnotesize"
    yield from (*notes, *map(escape, grid.footers))
    yield r"\end{minipage}"
    yield r"\end{table}"


def _heads(grid: Grid) -> Iterator[str]:
    """As many lines as the longest title needs: on one line most would be wider than their numbers."""
    heads = [_head(header) for header in grid.headers]
    height = max((len(head) for head in heads), default=1)
    stacked = [[""] * (height - len(head)) + head for head in heads]
    for line in range(height):
        last = line == height - 1
        ends = [["Method" if last else ""], ["$n$" if last else ""] if grid.counts else []]
        yield _row([*ends[0], *(head[line] for head in stacked), *ends[1]])


def _head(header: Header) -> list[str]:
    """Lines of a column's head; a variant in brackets begins a line."""
    title, bracket, variant = header.title.partition(" (")
    parts = [title, *([f"({variant}"] if bracket else [])]
    wrapped = [textwrap.wrap(part, _HEAD, break_long_words=False, break_on_hyphens=False) for part in parts]
    lines = [escape(line) for part in wrapped for line in part] or [""]
    return [*lines[:-1], " ".join(filter(None, (lines[-1], _arrow(header.arrow))))]


def _line(line: Line, counts: bool) -> str:
    return _row([escape(line.label), *map(_entry, line.entries), *([escape(line.count)] if counts else [])])


def _entry(entry: Entry) -> str:
    text = escape(entry.text)
    if entry.best:
        text = rf"\textbf{{{text}}}"
    elif entry.second:
        text = rf"\underline{{{text}}}"
    marks = [*([r"\dagger"] if entry.dagger else []), *([str(entry.note)] if entry.note else [])]
    if marks:
        text += f"$^{{{','.join(marks)}}}$"
    if entry.difference:
        text += rf" ({escape(entry.difference)})"
    if entry.interval:
        text += rf" {{\scriptsize {escape(entry.interval)}}}"
    return text


def _row(cells: list[str]) -> str:
    # A row that begins with a bracket would be read as the optional argument of the row before it.
    return " & ".join(f"{{{cell}}}" if cell.startswith(("[", "*")) else cell for cell in cells) + r" \\"


def _arrow(arrow: str) -> str:
    return _SPECIAL.get(arrow, "")
