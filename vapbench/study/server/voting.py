"""Answers to trials: what may be one, how it is stored, what is said of it.

Functions take an open connection and run inside a transaction of their caller (:class:`database.Writer`).
"""

from __future__ import annotations

import json
import math
import sqlite3
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from vapbench.core.case import Name
from vapbench.files.atomic import canonical_json, digest
from vapbench.files.text import counted
from vapbench.study.answers import answers_fault
from vapbench.study.design.assign import Trial
from vapbench.study.protocol import Protocol
from vapbench.study.server.database import Clock
from vapbench.study.server.records import note, set_status, trial_of
from vapbench.study.server.refused import Refused
from vapbench.study.votes import GENESIS, LONGEST_COMMENT, Client, Given, Vote

_CONFLICTS_KEPT = 5
_ON_TIME = 0.9
"""Of the time that watching takes: clocks and networks are not exact."""


class Answer(Given):
    """What a rater's browser sends: the answer to the trial's own question, and with it the rest."""

    ADDED: ClassVar[frozenset[str]] = Given.ADDED | {"beside"}

    beside: dict[Name, Given] = Field(default_factory=dict, max_length=50)
    """Answers to the questions beside it."""
    comment: str = Field(default="", max_length=LONGEST_COMMENT)
    client: Client = Client()


@dataclass(frozen=True)
class Receipt:
    """What became of an answer."""

    outcome: Literal["stored", "repeated", "conflict"]
    """Stored now; the same answer had been stored; another answer had been stored, and stays."""
    right: bool | None = None
    """Training: whether the answer was the expected one."""
    feedback: str = ""
    question: str = ""


def check_answer(
    database: sqlite3.Connection, clock: Clock, protocol: Protocol, row: sqlite3.Row, trial: Trial, answer: Answer
) -> None:
    """Take an answer for one to the trial of an assignment's row.

    Raises:
        Refused: it was not offered, comes from too small a window, or sooner than the videos can be watched.
    """
    fault = answers_fault(protocol, trial.question, answer, answer.beside, len(trial.order), protocol.ties)
    if fault:
        raise Refused(422, "choice", f"Not an answer to this trial: {fault}.")
    if protocol.small_window == "refuse" and _small_window(protocol, answer.client):
        raise Refused(422, "window", "This study asks for a larger window of the browser.")
    _check_time(database, clock, protocol, row, trial)


def append_vote(
    database: sqlite3.Connection, clock: Clock, protocol: Protocol, row: sqlite3.Row, trial: Trial, answer: Answer
) -> None:
    """Add an answer to the log of votes, after the last."""
    last = database.execute("SELECT sequence, hash FROM vote ORDER BY sequence DESC LIMIT 1").fetchone()
    now = clock.now()
    shown = row["shown_us"] or row["leased_us"]
    vote = Vote(
        sequence=last["sequence"] + 1 if last else 1,
        assignment=row["id"],
        rater=row["rater"],
        role=trial.role,
        cell=trial.cell,
        case=trial.case,
        question=trial.question,
        order=trial.order,
        **{name: getattr(answer, name) for name in Given.model_fields},
        beside=answer.beside,
        response_ms=max(0, now - shown) // 1000,
        shown_us=shown,
        stored_us=now,
        late=now > row["expires_us"],
        small_window=_small_window(protocol, answer.client),
        client=answer.client,
        comment=answer.comment,
        previous=last["hash"] if last else GENESIS,
    )
    database.execute(
        "INSERT INTO vote (sequence, assignment, rater, record, body_sha256, hash) VALUES (?, ?, ?, ?, ?, ?)",
        (
            *(vote.sequence, row["id"], row["rater"], canonical_json(vote.model_dump(mode="json"))),
            *(body_sha256(answer), vote.hash),
        ),
    )


def body_sha256(answer: Answer) -> str:
    """What the same answer has again."""
    return digest(answer.model_dump(mode="json"))


def receipt(protocol: Protocol, outcome: Literal["stored", "repeated"], trial: Trial, answer: Answer) -> Receipt:
    """What a rater is told; of practice also whether the answer was right."""
    if trial.role != "training":
        return Receipt(outcome)
    feedback = protocol.check(trial.cell).feedback
    return Receipt(outcome, _right(protocol, trial, answer.choice), feedback, trial.question)


def qualify(database: sqlite3.Connection, clock: Clock, protocol: Protocol, rater: str) -> None:
    """Screen a rater out who misses too many of the first gold trials."""
    needed, first = protocol.session.qualification
    rows = database.execute(
        "SELECT a.trial, v.record FROM vote v JOIN assignment a ON a.id = v.assignment WHERE v.rater = ? "
        "AND json_extract(a.trial, '$.role') = 'gold' ORDER BY a.number LIMIT ?",
        (rater, first),
    ).fetchall()
    right = sum(_right(protocol, trial_of(row["trial"]), json.loads(row["record"])["choice"]) for row in rows)
    if len(rows) == first and right < needed:
        set_status(database, clock, rater, "screened_out")
        detail = f"{right} of the first {counted(first, 'gold trial')} right"
        note(database, clock, "screened out", rater, detail)


def keep_conflict(database: sqlite3.Connection, clock: Clock, rater: str, assignment: str, answer: Answer) -> None:
    """Note another answer to a trial that has one; the first stands."""
    kept = database.execute(
        "SELECT count(*) FROM event WHERE kind = 'conflict' AND rater = ? AND json_extract(detail, '$.assignment') = ?",
        (rater, assignment),
    ).fetchone()[0]
    if kept < _CONFLICTS_KEPT:
        detail = {"assignment": assignment, "answer": answer.model_dump(mode="json")}
        note(database, clock, "conflict", rater, canonical_json(detail))


def _small_window(protocol: Protocol, client: Client) -> bool:
    least, had = protocol.window, client.window or client.viewport
    return least is not None and (had is None or had[0] < least[0] or had[1] < least[1])


def _check_time(database: sqlite3.Connection, clock: Clock, protocol: Protocol, row: sqlite3.Row, trial: Trial) -> None:
    """Refuse what nobody can have watched: trials come one after the other, and clips take their time."""
    session, media = protocol.session, protocol.media
    last = database.execute(
        "SELECT json_extract(record, '$.stored_us') FROM vote WHERE rater = ? ORDER BY sequence DESC LIMIT 1",
        (row["rater"],),
    ).fetchone()
    since = max(row["shown_us"] or row["leased_us"], last[0] if last else 0)
    watched = _ON_TIME * session.min_play_fraction * max(media[name].seconds for name in trial.media)
    left = watched - (clock.now() - since) / 1e6
    if left > 0:
        raise Refused(425, "early", "That was faster than the videos can be watched.", math.ceil(left))


def _right(protocol: Protocol, trial: Trial, choice: int | str) -> bool:
    return isinstance(choice, int) and trial.order[choice] == str(protocol.check(trial.cell).expected)
