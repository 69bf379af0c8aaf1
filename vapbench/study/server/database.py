"""The database file of a study: its tables, its clock, and the one thread that writes.

SQLite in write-ahead mode with ``synchronous=FULL``: a transaction that was committed survives the loss of power. What
arrives while a commit is under way shares the next one, so that many raters cost few disk flushes; nobody is told
"stored" before the commit that stored it.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from vapbench.errors import DataError, ErrorKind

Result = TypeVar("Result")
Job = Callable[[sqlite3.Connection], Any]

_LARGEST_BATCH = 128
_PATIENCE_SECONDS = 2.0
"""How long a write waits for a database that somebody else has locked."""

_FIRST = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Whoever has a link. place counts those who consented, in order of arrival.
CREATE TABLE rater (
  id TEXT PRIMARY KEY, place INTEGER UNIQUE, status TEXT NOT NULL DEFAULT 'active'
    CHECK (status IN ('active', 'finished', 'screened_out', 'withdrawn')),
  cohort TEXT NOT NULL DEFAULT '', consent_version TEXT NOT NULL DEFAULT '', consented_us INTEGER,
  excluded TEXT NOT NULL DEFAULT '', created_us INTEGER NOT NULL, platform_hmac TEXT UNIQUE
) STRICT;

-- Who a rater is elsewhere: erased on withdrawal, never exported.
CREATE TABLE rater_private (
  rater TEXT PRIMARY KEY REFERENCES rater, platform_id TEXT NOT NULL, session_id TEXT NOT NULL
) STRICT;

-- Hashes of tokens; rater is NULL for the administrator.
CREATE TABLE access (
  token_sha256 TEXT PRIMARY KEY, rater TEXT REFERENCES rater, expires_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A trial handed to a rater. counted: whether it holds a place in its cell, which a lease that ran out gives back.
CREATE TABLE assignment (
  id TEXT PRIMARY KEY, rater TEXT NOT NULL REFERENCES rater, number INTEGER NOT NULL, trial TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'voted', 'skipped')), counted INTEGER NOT NULL DEFAULT 1,
  leased_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, shown_us INTEGER, UNIQUE (rater, number)
) STRICT;
CREATE INDEX leases ON assignment (expires_us) WHERE state = 'open' AND counted = 1;

-- The log of votes. record is the canonical JSON that hash is of; body_sha256 recognises the same answer sent again.
CREATE TABLE vote (
  sequence INTEGER PRIMARY KEY, assignment TEXT NOT NULL UNIQUE REFERENCES assignment,
  rater TEXT NOT NULL REFERENCES rater, record TEXT NOT NULL, body_sha256 TEXT NOT NULL, hash TEXT NOT NULL UNIQUE
) STRICT;
CREATE INDEX votes_of_rater ON vote (rater);
CREATE TRIGGER vote_is_final BEFORE UPDATE ON vote BEGIN SELECT RAISE(ABORT, 'votes are append-only'); END;
CREATE TRIGGER vote_stays BEFORE DELETE ON vote BEGIN SELECT RAISE(ABORT, 'votes are append-only'); END;

-- Everything else that happened: consent, withdrawal, second answers, exclusions, pauses.
CREATE TABLE event (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, kind TEXT NOT NULL,
  rater TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TRIGGER event_is_final BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_stays BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- What the report reads; tables may change, these do not.
CREATE VIEW vote_log AS SELECT sequence, record, hash FROM vote ORDER BY sequence;
CREATE VIEW rater_log AS SELECT json_object(
  'rater', id, 'index', place, 'status', status, 'cohort', cohort, 'consent_version', consent_version,
  'excluded', excluded
) AS record FROM rater WHERE place IS NOT NULL ORDER BY place;
"""

_SECOND = """
DROP VIEW rater_log;
-- broken: the protocol's exclusion rules that the votes so far break. ended_us: when the rater finished, or left.
CREATE TABLE rater_2 (
  id TEXT PRIMARY KEY, place INTEGER UNIQUE, status TEXT NOT NULL DEFAULT 'active'
    CHECK (status IN ('active', 'finished', 'screened_out', 'withdrawn', 'declined', 'evicted')),
  cohort TEXT NOT NULL DEFAULT '', consent_version TEXT NOT NULL DEFAULT '', consented_us INTEGER,
  excluded TEXT NOT NULL DEFAULT '', broken TEXT NOT NULL DEFAULT '', created_us INTEGER NOT NULL, ended_us INTEGER,
  platform_hmac TEXT UNIQUE
) STRICT;
INSERT INTO rater_2 (id, place, status, cohort, consent_version, consented_us, excluded, created_us, platform_hmac)
  SELECT id, place, status, cohort, consent_version, consented_us, excluded, created_us, platform_hmac FROM rater;
DROP TABLE rater;
ALTER TABLE rater_2 RENAME TO rater;
-- Participants of a platform who may enter; empty: all whom the entry link brings.
CREATE TABLE allowed (platform_hmac TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE VIEW rater_log AS SELECT json_object(
  'rater', id, 'index', place, 'status', status, 'cohort', cohort, 'consent_version', consent_version,
  'excluded', excluded
) AS record FROM rater WHERE place IS NOT NULL ORDER BY place;
"""

