"""People's votes, and how often a judge agrees with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vapbench.errors import DataError
from vapbench.files.parsing import read_csv, read_json_records
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
    """Read votes between two runs: JSONL, one JSON list, or CSV.

    Fields are those of FastChat's battles, as ``vapbench study export`` writes them: ``question_id`` (the case;
    ``case`` is taken too), ``model_a`` and ``model_b`` (names of run folders) and ``winner`` (``model_a``,
    ``model_b``, ``tie``, ``tie (bothbad)`` and what :func:`winner_of` takes).

    Raises:
        DataError: the file is missing, not readable, or a vote lacks a field or has an unknown winner.
    """
    try:
        records = read_battles(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check --votes.") from None
    if not records:
        raise DataError(f"{path} holds no vote.")
    return [_vote(record, f"{path}: vote {number}") for number, record in enumerate(records, start=1)]


def read_battles(path: Path) -> list[Any]:
    """Records of an arena's battles as they are: JSON Lines, one JSON list, or CSV.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it cannot be read.
    """
    if path.suffix.lower() == ".csv":
        return [row for _, row in read_csv(path)[1]]
    try:
        return read_json_records(path)
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON or CSV ({error}); save it as UTF-8.") from error


def winner_of(record: Mapping[str, Any], where: str) -> Winner:
    """Who won a battle, however the arena spells it: ``model_a``, ``Model B``, ``tie (bothbad)``, ``both_bad``.

    A model's own name is taken too. Both good and both bad are ties.

    Raises:
        DataError: the record says none of these.
    """
    said = str(record.get("winner") or "")
    word = "".join(character for character in said.casefold() if character.isalnum()).removesuffix("vote")
    if word in ("modela", "modelb"):
        return "model_a" if word == "modela" else "model_b"
    if word in _TIES:
        return "tie"
    # Last: a model may be called "tie", and the arena's own words mean what they say.
    if said in (str(record["model_a"]), str(record["model_b"])):
        return "model_a" if said == str(record["model_a"]) else "model_b"
    raise DataError(f"{where}: winner {said!r} is none of model_a, model_b, tie, tie (bothbad).")


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
            f"None of the {len(votes)} votes prefers one of these runs to another on a judged case. Votes name runs as "
            f"their folders are called ({', '.join(scores)}), and cases by id; give every run, or raise --limit."
        )
    return Agreement(clustered_share(agreed, clusters), ties, elsewhere)


def win(a: float, b: float) -> float:
    """1 if ``a`` is higher, 0 if ``b`` is, one half if they are equal."""
    return 1.0 if a > b else 0.5 if a == b else 0.0


def _vote(record: Any, where: str) -> Vote:
    if not isinstance(record, dict):
        raise DataError(f"{where} is no record.")
    case = record.get("question_id") or record.get("case")
    a, b = (str(record.get(name) or "") for name in ("model_a", "model_b"))
    if not case or not a or not b or a == b:
        raise DataError(f"{where} needs question_id (the case) and two runs, model_a and model_b.")
    winner = winner_of(record, where)
    if winner == "tie":
        return Vote(str(case), None, None)
    return Vote(str(case), a, b) if winner == "model_a" else Vote(str(case), b, a)
