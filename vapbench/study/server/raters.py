"""Who takes part: invitations, platform arrivals, consent, withdrawal, exclusion.

Tokens are 128 random bits; the database holds their hashes, so a copy of it lets nobody in.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from vapbench.files.atomic import canonical_json
from vapbench.study.server.database import Clock
from vapbench.study.server.records import note, rater_row, set_setting, set_status, setting
from vapbench.study.server.refused import Refused

DAY_US = 86_400_000_000
LINK_DAYS = 90
"""After that a link lets nobody in."""
ADMIN_DAYS = 30

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")


def invite(database: sqlite3.Connection, clock: Clock, number: int, cohort: str = "") -> list[str]:
    """Make ``number`` raters; return their tokens, which cannot be read back later."""
    return [_admit(database, clock, _new_rater(database, clock, cohort), LINK_DAYS) for _ in range(number)]


def invite_administrator(database: sqlite3.Connection, clock: Clock) -> str:
    """A token for the admin page; earlier ones work until they expire, so that a restart locks nobody out."""
    database.execute("DELETE FROM access WHERE rater IS NULL AND expires_us < ?", (clock.now(),))
    return _admit(database, clock, None, ADMIN_DAYS)


def entry_key(database: sqlite3.Connection) -> str:
    """What a platform's entry link is signed with: whoever invents an id does not have it."""
    return _keyed(database, "entry", "")[:22]


def may_arrive(database: sqlite3.Connection, participant: str, key: str) -> bool:
    """Whether a participant may enter: with the signed link, and listed if there is a list."""
    (listed,) = database.execute("SELECT count(*) FROM allowed").fetchone()
    if not hmac.compare_digest(entry_key(database).encode(), key.encode()):
        return False
    fingerprint = _keyed(database, "platform", participant)
    return not listed or bool(
        database.execute("SELECT 1 FROM allowed WHERE platform_hmac = ?", (fingerprint,)).fetchone()
    )


def allow(database: sqlite3.Connection, participants: Sequence[str]) -> int:
    """Let in these participants of the platform and no others; how many are listed now."""
    rows = [(_keyed(database, "platform", participant),) for participant in participants]
    database.executemany("INSERT OR IGNORE INTO allowed VALUES (?)", rows)
    return int(database.execute("SELECT count(*) FROM allowed").fetchone()[0])


def has_arrived(database: sqlite3.Connection, participant: str) -> bool:
    """Whether a participant of the platform came before."""
    fingerprint = _keyed(database, "platform", participant)
    return bool(database.execute("SELECT 1 FROM rater WHERE platform_hmac = ?", (fingerprint,)).fetchone())


def arrive(
    database: sqlite3.Connection, clock: Clock, cohort: str, participant: str, session: str, here: str = ""
) -> str:
    """A token for a participant of a platform; whoever returns in the same submission is the same rater.

    Args:
        database: inside a transaction.
        clock: the study's.
        cohort: the platform.
        participant: the platform's id.
        session: that of the submission; empty where the platform has none: then it takes the browser of before.
        here: the rater that the browser knows already; empty: none.

    Raises:
        Refused: the participant came before in another submission: knowing an id is not being that person.
    """
    fingerprint = _keyed(database, "platform", participant)
    known = database.execute(
        "SELECT id, status, session_id FROM rater LEFT JOIN rater_private ON rater = id WHERE platform_hmac = ?",
        (fingerprint,),
    ).fetchone()
    if known is not None:
        # Of whoever withdrew nothing is left to compare, and nothing to get at.
        same = known["status"] == "withdrawn" or (
            hmac.compare_digest(known["session_id"].encode(), session.encode()) if session else here == known["id"]
        )
        if not same:
            raise Refused(403, "returned", "You have taken part before. Please use the submission you began with.")
        return _admit(database, clock, known["id"], LINK_DAYS)
    rater = _new_rater(database, clock, cohort)
    database.execute("UPDATE rater SET platform_hmac = ? WHERE id = ?", (fingerprint, rater))
    database.execute(
        "INSERT INTO rater_private (rater, platform_id, session_id) VALUES (?, ?, ?)", (rater, participant, session)
    )
    return _admit(database, clock, rater, LINK_DAYS)


def decline(database: sqlite3.Connection, clock: Clock, rater: str) -> None:
    """Do not take part; harmless the second time, and no word after consent."""
    row = rater_row(database, rater)
    if row["place"] is None and row["status"] == "active":
        set_status(database, clock, rater, "declined")
        note(database, clock, "declined", rater)


def rater_of(database: sqlite3.Connection, clock: Clock, token: str) -> sqlite3.Row | None:
    """The rater whom a token lets in; None for a forged, foreign, revoked or expired one."""
    access = _access(database, clock, token)
    return rater_row(database, access["rater"]) if access is not None and access["rater"] else None


