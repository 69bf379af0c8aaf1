"""An open study in this process: its protocol, its database, the thread that writes, and the one lock on all of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from filelock import FileLock, Timeout

from vapbench.errors import DataError, ErrorKind, IdentityError
from vapbench.study.design.assign import Design
from vapbench.study.folder import StudyFolder
from vapbench.study.server.database import Clock, Writer, connect, transaction
from vapbench.study.server.raters import make_secret
from vapbench.study.server.records import check_log, set_setting, setting
from vapbench.study.server.recruitment import BY_LINK, Recruitment
from vapbench.study.server.security import Bucket
from vapbench.study.server.store import Handed, Store
from vapbench.study.server.survey import asking
from vapbench.study.votes import CHECK_ROLES

Result = TypeVar("Result")
_GLANCE_SECONDS = 0.25
"""How long a read may wait for a lock: it holds up the event loop."""


@dataclass
class Service:
    """What request handlers use. Enter it to open the study; leaving it finishes what is being written."""

    folder: StudyFolder
    origins: tuple[str, ...]
    """Addresses that lead here, without a slash at the end; the first is the one raters use."""
    recruitment: Recruitment = BY_LINK
    preview: bool = False
    """Whether this is a look at the pages, where nothing counts."""
    frozen: bool = False
    """Whether the study that a preview shows is open, so that its words are final."""
    bucket: Bucket = field(default_factory=Bucket)
    arrivals: Bucket = field(default_factory=lambda: Bucket(burst=60, per_second=1))
    """How often somebody may arrive from a platform."""

    def __enter__(self) -> Self:
        """Freeze the protocol, take the lock, check the log of votes.

        Raises:
            DataError: another server has the study, a media file was changed, or the log is damaged.
            IdentityError: the protocol is not the one the study was opened with.
        """
        self._lock = FileLock(self.folder.path / ".serving", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise DataError(
                f"{self.folder.path} is being served already; stop that server first.", ErrorKind.BUSY, "study"
            ) from None
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def _open(self) -> None:
        self.protocol = self.folder.open()
        self.paths = {media: self.folder.media_path(self.protocol, media) for media in self.protocol.media}
        sha256 = self.protocol.sha256
        self.label = sha256[:8]
        """Keeps the cookies of two studies on one host apart."""
        self.clock, database = open_database(self.folder, sha256)
        self.reader = connect(self.folder.votes_path, _GLANCE_SECONDS)
        self.store = Store(Design(self.protocol), self.clock)
        self.store.recount(database)
        self.database = database
        self.writer = Writer(database, self.store.recount)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database and give the lock back."""
        self.writer.close()
        self.reader.close()
        self.database.close()
        self._lock.release()

    async def write(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run ``job`` in a transaction that is on disk when this returns.

        Raises:
            StorageUnavailable: nothing was stored.
            Refused: by the job.
        """
        return await self.writer.run(job)

    @property
    def secure(self) -> bool:
        """Whether raters come by HTTPS."""
        return self.origins[0].startswith("https://")

    def describe(self, handed: Handed, language: str) -> dict[str, object]:
        """A trial as its rater sees it: addresses and words, no id of a case, method or check."""
        trial, protocol = handed.trial, self.protocol
        item = protocol.check(trial.cell) if trial.role in CHECK_ROLES else protocol.case(trial.case)
        address = f"/m/{handed.assignment}"
        return {
            "assignment": handed.assignment,
            "number": handed.number,
            "training": trial.role == "training",
            "question": asking(protocol, protocol.question(trial.question), language),
            "also": [asking(protocol, question, language) for question in protocol.also],
            "prompt": item.prompt,
            "reference": f"{address}/reference",
            "image": f"{address}/image" if item.image else None,
            "results": [f"{address}/{slot + 1}" for slot in range(len(trial.media))],
        }

    def media_of(self, handed: Handed, slot: str) -> Path | None:
        """The file behind an address; None if the trial shows no such thing."""
        trial, protocol = handed.trial, self.protocol
        item = protocol.check(trial.cell) if trial.role in CHECK_ROLES else protocol.case(trial.case)
        shown = {str(number): media for number, media in enumerate(trial.media, start=1)}
        media = (shown | {"reference": item.reference, "image": item.image or ""}).get(slot)
        return self.paths[media] if media else None


def open_database(
    folder: StudyFolder, protocol_sha256: str, path: Path | None = None
) -> tuple[Clock, sqlite3.Connection]:
    """Open the votes of a study for writing, made if there are none, and check that they belong to its protocol.

    Args:
        folder: the study.
        protocol_sha256: hash of its protocol.
        path: the database, if it is not the study's own ``votes.db``.

    Raises:
        DataError: the file is damaged, or its log of votes was tampered with.
        IdentityError: the votes were given to another protocol.
    """
    path = path or folder.votes_path
    database = connect(path)
    try:
        with transaction(database, path):
            check_log(database, str(path))
            clock = Clock(_latest(database))
            known = setting(database, "protocol_sha256")
            if known and known != protocol_sha256:
                raise IdentityError(
                    f"{path} holds votes for another protocol (hash {known[:8]}, here {protocol_sha256[:8]}): "
                    "restore the protocol, or plan another study with --id NAME.",
                    ErrorKind.CONFLICT,
                    "protocol",
                )
            if not known:
                set_setting(database, "protocol_sha256", protocol_sha256)
                set_setting(database, "status", "open")
                make_secret(database)
    except BaseException:
        database.close()
        raise
    return clock, database


def _latest(database: sqlite3.Connection) -> int:
    row = database.execute(
        "SELECT max((SELECT coalesce(max(at_us), 0) FROM event), (SELECT coalesce(max(leased_us), 0) FROM assignment), "
        "(SELECT coalesce(max(created_us), 0) FROM rater), coalesce((SELECT json_extract(record, '$.stored_us') "
        "FROM vote ORDER BY sequence DESC LIMIT 1), 0))"
    ).fetchone()
    return int(row[0])
