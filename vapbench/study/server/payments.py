"""Who took part and what is due: one row for each participant, with the platform's own ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields

from vapbench.errors import ErrorKind, UsageError
from vapbench.files.text import csv_text
from vapbench.report.render.csv import harmless
from vapbench.study.analysis.ballots import CLOSED
from vapbench.study.design.assign import Design
from vapbench.study.folder import StudyFolder
from vapbench.study.server.raters import completion_code
from vapbench.study.server.records import setting
from vapbench.study.server.recruitment import Payment, Recruitment, outcome_of, payment
from vapbench.study.server.service import open_database
from vapbench.study.server.store import Store


def payments_of(folder: StudyFolder, recruitment: Recruitment) -> tuple[Payment, ...]:
    """Everybody who arrived, in order of arrival; invited people who never opened their link are left out.

    Raises:
        UsageError: the study was never served.
        DataError: its files were changed.
    """
    if not folder.votes_path.exists():
        raise UsageError(f"{folder.path} has not been served yet: nobody has taken part.", ErrorKind.MISSING, "votes")
    protocol = folder.protocol()
    clock, database = open_database(folder, protocol.sha256)
    with closing(database):
        return pay_table(database, Store(Design(protocol), clock), recruitment)


def pay_table(database: sqlite3.Connection, store: Store, recruitment: Recruitment) -> tuple[Payment, ...]:
    """The same from an open database."""
    closed = setting(database, "status") == CLOSED
    rows = database.execute(
        "SELECT * FROM rater WHERE place IS NOT NULL OR status <> 'active' OR platform_hmac IS NOT NULL "
        "ORDER BY place IS NULL, place, created_us"
    ).fetchall()
    table = []
    for row in rows:
        private = database.execute("SELECT * FROM rater_private WHERE rater = ?", (row["id"],)).fetchone()
        (answers,) = database.execute("SELECT count(*) FROM vote WHERE rater = ?", (row["id"],)).fetchone()
        complete = row["place"] is not None and store.progress(database, row["id"], row["place"]).complete
        outcome = outcome_of(row, complete, closed)
        table.append(payment(recruitment, row, private, outcome, completion_code(database, row["id"]), answers))
    return tuple(table)


def pay_csv(table: Sequence[Payment]) -> str:
    """The table for a spreadsheet, which takes no cell for a formula."""
    names = [field.name for field in fields(Payment)]
    return csv_text(names, ([harmless(getattr(row, name)) for name in names] for row in table))