def is_administrator(database: sqlite3.Connection, clock: Clock, token: str) -> bool:
    """Whether a token opens the admin page."""
    access = _access(database, clock, token)
    return access is not None and access["rater"] is None


def consent(database: sqlite3.Connection, clock: Clock, rater: str, version: str) -> None:
    """Record consent, and the rater's place in the order of arrival; harmless the second time."""
    if rater_row(database, rater)["place"] is not None:
        return
    database.execute(
        "UPDATE rater SET consent_version = ?, consented_us = ?, "
        "place = (SELECT count(*) FROM rater WHERE place IS NOT NULL) WHERE id = ?",
        (version, clock.now(), rater),
    )
    note(database, clock, "consent", rater, version)


def keep_answers(database: sqlite3.Connection, clock: Clock, rater: str, when: str, answers: Mapping[str, Any]) -> None:
    """Store the answers to the questions before or after the trials, once; they are in the export's events.

    Raises:
        Refused: the rater has not consented, or withdrew.
    """
    row = rater_row(database, rater)
    if row["place"] is None:
        raise Refused(403, "consent", "Please give your consent first.")
    if row["status"] == "withdrawn":
        raise Refused(403, "withdrawn", "You are no longer part of this study.")
    if when not in surveys_answered(database, rater):
        note(database, clock, f"answers {when}", rater, canonical_json(dict(answers)))


def surveys_answered(database: sqlite3.Connection, rater: str) -> list[str]:
    """Which questions have been answered: ``before``, ``after``."""
    rows = database.execute("SELECT kind FROM event WHERE rater = ? AND kind LIKE 'answers %'", (rater,))
    return [row["kind"].removeprefix("answers ") for row in rows]


def withdraw(database: sqlite3.Connection, clock: Clock, rater: str) -> None:
    """Leave the study: votes stay in the log, marked as withdrawn, and the platform identity is erased."""
    if rater_row(database, rater)["status"] == "withdrawn":
        return
    set_status(database, clock, rater, "withdrawn")
    database.execute("DELETE FROM rater_private WHERE rater = ?", (rater,))
    note(database, clock, "withdrawn", rater)


def exclude(database: sqlite3.Connection, clock: Clock, rater: str, reason: str, evict: bool = False) -> None:
    """Exclude a rater from the analysis, or with an empty reason take that back.

    Args:
        database: inside a transaction.
        clock: for the log.
        rater: pseudonym.
        reason: as the report prints it.
        evict: end the rater's session as well; that is not taken back.

    Raises:
        Refused: no such rater.
    """
    changed = database.execute("UPDATE rater SET excluded = ? WHERE id = ?", (reason, rater)).rowcount
    if not changed:
        raise Refused(404, "unknown", "There is no such rater.")
    note(database, clock, "excluded" if reason else "included", rater, reason)
    if evict:
        set_status(database, clock, rater, "evicted")
        note(database, clock, "evicted", rater)


def completion_code(database: sqlite3.Connection, rater: str) -> str:
    """The rater's own code, of eight letters and digits: proof for whoever pays, without a list to keep."""
    return _keyed(database, "completion", rater)[:8].upper()


def _keyed(database: sqlite3.Connection, purpose: str, text: str) -> str:
    return hmac.digest(setting(database, "secret").encode(), f"{purpose}:{text}".encode(), "sha256").hex()


def make_secret(database: sqlite3.Connection) -> None:
    """Draw the study's secret, once."""
    if not setting(database, "secret"):
        set_setting(database, "secret", secrets.token_hex(32))


def _new_rater(database: sqlite3.Connection, clock: Clock, cohort: str) -> str:
    rater = f"r-{secrets.token_hex(6)}"
    database.execute("INSERT INTO rater (id, cohort, created_us) VALUES (?, ?, ?)", (rater, cohort, clock.now()))
    return rater


def _admit(database: sqlite3.Connection, clock: Clock, rater: str | None, days: int) -> str:
    token = secrets.token_urlsafe(16)
    database.execute(
        "INSERT INTO access (token_sha256, rater, expires_us) VALUES (?, ?, ?)",
        (_hashed(token), rater, clock.now() + days * DAY_US),
    )
    return token


def _access(database: sqlite3.Connection, clock: Clock, token: str) -> sqlite3.Row | None:
    if not _TOKEN.fullmatch(token):
        return None
    # Looked up by hash: how long it takes says nothing about the token.
    row: sqlite3.Row | None = database.execute(
        "SELECT rater FROM access WHERE token_sha256 = ? AND expires_us > ?", (_hashed(token), clock.now())
    ).fetchone()
    return row


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
