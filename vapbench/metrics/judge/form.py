"""An answer as a form: its text is fixed, only its numbers are the model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vapbench.metrics.judge.rubric import CRITERION_MAXIMUM, SCORE_MAXIMUM, Rubric


@dataclass(frozen=True)
class Blank:
    """A whole number from ``least`` (0 or 1) to ``maximum`` for the model to write."""

    maximum: int
    least: int = 0

    def takes(self, written: str, more: str) -> bool:
        """Whether ``more`` may follow ``written``."""
        text = written + more
        return text == str(int(text)) and self.least <= int(text) <= self.maximum


def rating_form(rubric: Rubric) -> list[str | Blank]:
    """``{"criterion": _, …, "score": _}``: every criterion from 0 to 10, then the score from 0 to 100."""
    form: list[str | Blank] = []
    for name in rubric.criteria:
        form += [f'{", " if form else "{"}"{name}": ', Blank(CRITERION_MAXIMUM)]
    return [*form, ', "score": ', Blank(SCORE_MAXIMUM), "}"]


class Form:
    """A form in a tokenizer's tokens: at each step, which of them may come next.

    A number ends with the first token of the text behind it, which the model chooses when it is done.
    """

    def __init__(self, tokenizer: Any, form: Sequence[str | Blank]) -> None:
        """Prepare ``form``, which ends with text, for ``tokenizer``."""
        self._digits = digit_tokens(tokenizer)
        self._pieces: list[list[int] | Blank] = [
            tokenizer.encode(piece, add_special_tokens=False) if isinstance(piece, str) else piece for piece in form
        ]
        self._end = tokenizer.eos_token_id

    @property
    def longest(self) -> int:
        """Tokens of the longest answer."""
        return 1 + sum(len(str(p.maximum)) if isinstance(p, Blank) else len(p) for p in self._pieces)

    def allowed(self, made: Sequence[int]) -> list[int]:
        """Tokens that may follow those made so far."""
        place, written = self._walk(made)[:2]
        if place is None:
            return [self._end]
        piece, at = place
        if not isinstance(piece, Blank):
            return [piece[at]]
        more = [token for token, text in self._digits.items() if piece.takes(written, text)]
        return [*more, self._after(piece)] if written else more

    def numbers(self, made: Sequence[int]) -> list[int]:
        """The numbers of a finished answer."""
        return self._walk(made)[2]

    def _walk(self, made: Sequence[int]) -> tuple[tuple[list[int] | Blank, int] | None, str, list[int]]:
        """Where in the form the tokens end: (piece, place in it) or None, digits so far, numbers before."""
        numbers: list[int] = []
        at = 0
        for piece in self._pieces:
            if isinstance(piece, Blank):
                written = ""
                while at < len(made) and made[at] in self._digits and piece.takes(written, self._digits[made[at]]):
                    written += self._digits[made[at]]
                    at += 1
                if at == len(made):
                    return (piece, 0), written, numbers
                numbers.append(int(written))
            elif len(made) - at < len(piece):
                return (piece, len(made) - at), "", numbers
            else:
                at += len(piece)
        return None, "", numbers

    def _after(self, blank: Blank) -> int:
        index = next(i for i, piece in enumerate(self._pieces) if piece is blank)
        following = self._pieces[index + 1]
        if isinstance(following, Blank):
            raise ValueError("a number must be followed by text")
        return following[0]


@lru_cache(maxsize=4)
def digit_tokens(tokenizer: Any) -> dict[int, str]:
    """Tokens that are digits and nothing else, with what they say."""
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    return {token: text for token, text in enumerate(texts) if text.isascii() and text.isdecimal() and len(text) <= 3}
