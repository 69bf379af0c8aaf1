"""Trials in raters' hands: handed out, answered, given back; and how far that fills the design's cells.

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
from typing import Literal

from vapbench.study.design.assign import Coverage, Design, RaterState, Trial, next_trial, trials_left
from vapbench.study.rules import broken_rules
from vapbench.study.server.database import Clock
from vapbench.study.server.records import note, rater_row, set_status, setting, trial_of, usable
from vapbench.study.server.refused import Refused
from vapbench.study.server.voting import (
    Answer,
    Receipt,
    append_vote,
    body_sha256,
    check_answer,
    keep_conflict,
    qualify,
    receipt,
)
from vapbench.study.votes import Vote

AHEAD = 2
"""Trials a rater may hold at once: the one on the screen, and the next, whose videos load meanwhile."""
_RULES_EVERY = 10
"""Answers between two looks at the exclusion rules; gold and the end are always looked at."""
_SKIPPED_AT_MOST = 0.2
"""Share of trials a rater may skip for technical reasons and still have finished."""


Admission = Literal["open", "busy", "full"]
"""Whether newcomers may take part: yes; not now, as enough are at it; no, all votes are there."""


@dataclass(frozen=True)
class Handed:
    """A trial in a rater's hands."""

    assignment: str
    number: int
    """Place in the rater's session, from 1."""
    trial: Trial


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
        self.coverage = Coverage.of(self.design, (trial_of(row["trial"]) for row in rows))

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
        if not held and rater_row(database, rater)["status"] == "active":
            set_status(database, self.clock, rater, "finished")
            self.settle(database, rater)
        return None

    def vote(self, database: sqlite3.Connection, rater: str, assignment: str, answer: Answer) -> Receipt:
        """Store an answer, once.

        An answer to a trial whose lease ran out, or that was skipped in another tab, is stored all the same: work done
        by a rater is never thrown away.

        Raises:
            Refused: no such trial of this rater, an answer that was not offered, a closed study, a rater who withdrew.
        """
        row, protocol = self._own(database, rater, assignment), self.design.protocol
        trial = trial_of(row["trial"])
        stored = database.execute("SELECT body_sha256 FROM vote WHERE assignment = ?", (assignment,)).fetchone()
        if stored is not None:
            if stored["body_sha256"] == body_sha256(answer):
                return receipt(protocol, "repeated", trial, answer)
            keep_conflict(database, self.clock, rater, assignment, answer)
            return Receipt("conflict")
        if setting(database, "status") == "closed":
            raise Refused(410, "closed", "This study has closed; answers are no longer taken.")
        person = rater_row(database, rater)
        if person["status"] in ("withdrawn", "evicted"):
            raise Refused(403, person["status"], "You are no longer part of this study.")
        check_answer(database, self.clock, protocol, row, trial, answer)
        append_vote(database, self.clock, protocol, row, trial, answer)
        counts = usable(person)
        database.execute("UPDATE assignment SET state = 'voted', counted = ? WHERE id = ?", (counts, assignment))
        if trial.role == "gold":
            qualify(database, self.clock, protocol, rater)
        self.coverage.add(self.design, trial, times=counts - row["counted"])
        if trial.role == "gold" or row["number"] % _RULES_EVERY == 0 or person["status"] != "active":
            self.settle(database, rater)
        return receipt(protocol, "stored", trial, answer)

    def settle(self, database: sqlite3.Connection, rater: str) -> None:
        """Give a rater's places in the cells to others if the votes do not count, and back if they do again.

        The protocol's exclusion rules are applied to the votes so far, so that what the report will leave out is asked
        of somebody else while the study runs.
        """
        records = database.execute("SELECT record FROM vote WHERE rater = ? ORDER BY sequence", (rater,))
        votes = [Vote.model_validate_json(row["record"]) for row in records]
        broken = "; ".join(broken_rules(self.design.protocol, votes))
        database.execute("UPDATE rater SET broken = ? WHERE id = ?", (broken, rater))
        counts = usable(rater_row(database, rater))
        which = "counted = 0 AND state = 'voted'" if counts else "counted = 1"
        changed = database.execute(
            f"UPDATE assignment SET counted = ? WHERE rater = ? AND {which} RETURNING trial",
            (counts, rater),
        ).fetchall()
        for row in changed:
            self.coverage.add(self.design, trial_of(row["trial"]), times=1 if counts else -1)

    def admission(self, database: sqlite3.Connection) -> Admission:
        """Whether a newcomer may take part.

        As many as were planned always may. Beyond that newcomers stand in for those whose votes do not count: as long
        as more votes are missing than those who are at it will give.
        """
        self._expire(database)
        protocol = self.design.protocol
        (came,) = database.execute("SELECT count(*) FROM rater WHERE place IS NOT NULL").fetchone()
        missing = self.coverage.missing(self.design)
        if came < protocol.raters:
            return "open"
        if missing > self._under_way(database):
            return "open"
        (leases,) = database.execute(
            "SELECT count(*) FROM assignment WHERE state = 'open' AND counted = 1 "
            "AND json_extract(trial, '$.role') = 'main'"
        ).fetchone()
        return "busy" if missing or leases else "full"

    def _under_way(self, database: sqlite3.Connection) -> int:
        """Main votes still to come, at most: from raters who hold a lease, or agreed lately and read what to do."""
        whole = self.design.protocol.session.trials * len(self.design.protocol.questions)
        rows = database.execute(
            "SELECT sum(json_extract(trial, '$.role') = 'main') AS handed FROM assignment WHERE rater IN "
            "(SELECT rater FROM assignment WHERE state = 'open' AND counted = 1) GROUP BY rater"
        )
        (reading,) = database.execute(
            "SELECT count(*) FROM rater WHERE place IS NOT NULL AND status = 'active' AND excluded = '' "
            "AND consented_us > ? AND id NOT IN (SELECT rater FROM assignment)",
            (self.clock.now() - self._lease_us,),
        ).fetchone()
        return sum(max(0, whole - int(row["handed"])) for row in rows) + whole * int(reading)

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
            self.coverage.add(self.design, trial_of(row["trial"]), times=-1)

    def progress(self, database: sqlite3.Connection, rater: str, place: int) -> Progress:
        """How far a rater is."""
        rows = database.execute("SELECT * FROM assignment WHERE rater = ? ORDER BY number", (rater,)).fetchall()
        states = [row["state"] for row in rows]
        left = trials_left(self.design, RaterState(rater, place, tuple(trial_of(row["trial"]) for row in rows)))
        return Progress(states.count("voted"), states.count("skipped"), len(states) + left)

    def _check_may_go_on(self, database: sqlite3.Connection, rater: str) -> None:
        row = rater_row(database, rater)
        if row["place"] is None:
            raise Refused(403, "consent", "Please give your consent first.")
        if row["status"] in ("withdrawn", "screened_out", "evicted"):
            raise Refused(403, row["status"], "You are no longer part of this study.")
        status = setting(database, "status")
        if status == "closed":
            raise Refused(410, "closed", "This study has closed. Thank you for your interest.")
        if status == "paused":
            raise Refused(423, "paused", "The study is paused; please come back later.")

    def _state(self, database: sqlite3.Connection, rater: str, rows: Sequence[sqlite3.Row]) -> RaterState:
        history = tuple(trial_of(row["trial"]) for row in rows)
        return RaterState(rater, int(rater_row(database, rater)["place"]), history)

    def _expire(self, database: sqlite3.Connection) -> None:
        rows = database.execute(
            "UPDATE assignment SET counted = 0 WHERE state = 'open' AND counted = 1 AND expires_us < ? "
            "RETURNING rater, trial",
            (self.clock.now(),),
        ).fetchall()
        for row in rows:
            self.coverage.add(self.design, trial_of(row["trial"]), times=-1)
        # Whoever went away is not looked at again: do their votes count?
        for rater in dict.fromkeys(row["rater"] for row in rows):
            self.settle(database, rater)

    def _lease(self, database: sqlite3.Connection, rater: str, number: int, trial: Trial) -> Handed:
        now, counts = self.clock.now(), usable(rater_row(database, rater))
        handed = Handed(secrets.token_urlsafe(16), number, trial)
        database.execute(
            "INSERT INTO assignment (id, rater, number, trial, counted, leased_us, expires_us) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (handed.assignment, rater, number, json.dumps(asdict(trial)), counts, now, now + self._lease_us),
        )
        self.coverage.add(self.design, trial, times=counts)
        return handed

    def _renew(self, database: sqlite3.Connection, row: sqlite3.Row) -> Handed:
        trial, counts = trial_of(row["trial"]), usable(rater_row(database, row["rater"]))
        database.execute(
            "UPDATE assignment SET counted = ?, expires_us = ? WHERE id = ?",
            (counts, self.clock.now() + self._lease_us, row["id"]),
        )
        self.coverage.add(self.design, trial, times=counts - row["counted"])
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


def open_assignment(database: sqlite3.Connection, rater: str, assignment: str) -> Handed | None:
    """A trial that a rater still has to answer; None for another's, an answered or an unknown one."""
    row = database.execute(
        "SELECT number, trial FROM assignment WHERE id = ? AND rater = ? AND state = 'open'", (assignment, rater)
    ).fetchone()
    return Handed(assignment, row["number"], trial_of(row["trial"])) if row else None
