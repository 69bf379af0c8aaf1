"""What a stranger's text may be: short, in one normal form, seen as it is, and no markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

LINE = 120
"""Most characters of a title, a name, a licence."""
NOTE = 2000
"""Most characters of any other text."""
_MOST_MARKS = 2
"""Combining marks on one letter: Vietnamese needs none in its normal form, Hebrew and Thai two."""

_MARKUP = re.compile(r"<\s*[!/?a-zA-Z]|javascript\s*:|data\s*:\s*text|\]\s*\(|&#?\w+;|\{\{|\{%", re.IGNORECASE)
# Bounded: a text without a colon would be read once for each of its letters.
_LINK = re.compile(r"[a-z][a-z0-9+.-]{0,20}://|\bwww\.", re.IGNORECASE)
# Letters, marks and a space that show nothing or a line: fillers, joiners, variation selectors.
_BLANK = re.compile(
    "[\u034f\u1680\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\u2800\U000e0100-\U000e01ef]"
)
# Of the marks that combine with any letter.
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
_STRAY = re.compile(f"(?:^|[^\\w{_MARKS}])[{_MARKS}]")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "-": "", "_": "", ".": ""})
_OWN_WORDS = ("recomputed", "reproduced", "verified", "official", "officially", "selfreported", "published")
_PROMISES = re.compile(r"\b(maintainers?|human[ -]study)\b|\[in \w+ letters\]", re.IGNORECASE)
# Of a title alone: a parameter may be called rank, and a licence be the first of two.
_PLACES = re.compile(r"#\s?\d|\b(1st|first) place\b|\bwinner\b|\bsota\b|\bstate[ -]of[ -]the[ -]art\b", re.IGNORECASE)
_SIGNS = frozenset("\u2020\u2021")
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})
_LAST_LATIN = "\u024f"
_VIETNAMESE = ("\u1e00", "\u1eff")


def unfit(text: str) -> str:
    """Why a text cannot be shown as it is, or "": what no text on the board may hold."""
    # Most texts are plain, and there may be megabytes of them.
    if not (text.isascii() and text.isprintable()) and (reason := _unseen(text)):
        return reason
    if found := _MARKUP.search(text):
        return f"holds markup or a script ({found[0]!r} …)"
    return ""


def _unseen(text: str) -> str:
    marks = 0
    for character in text:
        kind = unicodedata.category(character)
        if (kind in _UNSEEN and character not in "\n\t") or _BLANK.match(character):
            return f"holds the invisible character U+{ord(character):04X}"
        marks = marks + 1 if kind in ("Mn", "Me", "Mc") else 0
        if marks > _MOST_MARKS:
            return f"stacks more than {_MOST_MARKS} combining marks on a letter"
    return ""


def unfit_note(text: str, links: bool = False) -> str:
    """Why a stranger's text is refused, or ""; links are for messages of failures, which pages show as text."""
    # Rows repeat their names; what is long is seldom repeated, and would fill the memory.
    return (_unfit_name if len(text) <= LINE else _unfit_note)(text, links)


def _unfit_note(text: str, links: bool) -> str:
    if len(text) > NOTE:
        return f"has {len(text):,} characters; {NOTE:,} are the most"
    if unicodedata.normalize("NFC", text) != text:
        return "is not in Unicode's normal form NFC"
    if stray := _STRAY.search(text):
        return f"has the mark U+{ord(stray[0][-1]):04X} on no letter, where it lies over what stands before"
    if not links and (found := _LINK.search(text)):
        return f"holds a link ({found[0]}); the repository has a field of its own"
    return unfit(text)


_unfit_name = lru_cache(1 << 14)(_unfit_note)


def unfit_line(text: str) -> str:
    """Why a title, a name or a licence is refused, or "": one line that reads as nothing else."""
    if len(text) > LINE:
        return f"has {len(text):,} characters; {LINE} are the most"
    if reason := unfit_note(text):
        return reason
    if "\n" in text or "\t" in text or "  " in text or text != text.strip():
        return "is more than one line, or has spaces at its ends or two in a row"
    if unicodedata.normalize("NFKC", text) != text:
        return "holds letters that stand for plain ones (Unicode's form NFKC is another)"
    if not any(character.isalnum() for character in text) or text[0] in "=+-@":
        return "begins as a formula, or holds no letter"
    if strange := next((c for c in text if _is_symbol(c)), ""):
        return f"holds the symbol U+{ord(strange):04X}; letters, digits and punctuation will do"
    if reason := unfit_claim(text):
        return reason
    scripts = _scripts(text)
    if len(scripts) > 1:
        return f"mixes scripts ({' and '.join(sorted(scripts))}), so that one letter may pass for another"
    return ""


