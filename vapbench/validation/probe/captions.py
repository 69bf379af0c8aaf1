"""Captions without the effect: written by the suite, or by people in one table. Nothing is cut by guess.

``probe_captions.csv`` has a row per case: ``case`` (its id), ``without_effect`` (its caption, without what the
reference is to add), and, if somebody wants to, ``wrong_effect`` (the caption with the effect of another condition).
Further columns are for whoever writes, and are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vapbench.core.case import Case
from vapbench.errors import DataError, ErrorKind, did_you_mean
from vapbench.files.atomic import write_text
from vapbench.files.text import csv_text
from vapbench.suites import Suite
from vapbench.suites.table import read_table

FILE = "probe_captions.csv"
_COLUMNS = ("case", "condition", "caption", "without_effect", "wrong_effect")


@dataclass(frozen=True)
class Captions:
    """What is known of a case's captions beside its own."""

    without: str | None = None
    wrong: str | None = None


def find_captions(
    suite: Suite, cases: Sequence[Case], donors: Mapping[str, str], data: Path | None, file: Path | None
) -> dict[str, Captions]:
    """Case id -> captions: of the table, or else as the suite writes them.

    Args:
        suite: of the cases.
        cases: every case of the suite.
        donors: case id -> the condition of its wrong reference.
        data: the suite's data; a table that lies there under its usual name is read.
        file: a table that was named.

    Raises:
        DataError: the table cannot be read, or names a case that there is not.
    """
    beside = data / FILE if data is not None and data.is_dir() else None
    if file is None and beside is not None and beside.is_file():
        file = beside
    if file is not None:
        return _read(file, {case.id for case in cases})
    written = {case.id: suite.captions_of(case, donors[case.id]) for case in cases if case.id in donors}
    return {case: Captions(*found) for case, found in written.items() if found}


def write_captions(path: Path, cases: Sequence[Case], known: Mapping[str, Captions]) -> int:
    """Write the table for ``cases``, with blanks where nobody wrote a caption.

    Returns:
        How many cases lack the caption without the effect.
    """
    given = [(case, known.get(case.id, Captions())) for case in cases]
    rows = ((case.id, case.condition, case.caption, found.without, found.wrong) for case, found in given)
    write_text(path, csv_text(_COLUMNS, rows))
    return sum(not found.without for _, found in given)


def _read(path: Path, ids: set[str]) -> dict[str, Captions]:
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; write it first: vapbench probe --write-captions {path}",
            ErrorKind.MISSING,
            "captions",
        )
    found: dict[str, Captions] = {}
    for row in read_table(path, ("case", "without_effect")).rows:
        if row["case"] not in ids:
            raise DataError(
                f"{row.where}: there is no case {row['case']!r}.{did_you_mean(row['case'], ids)}",
                ErrorKind.UNKNOWN,
                "case",
            )
        if row["case"] in found:
            raise DataError(f"{row.where}: {row['case']} is there twice; keep one row.", ErrorKind.CONFLICT, "case")
        found[row["case"]] = Captions(row["without_effect"] or None, row["wrong_effect"] or None)
    return found
