"""What a study stores: trials handed out, votes, and what else happened.

Functions and methods take an open connection and run inside a transaction of their caller (:class:`database.Writer`).
The database is the truth; coverage is remembered beside it because every assignment needs it, and recounted at the
start and after a failed commit.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field, StrictInt

from vapbench.files.atomic import canonical_json, digest
from vapbench.study.design.assign import Coverage, Design, RaterState, Trial, next_trial, trials_left
from vapbench.study.protocol import Frozen
from vapbench.study.server.database import Clock
from vapbench.study.votes import GENESIS, LONGEST_COMMENT, Client, Vote, check_chain

AHEAD = 2
"""Trials a rater may hold at once: the one on the screen, and the next, whose videos load meanwhile."""
_CONFLICTS_KEPT = 5
_SKIPPED_AT_MOST = 0.2
"""Share of trials a rater may skip for technical reasons and still have finished."""


class Refused(Exception):
    """A request that cannot be granted, with the HTTP status that says why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Refuse with ``status``; ``code`` is for programs, ``message`` for people."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Answer(Frozen):
    """What a rater's browser sends."""

    choice: StrictInt | Literal["tie"]
    """Presented position, from 0, or no difference."""
    comment: str = Field(default="", max_length=LONGEST_COMMENT)
    client: Client = Client()


@dataclass(frozen=True)
class Handed:
    """A trial in a rater's hands."""

    assignment: str
    number: int
    """Place in the rater's session, from 1."""
    trial: Trial


@dataclass(frozen=True)
class Receipt:
    """What became of an answer."""

    outcome: Literal["stored", "repeated", "conflict"]
    """Stored now; the same answer had been stored; another answer had been stored, and stays."""
    right: bool | None = None
    """Training: whether the answer was the expected one."""
    feedback: str = ""


@dataclass(frozen=True)
class Progress:
    """How far a rater is, in trials."""

    voted: int
    skipped: int
    total: int

    @property
    def complete(self) -> bool:
        """Whether enough was answered for a completion code."""
        return self.voted + self.skipped >= self.total and self.skipped <= _SKIPPED_AT_MOST * self.total


