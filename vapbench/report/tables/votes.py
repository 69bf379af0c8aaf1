"""People's votes, and how often a judge agrees with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vapbench.errors import DataError, ErrorKind
from vapbench.files.parsing import read_csv, read_json_records
from vapbench.files.text import counted
from vapbench.stats.intervals import Estimate as Mean
from vapbench.stats.intervals import clustered_share

Winner = Literal["model_a", "model_b", "tie"]
_TIES = frozenset({"tie", "bothbad", "bothgood", "tiebothbad", "tiebothgood", "draw", "both", "neither", "equal"})


@dataclass(frozen=True)
class Vote:
    """One person's preference between two runs on one case."""

    case: str
    winner: str | None
    """None for a tie."""
    loser: str | None
    """None for a tie."""


@dataclass(frozen=True)
class Agreement:
    """How often a judge prefers what people preferred."""

    accuracy: Mean
    """Share of votes whose winner has the higher score; equal scores count half. Clustered by condition."""
    ties: int
    """Votes for neither, which say nothing here."""
    elsewhere: int
    """Votes on cases or runs that are not judged here."""


def read_votes(path: Path) -> list[Vote]:
    """Read votes between two runs; see :func:`read_battles`. Models are named as run folders, items by case.

    Raises:
        DataError: the file is missing, not readable, or a vote lacks a field or has an unknown winner.
    """
    try:
        battles = read_battles(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check --votes.", ErrorKind.MISSING, "votes") from None
    if not battles:
        raise DataError(f"{path} holds no vote.", ErrorKind.MISSING, "votes")
    if missing := next((number for number, battle in enumerate(battles, start=1) if battle.item is None), None):
        raise DataError(
            f"{path}: vote {missing} needs question_id: the case it is about.", ErrorKind.MISSING, "question_id"
        )
    return [
        Vote(
            str(battle.item),
            None if battle.winner == "tie" else battle.a if battle.winner == "model_a" else battle.b,
            None if battle.winner == "tie" else battle.b if battle.winner == "model_a" else battle.a,
        )
        for battle in battles
    ]


@dataclass(frozen=True)
class Battle:
    """One person's vote between two models, wherever it was given."""

    a: str
    """Model shown first or at the left."""
    b: str
    winner: Winner
    item: str | None = None
    """What was shown: a case, a prompt."""
    rater: str | None = None
    question: str | None = None
    """What was asked."""


def read_battles(path: Path) -> list[Battle]:
    """Votes between two: JSON Lines, one JSON list, or CSV; an arena's battles, or a table with a row for each vote.

    Columns are those of FastChat's battles, or what other studies call them (:data:`COLUMNS`); others are left alone.
    Of ``votes.csv`` of ``vapbench study export`` only main votes that count are taken.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it cannot be read, or records are no votes: the message has the first, and how many there are.
    """
    battles: list[Battle] = []
    problems: list[str] = []
    records = _records(path)
    for where, record in records:
        try:
            if battle := _battle(record):
                battles.append(battle)
        except ValueError as error:
            problems.append(f"{path}: {where} {error}")
    if problems:
        more = f" ({len(problems)} of {counted(len(records), 'vote')} cannot be read.)" if len(problems) > 1 else ""
        raise DataError(problems[0] + more, ErrorKind.INVALID, "vote")
    return battles


COLUMNS: Mapping[str, tuple[str, ...]] = {
    "model_a": ("model_a", "left", "model_left", "left_model", "method_left", "method_a", "system_a", "video_a"),
    "model_b": ("model_b", "right", "model_right", "right_model", "method_right", "method_b", "system_b", "video_b"),
    "winner": ("winner", "chosen", "choice", "preferred", "preference", "vote", "label"),
    "judge": ("judge", "rater", "annotator", "annotator_id", "rater_id", "worker_id", "participant", "user"),
    "question_id": ("question_id", "case", "item", "item_id", "prompt_id", "sample_id"),
    "question": ("question", "criterion", "dimension", "aspect"),
}
"""What a battle's fields are called; of several that are there the first counts."""


def _records(path: Path) -> list[tuple[str, Any]]:
    if path.suffix.lower() == ".csv":
        return [(f"vote {number} (line {line})", row) for number, (line, row) in enumerate(read_csv(path)[1], start=1)]
    try:
        return [(f"vote {number}", record) for number, record in enumerate(read_json_records(path), start=1)]
    except ValueError as error:
        raise DataError(
            f"{path}: not readable as JSON or CSV ({error}); save it as UTF-8.", ErrorKind.DAMAGED, path.name
        ) from error


def _battle(record: Any) -> Battle | None:
    """None for what is no vote on models: checks, repeats, votes that a study does not count.

    Raises:
        ValueError: it is no vote; the message goes on after the record's name.
    """
    if not isinstance(record, Mapping):
        raise ValueError("is no record.")
    spelled = {str(name).strip().lower().replace(" ", "_").replace("-", "_"): value for name, value in record.items()}
    if spelled.get("role") not in (None, "", "main") or str(spelled.get("counts")).lower() == "false":
        return None
    columns = {field: next((name for name in names if name in spelled), "") for field, names in COLUMNS.items()}

    def text(field: str) -> str | None:
        value = spelled.get(columns[field])
        return None if value is None or value == "" else str(value)

    a, b = text("model_a"), text("model_b")
    for field, value in (("model_a", a), ("model_b", b), ("winner", text("winner"))):
        if value is None:
            raise ValueError(f"has no {columns[field] or field}; a vote has model_a, model_b, winner.")
    assert a is not None and b is not None
    if a == b:
        raise ValueError(f"compares {a} with itself; remove it.")
    winner = _winner(str(text("winner")), (a, b), (columns["model_a"], columns["model_b"]))
    return Battle(a, b, winner, text("question_id"), text("judge"), text("question"))


def _winner(said: str, models: tuple[str, str], columns: tuple[str, str]) -> Winner:
    """Who won, however it is spelled: the column (``model_a``, ``left``), ``tie (bothbad)``, a model's name, ``A``.

    Both good and both bad are ties.

    Raises:
        ValueError: it says none of these.
    """
    word = _letters(said).removesuffix("vote")
    sides: tuple[Winner, Winner] = ("model_a", "model_b")
    for side, column in zip(sides, columns, strict=True):
        known = {side.replace("_", ""), _letters(column)}
        known |= {place for place in ("left", "right") if place in column}
        if word in known:
            return side
    if word in _TIES:
        return "tie"
    # After these: a model may be called "tie", and the words of a table mean what they say.
    for side, model in zip(sides, models, strict=True):
        if said == model:
            return side
    for side, column in zip(sides, columns, strict=True):
        if column.endswith(f"_{word}"):
            return side
    raise ValueError(f"has winner {said!r}, which is none of {columns[0]}, {columns[1]}, tie, tie (bothbad).")


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def agreement(
    votes: Sequence[Vote], scores: Mapping[str, Mapping[str, float]], conditions: Mapping[str, str]
) -> Agreement:
    """Compare votes with scores.

    Args:
        votes: people's preferences.
        scores: run to case to score, higher for better.
        conditions: case to condition.

    Raises:
        DataError: no vote is about two of these runs on a case that both have a score of.
    """
    agreed: list[float] = []
    clusters: list[str] = []
    ties = elsewhere = 0
    for vote in votes:
        if vote.winner is None or vote.loser is None:
            ties += 1
            continue
        winner, loser = (scores.get(name, {}).get(vote.case) for name in (vote.winner, vote.loser))
        if winner is None or loser is None:
            elsewhere += 1
            continue
        agreed.append(win(winner, loser))
        clusters.append(conditions[vote.case])
    if not agreed:
        raise DataError(
            f"Of {counted(len(votes), 'vote')}, none prefers one of these runs to another on a judged case. "
            f"Votes name runs as "
            f"their folders are called ({', '.join(scores)}), and cases by id; give every run, or raise --limit.",
            ErrorKind.CONFLICT,
            "votes",
        )
    return Agreement(clustered_share(agreed, clusters), ties, elsewhere)


def win(a: float, b: float) -> float:
    """1 if ``a`` is higher, 0 if ``b`` is, one half if they are equal."""
    return 1.0 if a > b else 0.5 if a == b else 0.0
