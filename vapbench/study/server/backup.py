"""A copy of a study's one database, whole at one moment, also while raters vote."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import atomic_path
from vapbench.study.folder import StudyFolder
from vapbench.study.server.records import check_log

_PAGES = 256
"""Copied between two looks at whether somebody writes."""


def backup_votes(folder: StudyFolder, target: Path) -> int:
    """Copy ``votes.db`` by SQLite's own backup, check the copy, and put it in place.

    Every vote that was acknowledged before this is called is in it. The copy is one file, readable by its owner alone,
    as the ids of platforms are in it. To restore it, stop the server and put it in the place of ``votes.db``.

    Args:
        folder: the study; it may be being served.
        target: a file that does not exist.

    Returns:
        Votes in the copy.

    Raises:
        UsageError: the study has no votes yet, or ``target`` exists.
        DataError: the database cannot be read, or its log of votes is damaged.
    """
    if not folder.votes_path.is_file():
        raise UsageError(
            f"{folder.path} has not been served yet: there is nothing to copy.", ErrorKind.MISSING, "votes"
        )
    if target.exists():
        raise UsageError(f"{target} exists; give another --out, or remove it.", ErrorKind.CONFLICT, "out")
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        temporary.touch(mode=0o600)
        try:
            with closing(_reading(folder.votes_path)) as source, closing(sqlite3.connect(temporary)) as copy:
                source.backup(copy, pages=_PAGES)
                # One file: a write-ahead log beside the copy would be forgotten.
                copy.execute("PRAGMA journal_mode = DELETE")
                copy.row_factory = sqlite3.Row
                (said,) = copy.execute("PRAGMA integrity_check").fetchone()
                if said != "ok":
                    raise DataError(
                        f"{folder.votes_path} is damaged ({said}); restore an earlier copy.", ErrorKind.DAMAGED, "votes"
                    )
                check_log(copy, str(folder.votes_path))
                (votes,) = copy.execute("SELECT count(*) FROM vote").fetchone()
        except sqlite3.Error as error:
            raise DataError(f"{folder.votes_path}: {error}; nothing was copied.", ErrorKind.DAMAGED, "votes") from error
    return int(votes)


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