class Store:
    """The study's state, for one server process."""

    def __init__(self, design: Design, clock: Clock) -> None:
        """Begin with nothing known; :meth:`recount` reads the database."""
        self.design = design
        self.clock = clock
        self.coverage = Coverage.empty(design)

    def recount(self, database: sqlite3.Connection) -> None:
        """Count coverage anew from the database."""
        rows = database.execute("SELECT trial FROM assignment WHERE counted = 1")
        self.coverage = Coverage.of(self.design, (_trial(row["trial"]) for row in rows))

    def hand_out(self, database: sqlite3.Connection, rater: str, after: str | None = None) -> Handed | None:
        """The trial that a rater has open, else a new one; None at the end of the session.

        Asking again gives the same trial: reloading, the back button and a second tab lose nothing.

        Args:
            database: inside a transaction.
            rater: pseudonym.
            after: an assignment of the rater's; asks for the one after it, so that it can be loaded ahead.

        Raises:
            Refused: the study is paused or closed, the rater is done with it, or holds as many trials as one may.
        """
        self._check_may_go_on(database, rater)
        rows = database.execute("SELECT * FROM assignment WHERE rater = ? ORDER BY number", (rater,)).fetchall()
        beyond = next((row["number"] for row in rows if row["id"] == after), 0)
        held = [row for row in rows if row["state"] == "open"]
        waiting = next((row for row in held if row["number"] > beyond), None)
        if waiting is not None:
            return self._renew(database, waiting)
        if len(held) >= AHEAD:
            raise Refused(409, "ahead", "Answer the trials you have first.")
        # Only now: a refusal undoes what the database was told, and nothing undoes what coverage was.
        self._expire(database)
        trial = next_trial(self.design, self.coverage, self._state(database, rater, rows))
        if trial is not None:
            return self._lease(database, rater, len(rows) + 1, trial)
        if not held:
            set_status(database, rater, "finished")
        return None

    def vote(self, database: sqlite3.Connection, rater: str, assignment: str, answer: Answer) -> Receipt:
        """Store an answer, once.

        An answer to a trial whose lease ran out, or that was skipped in another tab, is stored all the same: work done
        by a rater is never thrown away.

        Raises:
            Refused: no such trial of this rater, an answer that was not offered, a closed study, a rater who withdrew.
        """
        row = self._own(database, rater, assignment)
        trial = _trial(row["trial"])
        body = digest(answer.model_dump(mode="json"))
        stored = database.execute("SELECT body_sha256, record FROM vote WHERE assignment = ?", (assignment,)).fetchone()
        if stored is not None:
            if stored["body_sha256"] == body:
                return self._receipt("repeated", trial, answer)
            self._keep_conflict(database, rater, assignment, answer)
            return Receipt("conflict")
        if setting(database, "status") == "closed":
            raise Refused(410, "closed", "This study has closed; answers are no longer taken.")
        if rater_row(database, rater)["status"] == "withdrawn":
            raise Refused(403, "withdrawn", "You have withdrawn from this study.")
        self._check_offered(trial, answer)
        vote = self._record(database, row, trial, answer)
        database.execute(
            "INSERT INTO vote (sequence, assignment, rater, record, body_sha256, hash) VALUES (?, ?, ?, ?, ?, ?)",
            (vote.sequence, assignment, rater, canonical_json(vote.model_dump(mode="json")), body, vote.hash),
        )
        database.execute("UPDATE assignment SET state = 'voted', counted = 1 WHERE id = ?", (assignment,))
        if trial.role == "gold":
            self._qualify(database, rater)
        if not row["counted"]:
            self.coverage.add(self.design, trial)
        return self._receipt("stored", trial, answer)

    def shown(self, database: sqlite3.Connection, rater: str, assignment: str) -> None:
        """Note when a trial was first on the screen.

        Raises:
            Refused: no such trial of this rater.
        """
        self._own(database, rater, assignment)
        database.execute(
            "UPDATE assignment SET shown_us = ? WHERE id = ? AND shown_us IS NULL", (self.clock.now(), assignment)
        )

    def skip(self, database: sqlite3.Connection, rater: str, assignment: str) -> None:
        """Give back a trial whose videos cannot be loaded; harmless when it was answered or skipped already.

        Raises:
            Refused: no such trial of this rater.
        """
        row = self._own(database, rater, assignment)
        if row["state"] != "open":
            return
        database.execute("UPDATE assignment SET state = 'skipped', counted = 0 WHERE id = ?", (assignment,))
        note(database, self.clock, "skipped", rater, assignment)
        if row["counted"]:
            self.coverage.add(self.design, _trial(row["trial"]), times=-1)

    def progress(self, database: sqlite3.Connection, rater: str, place: int) -> Progress:
        """How far a rater is."""
        rows = database.execute("SELECT * FROM assignment WHERE rater = ? ORDER BY number", (rater,)).fetchall()
        states = [row["state"] for row in rows]
        left = trials_left(self.design, RaterState(rater, place, tuple(_trial(row["trial"]) for row in rows)))
        return Progress(states.count("voted"), states.count("skipped"), len(states) + left)

    def _check_may_go_on(self, database: sqlite3.Connection, rater: str) -> None:
        row = rater_row(database, rater)
        if row["place"] is None:
            raise Refused(403, "consent", "Please give your consent first.")
        if row["status"] in ("withdrawn", "screened_out"):
            raise Refused(403, row["status"], "You are no longer part of this study.")
        status = setting(database, "status")
        if status == "closed":
            raise Refused(410, "closed", "This study has closed. Thank you for your interest.")
        if status == "paused":
            raise Refused(423, "paused", "The study is paused; please come back later.")

    def _state(self, database: sqlite3.Connection, rater: str, rows: Sequence[sqlite3.Row]) -> RaterState:
        history = tuple(_trial(row["trial"]) for row in rows)
        return RaterState(rater, int(rater_row(database, rater)["place"]), history)

    def _expire(self, database: sqlite3.Connection) -> None:
        rows = database.execute(
            "UPDATE assignment SET counted = 0 WHERE state = 'open' AND counted = 1 AND expires_us < ? RETURNING trial",
            (self.clock.now(),),
        ).fetchall()
        for row in rows:
            self.coverage.add(self.design, _trial(row["trial"]), times=-1)

    def _lease(self, database: sqlite3.Connection, rater: str, number: int, trial: Trial) -> Handed:
        now = self.clock.now()
        handed = Handed(secrets.token_urlsafe(16), number, trial)
        database.execute(
            "INSERT INTO assignment (id, rater, number, trial, leased_us, expires_us) VALUES (?, ?, ?, ?, ?, ?)",
            (handed.assignment, rater, number, json.dumps(asdict(trial)), now, now + self._lease_us),
        )
        self.coverage.add(self.design, trial)
        return handed

    def _renew(self, database: sqlite3.Connection, row: sqlite3.Row) -> Handed:
        trial = _trial(row["trial"])
        database.execute(
            "UPDATE assignment SET counted = 1, expires_us = ? WHERE id = ?",
            (self.clock.now() + self._lease_us, row["id"]),
        )
        if not row["counted"]:
            self.coverage.add(self.design, trial)
        return Handed(row["id"], row["number"], trial)

    @property
    def _lease_us(self) -> int:
        return self.design.protocol.session.lease_seconds * 1_000_000

    def _own(self, database: sqlite3.Connection, rater: str, assignment: str) -> sqlite3.Row:
        row: sqlite3.Row | None = database.execute(
            "SELECT * FROM assignment WHERE id = ? AND rater = ?", (assignment, rater)
        ).fetchone()
        if row is None:
            raise Refused(404, "unknown", "There is no such trial of yours.")
        return row

    def _check_offered(self, trial: Trial, answer: Answer) -> None:
        if answer.choice == "tie":
            offered = self.design.protocol.ties
        else:
            offered = 0 <= answer.choice < len(trial.order)
        if not offered:
            raise Refused(422, "choice", "That answer was not offered.")

    def _record(self, database: sqlite3.Connection, row: sqlite3.Row, trial: Trial, answer: Answer) -> Vote:
        last = database.execute("SELECT sequence, hash FROM vote ORDER BY sequence DESC LIMIT 1").fetchone()
        now = self.clock.now()
        shown = row["shown_us"] or row["leased_us"]
        return Vote(
            sequence=last["sequence"] + 1 if last else 1,
            assignment=row["id"],
            rater=row["rater"],
            role=trial.role,
            cell=trial.cell,
            case=trial.case,
            question=trial.question,
            order=trial.order,
            choice=answer.choice,
            response_ms=max(0, now - shown) // 1000,
            shown_us=shown,
            stored_us=now,
            late=now > row["expires_us"],
            client=answer.client,
            comment=answer.comment,
            previous=last["hash"] if last else GENESIS,
        )

    def _receipt(self, outcome: Literal["stored", "repeated"], trial: Trial, answer: Answer) -> Receipt:
        if trial.role != "training":
            return Receipt(outcome)
        return Receipt(outcome, self._right(trial, answer.choice), self.design.protocol.check(trial.cell).feedback)

    def _right(self, trial: Trial, choice: int | str) -> bool:
        return isinstance(choice, int) and trial.order[choice] == str(self.design.protocol.check(trial.cell).expected)

    def _qualify(self, database: sqlite3.Connection, rater: str) -> None:
        needed, first = self.design.protocol.session.qualification
        rows = database.execute(
            "SELECT a.trial, v.record FROM vote v JOIN assignment a ON a.id = v.assignment WHERE v.rater = ? "
            "AND a.trial ->> 'role' = 'gold' ORDER BY a.number LIMIT ?",
            (rater, first),
        ).fetchall()
        right = sum(self._right(_trial(row["trial"]), json.loads(row["record"])["choice"]) for row in rows)
        if len(rows) == first and right < needed:
            set_status(database, rater, "screened_out")
            note(database, self.clock, "screened out", rater, f"{right} of the first {first} gold trials right")

    def _keep_conflict(self, database: sqlite3.Connection, rater: str, assignment: str, answer: Answer) -> None:
        kept = database.execute(
            "SELECT count(*) FROM event WHERE kind = 'conflict' AND rater = ? AND detail ->> 'assignment' = ?",
            (rater, assignment),
        ).fetchone()[0]
        if kept < _CONFLICTS_KEPT:
            detail = {"assignment": assignment, "answer": answer.model_dump(mode="json")}
            note(database, self.clock, "conflict", rater, canonical_json(detail))


