"""Code names of conditions: their parameters as a number, scrambled, in syllables.

``mini_`` and five syllables of a consonant and a vowel, six bits each: 22 bits say which condition, eight check
them, so that a misspelt code is refused and not taken for another condition. The scrambling is a permutation
(four rounds of a Feistel network), which makes neighbours unlike: a text encoder learns nothing from the letters.
"""

from __future__ import annotations

import hashlib
import math
import re
from functools import cache
from typing import Any

from vapbench.errors import ErrorKind, UsageError
from vapbench.suites.mini.grammar.parameters import CATEGORIES, FAMILIES, Category, Semantics, axes

GRAMMAR_VERSION = 1
"""Raised whenever a code, a clip or a plain caption of the grammar changes."""

_CONSONANTS, _VOWELS = "bdfgjklmnprstvwz", "aeio"
_SYLLABLES = tuple(consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS)
_COUNT = 5
_INDEX_BITS, _HALF = 22, 15
_ROUNDS = 4
_CODE = re.compile(rf"mini_((?:[{_CONSONANTS}][{_VOWELS}]){{{_COUNT}}})")


def code_of(semantics: Semantics) -> str:
    """The code name of a condition.

    Raises:
        UsageError: it is not in its canonical form, or has a parameter between the values of conditions.
    """
    number = _number_of(semantics)
    scrambled = _scramble(number | _check(number) << _INDEX_BITS)
    digits = [scrambled >> 6 * place & 63 for place in range(_COUNT)]
    return "mini_" + "".join(_SYLLABLES[digit] for digit in digits)


def is_code(name: str) -> bool:
    """Whether a name is that of a condition of the grammar."""
    return _read(name) is not None


def semantics_of(code: str) -> Semantics:
    """The condition of a code name.

    Raises:
        UsageError: it is no code of the grammar.
    """
    found = _read(code)
    if found is None:
        raise UsageError(
            f"{code!r} is no code of the mini grammar: mini_ and {_COUNT} syllables that belong together.",
            ErrorKind.UNKNOWN,
            "condition",
        )
    return found


@cache
def _read(code: str) -> Semantics | None:
    match = _CODE.fullmatch(code)
    if match is None:
        return None
    word = match[1]
    digits = [_SYLLABLES.index(word[2 * place : 2 * place + 2]) for place in range(_COUNT)]
    value = _unscramble(sum(digit << 6 * place for place, digit in enumerate(digits)))
    number, check = value & (1 << _INDEX_BITS) - 1, value >> _INDEX_BITS
    found = _of_number(number) if check == _check(number) else None
    return found if found is not None and found.canonical() == found else None


def _number_of(semantics: Semantics) -> int:
    if semantics.canonical() != semantics:
        raise UsageError(
            f"{semantics} says more than it does; its canonical form has a code.", ErrorKind.INVALID, "code"
        )
    place = 0
    for name, axis in axes(type(semantics)).items():
        value = getattr(semantics, name)
        if value not in axis.values:
            raise UsageError(
                f"{type(semantics).__name__}.{name} of {value!r} lies between the values of conditions.",
                ErrorKind.INVALID,
                "code",
            )
        place = place * len(axis.values) + axis.values.index(value)
    return _offsets()[semantics.category] + place


def _of_number(number: int) -> Semantics | None:
    for category in reversed(CATEGORIES):
        first = _offsets()[category]
        if number >= first:
            return _at(category, number - first) if number - first < _size(category) else None
    return None


def _at(category: Category, place: int) -> Semantics:
    values: dict[str, Any] = {}
    for name, axis in reversed(axes(FAMILIES[category]).items()):
        place, digit = divmod(place, len(axis.values))
        values[name] = axis.values[digit]
    found: Semantics = FAMILIES[category](**values)
    return found


def _size(category: Category) -> int:
    return math.prod([len(axis.values) for axis in axes(FAMILIES[category]).values()])


@cache
def _offsets() -> dict[Category, int]:
    sizes = [_size(category) for category in CATEGORIES]
    return {category: sum(sizes[:place]) for place, category in enumerate(CATEGORIES)}


def _check(number: int) -> int:
    return hashlib.sha256(f"check {number}".encode()).digest()[0]


def _mask(turn: int, half: int) -> int:
    return int.from_bytes(hashlib.sha256(f"round {turn} {half}".encode()).digest()[:2], "little") & (1 << _HALF) - 1


def _scramble(value: int) -> int:
    left, right = value >> _HALF, value & (1 << _HALF) - 1
    for turn in range(_ROUNDS):
        left, right = right, left ^ _mask(turn, right)
    return left << _HALF | right


def _unscramble(value: int) -> int:
    left, right = value >> _HALF, value & (1 << _HALF) - 1
    for turn in reversed(range(_ROUNDS)):
        left, right = right ^ _mask(turn, left), left
    return left << _HALF | right
