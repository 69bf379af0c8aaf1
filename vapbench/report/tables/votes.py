"""People's votes, and how often a judge agrees with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vapbench.errors import DataError
from vapbench.files.parsing import parse_json, read_csv
from vapbench.stats.intervals import Estimate as Mean
from vapbench.stats.intervals import clustered_share


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
    ``model_b``, ``tie``, ``tie (bothbad)``).

    Raises:
        DataError: the file is missing, not readable, or a vote lacks a field or has an unknown winner.
    """
    try:
        if path.suffix.lower() == ".csv":
            return _votes(path, [row for _, row in read_csv(path)[1]])
        text = path.read_text(encoding="utf-8-sig")
        if text.lstrip().startswith("["):
            records: list[Any] = list(parse_json(text))
        else:
            records = [parse_json(line) for line in text.splitlines() if line.strip()]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check --votes.") from None
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON or CSV ({error}); export it again.") from error
    return _votes(path, records)


def _votes(path: Path, records: Sequence[Any]) -> list[Vote]:
    if not records:
        raise DataError(f"{path} holds no vote.")
    return [_vote(record, f"{path}: vote {number}") for number, record in enumerate(records, start=1)]


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
    a, b, winner = (str(record.get(name) or "") for name in ("model_a", "model_b", "winner"))
    if not case or not a or not b or a == b:
        raise DataError(f"{where} needs question_id (the case) and two runs, model_a and model_b.")
    if winner.startswith("tie"):
        return Vote(str(case), None, None)
    if winner not in ("model_a", "model_b"):
        raise DataError(f"{where}: winner {winner!r} is none of model_a, model_b, tie, tie (bothbad).")
    return Vote(str(case), a, b) if winner == "model_a" else Vote(str(case), b, a)
