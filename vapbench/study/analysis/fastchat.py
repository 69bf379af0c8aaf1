"""Votes between two from elsewhere, and ours as FastChat's battles: model_a, model_b, winner, judge, question_id."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from vapbench.core.case import check_name
from vapbench.errors import DataError, ErrorKind
from vapbench.files.text import counted
from vapbench.report.tables.votes import Battle, read_battles
from vapbench.study.analysis.ballots import Ballots
from vapbench.study.analysis.fit import Terms
from vapbench.study.analysis.quality import consenting
from vapbench.study.votes import Vote, each_answer

_ASKED, _PREFERENCE = "Which is better?", "preference"
_MOST_QUESTIONS, _LONGEST_QUESTION = 20, 120
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_CHOICES: dict[str, int | Literal["tie"]] = {"model_a": 0, "model_b": 1, "tie": "tie"}


def to_fastchat(ballots: Ballots, without: Collection[str] = ()) -> list[dict[str, Any]]:
    """Answers of main votes of a pair study, each question's apart; ``model_a`` was shown at the left.

    Args:
        ballots: the votes; those of raters who withdrew are left out, as the consent form promises.
        without: further raters to leave out.
    """
    names = ballots.key.names()
    winner = {choice: name for name, choice in _CHOICES.items()}
    return [
        {
            "question_id": vote.case,
            "model_a": names[vote.order[0]],
            "model_b": names[vote.order[1]],
            "winner": "tie (bothbad)" if vote.both_bad else winner[vote.choice],
            "judge": vote.rater,
            "turn": 1,
            "anony": True,
            "tstamp": vote.stored_us / 1e6,
            "question": vote.question,
        }
        for vote in each_answer(consenting(ballots))
        if vote.rater not in without
    ]


def from_fastchat(path: Path, seed: int = 0) -> tuple[Terms, tuple[Vote, ...]]:
    """Read votes of :func:`vapbench.report.tables.votes.read_battles` as those of a pair study.

    A vote without a rater counts as one of a rater of its own, one without an item as one on an item of its own.

    Returns:
        Terms and main votes, for :func:`vapbench.study.analysis.fit.analyse_votes`.

    Raises:
        DataError: a record lacks a field, names an unknown winner, or compares a model with itself.
    """
    try:
        battles = read_battles(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path.", ErrorKind.MISSING, path.name) from None
    if not battles:
        raise DataError(f"{path}: no votes; export it again.", ErrorKind.MISSING, "votes")
    keys, wordings = _questions([battle.question or "" for battle in battles])
    votes = tuple(_vote(battle, number, key) for number, (battle, key) in enumerate(zip(battles, keys, strict=True), 1))
    names = sorted({model for battle in battles for model in (battle.a, battle.b)})
    codes, notes = {_code(name): name for name in names}, tuple(_doubts(battles))
    return Terms("pair", codes, wordings, seed, notes=notes), votes


def _questions(texts: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The key of what each vote was asked, and the wording of each key.

    Texts that differ in case, blanks and signs alone are one question. Where there are too many or too long ones, they
    are the prompts of an arena, and what was asked is one question.
    """
    if _are_prompts(texts):
        return [_PREFERENCE] * len(texts), {_PREFERENCE: _ASKED}
    keys: dict[str, str] = {}
    wordings: dict[str, str] = {}
    for text in texts:
        if (kind := _kind_of_question(text)) not in keys:
            plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
            slug = text if _KEY.fullmatch(text) else re.sub(r"\W+", "_", plain.lower()).strip("_")
            try:
                check_name(slug)
            except ValueError:
                slug = _PREFERENCE
            number = sum(key == slug or key.startswith(f"{slug}-") for key in wordings)
            keys[kind] = f"{slug}-{number + 1}" if number else slug
            wordings[keys[kind]] = _ASKED if text in ("", slug) else text
    return [keys[_kind_of_question(text)] for text in texts], wordings


def _are_prompts(texts: Collection[str]) -> bool:
    kinds = set(map(_kind_of_question, texts))
    return len(kinds) > _MOST_QUESTIONS or any(len(text) > _LONGEST_QUESTION for text in texts)


def _kind_of_question(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum()) or text.strip()


def _doubts(battles: Sequence[Battle]) -> Iterator[str]:
    """What a reader must know of votes from elsewhere."""
    asked = {battle.question or "" for battle in battles}
    if _are_prompts(asked):
        yield f"{len(asked):,} texts in the place of a question are taken for prompts, and all votes for answers to one"
    for field, own, lost in (("rater", "a rater", "who voted"), ("item", "an item", "what a vote was on")):
        if silent := sum(getattr(battle, field) is None for battle in battles):
            yield (
                f"nothing says {lost} ({silent:,} of {counted(len(battles), 'vote')}): each counts as one of {own} "
                "of its own, and intervals may be too narrow"
            )


def _vote(battle: Battle, number: int, question: str) -> Vote:
    item = _digest(str(number) if battle.item is None else battle.item, 16)
    order = (_code(battle.a), _code(battle.b))
    return Vote(
        sequence=number,
        assignment=f"record-{number}",
        rater=_digest(str(number) if battle.rater is None else battle.rater, 16),
        role="main",
        cell=f"{item}:{'+'.join(sorted(order))}:{number}",
        case=item,
        question=question,
        order=order,
        choice=_CHOICES[battle.winner],
        response_ms=0,
        shown_us=0,
        stored_us=0,
    )


def _code(model: str) -> str:
    return _digest(model, 8)


def _digest(text: str, length: int) -> str:
    return sha256(text.encode()).hexdigest()[:length]
