"""Votes in the form of FastChat's arena: one record per battle, with model_a, model_b, winner, judge."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from vapbench.errors import DataError
from vapbench.report.tables.votes import read_battles, winner_of
from vapbench.study.analysis.ballots import Ballots
from vapbench.study.analysis.fit import Terms
from vapbench.study.analysis.quality import consenting
from vapbench.study.votes import Vote

_CHOICES: dict[str, int | Literal["tie"]] = {"model_a": 0, "model_b": 1, "tie": "tie"}


def to_fastchat(ballots: Ballots, without: Collection[str] = ()) -> list[dict[str, Any]]:
    """Main votes of a pair study; ``model_a`` was shown at the left.

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
            "winner": winner[vote.choice],
            "judge": vote.rater,
            "turn": 1,
            "anony": True,
            "tstamp": vote.stored_us / 1e6,
            "question": vote.question,
        }
        for vote in consenting(ballots)
        if vote.rater not in without
    ]


def from_fastchat(path: Path, seed: int = 0) -> tuple[Terms, tuple[Vote, ...]]:
    """Read battles (JSONL, one JSON list, or CSV) as votes of a pair study.

    A battle without ``judge`` counts as one of a rater of its own, one without ``question_id`` as one on an item of its
    own; both good or both bad is a tie.

    Returns:
        Terms and main votes, for :func:`vapbench.study.analysis.fit.analyse_votes`.

    Raises:
        DataError: a record lacks a field, names an unknown winner, or compares a model with itself.
    """
    votes = [_vote(record, f"{path}: record {number}", number) for number, record in enumerate(_records(path), start=1)]
    if not votes:
        raise DataError(f"{path}: no records; export it again.")
    names = {code: name for _, pair in votes for code, name in pair.items()}
    ordered = dict(sorted(names.items(), key=lambda item: item[1]))
    questions = dict.fromkeys(vote.question for vote, _ in votes)
    return Terms("pair", ordered, {key: "Which is better?" for key in questions}, seed), tuple(v for v, _ in votes)


def _records(path: Path) -> list[Any]:
    try:
        return read_battles(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path.") from None


def _vote(record: Any, where: str, number: int) -> tuple[Vote, dict[str, str]]:
    if not isinstance(record, dict):
        raise DataError(f"{where} is no JSON object.")
    if missing := [name for name in ("model_a", "model_b", "winner") if not record.get(name)]:
        raise DataError(f"{where} has no {missing[0]}; battles have model_a, model_b, winner and judge.")
    pair = {_digest(str(record[side]), 8): str(record[side]) for side in ("model_a", "model_b")}
    if len(pair) < 2:
        raise DataError(f"{where} compares {record['model_a']} with itself; remove it.")
    winner = winner_of(record, where)
    question_id, judge = record.get("question_id"), record.get("judge")
    item = _digest(str(number if question_id is None else question_id), 16)
    vote = Vote(
        sequence=number,
        assignment=f"record-{number}",
        rater=_digest(str(number if judge is None else judge), 16),
        role="main",
        cell=f"{item}:{'+'.join(sorted(pair))}:{number}",
        case=item,
        question=_question(record),
        order=tuple(pair),
        choice=_CHOICES[winner],
        response_ms=0,
        shown_us=0,
        stored_us=0,
    )
    return vote, pair


def _question(record: dict[str, Any]) -> str:
    text = str(record.get("question") or "")
    # Arena records hold whole conversations; only a short key is one of ours.
    return text if text.isidentifier() and len(text) <= 40 else "preference"


def _digest(text: str, length: int) -> str:
    return sha256(text.encode()).hexdigest()[:length]