def unfit_claim(text: str) -> str:
    """Why a text that stands as a fact on a page is refused, or "": it says what the board alone may say."""
    said = found[0] if (found := _PROMISES.search(text.replace("_", " "))) else _own_word(text)
    return f"says {said!r}, which is the board's own to say" if said else ""


def unfit_title(text: str) -> str:
    """Why a title is refused, or "": as a line, or because it says a place, which the scores alone give."""
    return unfit_line(text) or _place(text)


def unfit_name(name: str) -> str:
    """Why a run's name, by which boards call it, is refused, or "": it says what the board or the scores alone say."""
    words = re.sub(r"[-_.]", " ", name)
    return unfit_claim(words) or _place(words)


def _place(text: str) -> str:
    found = _PLACES.search(text)
    return f"says {found[0]!r}; what place a method has, its scores say" if found else ""


def _own_word(text: str) -> str:
    """A word of the board's within a text, however it is spelled (``re com puted``, ``vérif1ed``); "" for none."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    words = re.findall(r"[^\W_]+", plain)
    for first in range(len(words)):
        reading = ""
        for last in range(first, len(words)):
            reading += read_as(words[last])
            if reading in _OWN:
                return " ".join(words[first : last + 1])
            if len(reading) > _LONGEST:
                break
    return ""


def _is_symbol(character: str) -> bool:
    """Whether it is a picture or a sign that tables have a meaning for, such as arrows and daggers."""
    kind = unicodedata.category(character)
    return kind in ("So", "Sk", "Nl", "No") or (kind == "Sm" and not character.isascii()) or character in _SIGNS


def script_of(text: str) -> str:
    """The script of a line that is not written in Latin letters, as a page notes beside it; "" for Latin."""
    return next((name.capitalize() for name in _scripts(text) if name != "LATIN"), "")


def read_as(name: str) -> str:
    """What a run's name reads as: names of equal readings pass for each other."""
    plain = name.partition("~")[0].casefold().translate(_ALIKE)
    return plain.replace("rn", "m").replace("vv", "w")


_OWN = frozenset(map(read_as, _OWN_WORDS))
_LONGEST = max(map(len, _OWN))


def problems(value: Any, where: str, links: bool = False) -> Iterator[str]:
    """Sentences on every text and name within a JSON value that a stranger sent."""
    for place, text in _texts(value, where):
        if reason := unfit_note(text, links):
            yield f"{place} {reason}; write plain text"


def claims(value: Any, where: str) -> Iterator[str]:
    """Sentences on every text and name within a JSON value that says what the board alone may say."""
    for place, text in _texts(value, where):
        if reason := unfit_claim(text):
            yield f"{place} {reason}"


def problems_of_ours(value: Any, where: str) -> Iterator[str]:
    """The same of our own, whose captions may be long and hold what they like but markup and what is not seen."""
    for place, text in _texts(value, where):
        if reason := unfit(text):
            yield f"{place} {reason}; write plain text"


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield f"{where}: a name", str(name)
            yield from _texts(item, f"{where}.{str(name)[:60]!r}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, where)


def _scripts(text: str) -> set[str]:
    found = set()
    for character in text:
        if unicodedata.category(character)[0] == "L":
            plain = character <= _LAST_LATIN or _VIETNAMESE[0] <= character <= _VIETNAMESE[1]
            name = unicodedata.name(character, "UNKNOWN").split()[0]
            # Phonetic and small-capital Latin looks like plain Latin, and is another script to a reader's eye.
            found.add("LATIN" if name == "LATIN" and plain else "PHONETIC LATIN" if name == "LATIN" else name)
        elif unicodedata.category(character) == "Nd" and not character.isascii():
            found.add("OTHER DIGITS")
    east = found & _EAST_ASIAN
    # Words in Latin letters within Chinese, Japanese or Korean text pass for nothing else.
    return (found - _EAST_ASIAN - {"LATIN"}) | {"EAST ASIAN"} if east else found
