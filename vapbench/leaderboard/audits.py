"""What a board's metrics see of known edits: ``audits/<suite>.csv``, as ``vapbench check metric --all`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vapbench.errors import DataError, ErrorKind
from vapbench.files.parsing import read_csv

VERDICTS: Mapping[str, str] = {
    "sees": "the fault lowers the score",
    "blind": "the fault leaves it",
    "fooled": "the fault raises it",
    "steady": "what nobody minds leaves it",
    "disturbed": "what nobody minds moves it",
    "unclear": "it may be chance",
}


@dataclass(frozen=True)
class AuditMatrix:
    """Columns by edits."""

    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """Per edit: verdict of each column, and how often the undamaged clip scores better; empty where not asked."""
    verdicts: Mapping[str, str]
    """The verdicts that occur, and what each means."""


def read_audit(folder: Path, suite: str) -> AuditMatrix | None:
    """The audit of a suite's columns; None where there is no file of it.

    Raises:
        DataError: the file is no audit.
    """
    path = folder / f"{suite}.csv"
    if not path.is_file():
        return None
    found: dict[tuple[str, str], tuple[str, str]] = {}
    try:
        for _, row in read_csv(path)[1]:
            verdict, better = str(row["verdict"]), row["original_better"]
            if verdict not in VERDICTS:
                raise ValueError(f"verdict {verdict!r}")
            found[str(row["edit"]), str(row["column"])] = verdict, f"{100 * float(better):.0f} %" if better else ""
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path} is no audit ({error}); write it: vapbench check metric --help", ErrorKind.INVALID, path.name
        ) from error
    columns = tuple(dict.fromkeys(column for _, column in found))
    edits = dict.fromkeys(edit for edit, _ in found)
    seen = {verdict for verdict, _ in found.values()}
    return AuditMatrix(
        columns,
        tuple((edit, tuple(found.get((edit, column), ("", "")) for column in columns)) for edit in edits),
        {verdict: meaning for verdict, meaning in VERDICTS.items() if verdict in seen},
    )