def open_assignment(database: sqlite3.Connection, rater: str, assignment: str) -> Handed | None:
    """A trial that a rater still has to answer; None for another's, an answered or an unknown one."""
    row = database.execute(
        "SELECT number, trial FROM assignment WHERE id = ? AND rater = ? AND state = 'open'", (assignment, rater)
    ).fetchone()
    return Handed(assignment, row["number"], _trial(row["trial"])) if row else None


def note(database: sqlite3.Connection, clock: Clock, kind: str, rater: str = "", detail: str = "") -> None:
    """Append to the log of events."""
    database.execute(
        "INSERT INTO event (at_us, kind, rater, detail) VALUES (?, ?, ?, ?)", (clock.now(), kind, rater, detail)
    )


def setting(database: sqlite3.Connection, name: str) -> str:
    """A setting of the study; empty if it has never been set."""
    row = database.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return str(row["value"]) if row else ""


def set_setting(database: sqlite3.Connection, name: str, value: str) -> None:
    """Replace a setting."""
    database.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (name, value))


def rater_row(database: sqlite3.Connection, rater: str) -> sqlite3.Row:
    """The row of a rater who exists."""
    row: sqlite3.Row = database.execute("SELECT * FROM rater WHERE id = ?", (rater,)).fetchone()
    return row


def set_status(database: sqlite3.Connection, rater: str, status: str) -> None:
    """Set a rater's status; a withdrawal is never undone."""
    database.execute("UPDATE rater SET status = ? WHERE id = ? AND status <> 'withdrawn'", (status, rater))


def check_log(database: sqlite3.Connection, where: str) -> None:
    """Verify the chain of votes.

    Raises:
        DataError: a vote was changed, removed, added or moved.
    """
    rows = database.execute("SELECT record, hash FROM vote_log").fetchall()
    check_chain([Vote.model_validate_json(row["record"]) for row in rows], where, [row["hash"] for row in rows])


def _trial(text: str) -> Trial:
    data: dict[str, Any] = json.loads(text)
    return Trial(**data | {"order": tuple(data["order"]), "media": tuple(data["media"])})
