"""Nobody sees results by method before a study is closed; whoever looks all the same is on record."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

from vapbench.errors import ErrorKind, UsageError
from vapbench.files.atomic import quoted
from vapbench.files.text import counted
from vapbench.study.analysis.ballots import CLOSED, UNBLINDED, Ballots, load_ballots, votes_file
from vapbench.study.folder import StudyFolder
from vapbench.study.server.database import Clock, transaction
from vapbench.study.server.records import note, set_setting, setting
from vapbench.study.server.refused import Refused
from vapbench.study.server.service import open_database

Status = Literal["open", "paused", "closed"]


def change_status(database: sqlite3.Connection, clock: Clock, wanted: Status) -> None:
    """Open, pause or close a study, inside a transaction.

    Raises:
        Refused: it has closed: votes given after somebody may have seen results are other votes.
    """
    if setting(database, "status") == CLOSED:
        raise Refused(409, "closed", "This study has closed, for good.")
    set_setting(database, "status", wanted)
    note(database, clock, wanted)


def close_study(folder: StudyFolder) -> bool:
    """Close a study for good, also while it is being served.

    Returns:
        False if it had been closed before.

    Raises:
        UsageError: it was never served.
        DataError: its files were changed, or the database cannot be written.
    """
    if not folder.votes_path.exists():
        raise UsageError(
            f"{folder.path} has not been served yet: there is nothing to close.", ErrorKind.MISSING, "votes"
        )
    clock, database = open_database(folder, folder.protocol().sha256)
    with closing(database), transaction(database, folder.votes_path):
        if setting(database, "status") == CLOSED:
            return False
        change_status(database, clock, "closed")
    return True


def results_of(folder: StudyFolder, votes: Path | None, unblind: bool, what: str) -> Ballots:
    """Votes that results may be made from: those of a closed study, or with ``unblind`` of any.

    Args:
        folder: the study.
        votes: where its votes are, if elsewhere; see :func:`vapbench.study.analysis.ballots.load_ballots`.
        unblind: look before the study is closed; the look is stored in its log, and every report names it from then on.
        what: what is made, for the log.

    Raises:
        UsageError: the study is not closed.
    """
    ballots = load_ballots(folder, votes)
    if ballots.closed:
        return ballots
    if not unblind:
        raise UsageError(
            f"Study {ballots.protocol.id} is not closed, and results by method come after that: "
            f"vapbench study close {quoted(folder.path)}, or look now with --unblind, which is recorded.",
            ErrorKind.CONFLICT,
            "status",
        )
    path = votes_file(folder, votes)
    if path.suffix != ".db":
        return ballots
    sha256 = ballots.protocol.sha256
    clock, database = open_database(folder, sha256, path)
    with closing(database), transaction(database, path):
        note(database, clock, UNBLINDED, detail=f"{what}, {counted(len(ballots.votes), 'vote')}")
    return load_ballots(folder, votes)
