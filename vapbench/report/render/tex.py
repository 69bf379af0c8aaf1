r"""Any text as LaTeX in pure ASCII, and how wide it is in print.

Whatever a label or caption holds is escaped: characters that LaTeX gives a meaning, letters with accents, arrows and
signs. What no standard font has is written as its code point, so that the file compiles with pdfLaTeX as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

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
    "\N{DEGREE SIGN}": r"$^{\circ}$",
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

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu "
    "nu xi pi rho sigma tau upsilon phi chi psi omega"
)
# Capitals that look like Latin ones have no name of their own.
_CAPITALS = frozenset("gamma delta theta lambda xi pi sigma upsilon phi psi omega".split())
_NAMED = {
    **{unicodedata.lookup(f"GREEK SMALL LETTER {name.replace('lambda', 'lamda')}"): name for name in _GREEK.split()},
    **{
        unicodedata.lookup(f"GREEK CAPITAL LETTER {name.replace('lambda', 'lamda')}"): name.capitalize()
        for name in _CAPITALS
    },
    "\N{MICRO SIGN}": "mu",
    "\N{INCREMENT}": "Delta",
    "\N{GREATER-THAN OR EQUAL TO}": "geq",
    "\N{LESS-THAN OR EQUAL TO}": "leq",
    "\N{NOT EQUAL TO}": "neq",
    "\N{ALMOST EQUAL TO}": "approx",
    "\N{RIGHTWARDS ARROW}": "rightarrow",
    "\N{LEFTWARDS ARROW}": "leftarrow",
    "\N{LEFT RIGHT ARROW}": "leftrightarrow",
    "\N{RIGHTWARDS DOUBLE ARROW}": "Rightarrow",
    "\N{INFINITY}": "infty",
    "\N{ELEMENT OF}": "in",
    "\N{N-ARY SUMMATION}": "sum",
}
"""Signs that have a name in mathematics."""

_WIDTHS = {
    **dict.fromkeys("0123456789/agov\N{EN DASH}\N{UPWARDS ARROW}\N{DOWNWARDS ARROW}", 5.0),
    **dict.fromkeys(".,:;'ijl|!\N{MIDDLE DOT}", 2.8),
    **dict.fromkeys("[] frt-()I", 3.9),
    **dict.fromkeys("+=<>~\N{MINUS SIGN}\N{PLUS-MINUS SIGN}\N{MULTIPLICATION SIGN}", 7.8),
    **dict.fromkeys("bdhknpquxyJS", 5.6),
    **dict.fromkeys("cesz", 4.5),
    **dict.fromkeys("mw#%M@\N{HORIZONTAL ELLIPSIS}", 9.2),
    **dict.fromkeys("W\N{EM DASH}", 10.3),
}
"""Widths of characters in Computer Modern at 10 pt, in points, rounded up by class; Times is narrower."""
_CAPITAL, _CODE_POINT = 7.9, 33.0
_GROWTH = {9.0: 1.04, 8.0: 1.08, 7.0: 1.17, 6.0: 1.27}
"""How much wider Computer Modern is at a size than that of 10 pt drawn smaller."""
BOLD = 1.16
"""How much wider bold is."""
_LONG_WORD = 16
_LONGEST = 1000
"""Letters of a label or head that are set: no table has room for more."""
_BREAKS = re.compile(r"(?<=[-/=,_~:.])(?=[^\W_])|(?<=\s)")


def width(text: str, size: float) -> float:
    """Width in print, in points: an upper bound for Computer Modern and for Times.

    Args:
        text: as it was before it was escaped.
        size: of the font, in points.
    """
    return sum(map(_width, text)) * size / 10 * _GROWTH.get(size, 1.0)


def wrap(text: str, limit: float, size: float) -> list[str]:
    """Lines no wider than ``limit`` points: broken between words, then within names, then anywhere."""
    lines = [""]
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
    for piece in _BREAKS.split(text):
        if lines[-1] and width((lines[-1] + piece).rstrip(), size) > limit:
            lines.append("")
        for character in piece:
            if lines[-1] and width(lines[-1] + character, size) > limit and not character.isspace():
                lines.append("")
            lines[-1] += character
    return [line.strip() for line in lines if line.strip()] or [""]


def paragraph(texts: Sequence[str]) -> list[str]:
    """Sentences escaped, a line each; names too long to stand on one line may be broken."""
    return [" ".join(map(_breakable, text.split())) for text in texts]


def _width(character: str) -> float:
    known = _WIDTHS.get(character)
    if known is not None:
        return known
    if character.isascii():
        return _CAPITAL
    if character in _NAMED:
        return _CAPITAL
    letter = unicodedata.normalize("NFD", character)[0]
    return _width(letter) if letter.isascii() else _CODE_POINT


def _breakable(word: str) -> str:
    if len(word) <= _LONG_WORD:
        return escape(word)
    pieces = [piece[i : i + _LONG_WORD] for piece in _BREAKS.split(word) for i in range(0, len(piece), _LONG_WORD)]
    return r"\allowbreak{}".join(map(escape, pieces))


def escape(text: str) -> str:
    """Any text as LaTeX that prints it; line breaks and control characters become spaces."""
    return "".join(_escape(character) for character in unicodedata.normalize("NFC", text))


def _escape(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii():
        return character if character.isprintable() else " "
    if character in _NAMED:
        return rf"$\{_NAMED[character]}$"
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in _ACCENTS:
        # An i or j loses its dot before it gets an accent.
        letter = {"i": r"\i", "j": r"\j"}.get(parts[0], parts[0])
        return f"{{{_ACCENTS[parts[1]]}{{{letter}}}}}"
    if unicodedata.category(character)[0] in "ZC":
        return " "
    return rf"\texttt{{U+{ord(character):04X}}}"


def spelled_out(printed: str) -> list[str]:
    """Characters that are printed as their numbers: no font of LaTeX's own has them."""
    return [chr(int(digits, 16)) for digits in dict.fromkeys(re.findall(r"\\texttt\{U\+([0-9A-F]{4,6})\}", printed))]
