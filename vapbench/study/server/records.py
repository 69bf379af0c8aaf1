"""Rows of a study's database beside its trials: settings, events, raters; and the check of its log of votes.

Functions take an open connection and run inside a transaction of their caller (:class:`database.Writer`).
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from vapbench.study.design.assign import Trial
from vapbench.study.server.database import Clock
from vapbench.study.votes import Vote, check_chain


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


def set_status(database: sqlite3.Connection, clock: Clock, rater: str, status: str) -> None:
    """Say how a rater's part ended; a withdrawal is never undone."""
    database.execute(
        "UPDATE rater SET status = ?, ended_us = ? WHERE id = ? AND status <> 'withdrawn'", (status, clock.now(), rater)
    )


def usable(rater: sqlite3.Row) -> bool:
    """Whether a rater's votes count, as far as is known now."""
    return rater["status"] in ("active", "finished") and not rater["excluded"] and not rater["broken"]


def check_log(database: sqlite3.Connection, where: str) -> None:
    """Verify the chain of votes.

    Raises:
        DataError: a vote was changed, removed, added or moved.
    """
    rows = database.execute("SELECT record, hash FROM vote_log").fetchall()
    check_chain([Vote.model_validate_json(row["record"]) for row in rows], where, [row["hash"] for row in rows])


def trial_of(text: str) -> Trial:
    """A trial as its assignment keeps it."""
    data: dict[str, Any] = json.loads(text)
    return Trial(**data | {"order": tuple(data["order"]), "media": tuple(data["media"])})