_MIGRATIONS = (_FIRST, _SECOND)
"""What leads from each version of the schema to the next; a new file goes through all of them."""
SCHEMA_VERSION = len(_MIGRATIONS)


class StorageUnavailable(Exception):
    """Nothing was stored: the database is locked, its disk full or not writable. Trying again later may help."""


class Clock:
    """Microseconds since 1970 that never go back, whatever happens to the system's clock while the server runs."""

    def __init__(self, last: int = 0) -> None:
        """Start at the system's time, or right after ``last`` (the latest time on record) if that is later."""
        self._offset = max(time.time_ns() // 1000, last + 1) - time.monotonic_ns() // 1000

    def now(self) -> int:
        """The time."""
        return self._offset + time.monotonic_ns() // 1000


def kind_of(error: sqlite3.Error) -> ErrorKind:
    """``BUSY`` where another process holds the database and waiting helps; else ``FAILED``, as of a full disk."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return ErrorKind.BUSY if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) else ErrorKind.FAILED


def connect(path: Path, patience: float = _PATIENCE_SECONDS) -> sqlite3.Connection:
    """Open a study's database, made if there is none.

    Args:
        path: the file.
        patience: seconds to wait for a lock.

    Raises:
        DataError: the file is no database, or one of a later vapbench.
    """
    database = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        # Before foreign keys are watched over: a table that others refer to may be made anew.
        _migrate(database, path)
        database.execute("PRAGMA foreign_keys = ON")
    except sqlite3.DatabaseError as error:
        database.close()
        if isinstance(error, sqlite3.OperationalError):
            raise DataError(
                f"{path}: {error}; close whatever holds the database, or make room, and try again.",
                kind_of(error),
                "votes",
            ) from None
        raise DataError(
            f"{path}: not a database of votes ({error}); restore it from a backup.", ErrorKind.DAMAGED, path.name
        ) from None
    return database


@contextlib.contextmanager
def transaction(database: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Store all that is done within, or nothing.

    Raises:
        DataError: another process holds the file, or it cannot be written.
    """
    try:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("COMMIT")
    except BaseException as error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise DataError(
                f"{path}: {error}; make it writable, make room, or close whatever holds it, and try again.",
                kind_of(error),
                "votes",
            ) from error
        raise


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise DataError(
            f"{path} was written by a later vapbench (schema {version}); update vapbench.", ErrorKind.CONFLICT, "schema"
        )
    for number, change in enumerate(_MIGRATIONS[version:], start=version + 1):
        database.executescript(f"BEGIN IMMEDIATE;{change}PRAGMA user_version = {number};COMMIT;")


class Writer:
    """Runs jobs one after the other in a thread; jobs that wait share a commit."""

    def __init__(self, database: sqlite3.Connection, forget: Callable[[sqlite3.Connection], None]) -> None:
        """Start the thread.

        Args:
            database: the only connection that writes.
            forget: called after a commit that failed: what is remembered outside the database may be wrong.
        """
        self._database = database
        self._forget = forget
        self._stale = False
        self._queue: queue.SimpleQueue[tuple[Job, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="votes", daemon=True)
        self._thread.start()

    async def run(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run ``job`` in a transaction; return what it returns, once that is on disk.

        Raises:
            StorageUnavailable: nothing was stored.
            Exception: what the job raised; it alone was undone.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.put((job, future))
        return await future

    def close(self) -> None:
        """Finish what waits, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            last = False
            while len(batch) < _LARGEST_BATCH and not last:
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    last = True
                else:
                    batch.append(job)
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: list[tuple[Job, asyncio.Future[Any]]]) -> None:
        results: list[tuple[Any, Exception | None]] = []
        try:
            self._database.execute("BEGIN IMMEDIATE")
            if self._stale:
                self._forget(self._database)
                self._stale = False
            for job, _ in batch:
                results.append(self._attempt(job))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._stale = True
            with contextlib.suppress(sqlite3.Error):
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            refusal = StorageUnavailable(str(error))
            refusal.__cause__ = error
            results = [(None, refusal)] * len(batch)
        for (_, future), (result, failure) in zip(batch, results, strict=True):
            _settle(future, result, failure)

    def _attempt(self, job: Job) -> tuple[Any, Exception | None]:
        self._database.execute("SAVEPOINT job")
        try:
            result = job(self._database)
        except sqlite3.IntegrityError as error:
            failure: Exception = error
        except sqlite3.Error:
            raise
        except Exception as error:
            failure = error
        else:
            self._database.execute("RELEASE job")
            return result, None
        self._database.execute("ROLLBACK TO job")
        self._database.execute("RELEASE job")
        return None, failure


def _settle(future: asyncio.Future[Any], result: Any, failure: Exception | None) -> None:
    def deliver() -> None:
        # Whoever asked may have hung up in the meantime.
        if future.cancelled():
            return
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)

    # The loop may be closing; the work is stored or not, whoever hears of it.
    with contextlib.suppress(RuntimeError):
        future.get_loop().call_soon_threadsafe(deliver)
