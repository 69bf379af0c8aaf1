"""Cases of somebody's own, without a line of Python: one table, ``cases.csv``, beside its files.

    reference,image,caption,condition
    orbit.mp4,teapot.png,"The camera circles a teapot.",orbit

``docs/guides/own-cases.md`` says what each column holds.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from pydantic import ValidationError

from vapbench.core.case import NO_IMAGE, Case, Category, ClipSpec, Media, Reference
from vapbench.core.limits import MOST_FRAMES
from vapbench.core.video import read_video
from vapbench.errors import DataError, ErrorKind, UsageError, did_you_mean
from vapbench.files.atomic import is_reserved
from vapbench.files.faults import faults, field_of
from vapbench.files.text import counted, some
from vapbench.suites.table import MediaFinder, Table, TableRow, identifiers, read_table
from vapbench.suites.tasks import categories

log = logging.getLogger(__name__)

TABLE = "cases.csv"
COLUMNS = (
    *("reference", "condition"),
    *("image", "caption", "reference_caption", "category", "target", "id"),
    *("frames", "fps", "height", "width"),
)
"""Columns of the table; the first two are required."""

_REQUIRED = COLUMNS[:2]
_CLIP = COLUMNS[-4:]
_NUMBERS = {
    "frames": f"a whole number from 1 to {MOST_FRAMES}",
    "fps": "a number above 0, 1000 at most",
    "height": "an even number of pixels that are read",
    "width": "an even number of pixels that are read",
}
"""What the columns of a clip may hold."""
_BETWEEN = "|"
"""Between several references of a case, and between their captions."""


@dataclass(frozen=True)
class _Row:
    """A row, its files found."""

    row: TableRow
    condition: str
    references: tuple[Reference, ...]
    image: Media
    target: Media | None
    paths: tuple[str, ...]
    """Of image, if there is one, and references, relative to the data."""

    def at(self, column: str) -> str:
        """Where a cell is, for messages."""
        return f"{self.row.where}: column {column}"


def table_in(folder: Path) -> Path:
    """The table of a folder of own cases.

    Raises:
        UsageError: it holds none.
    """
    if not (folder / TABLE).is_file():
        raise UsageError(
            f"{folder}: no {TABLE} there; docs/guides/own-cases.md says how to write one. To score videos that "
            "belong to no "
            f"cases: vapbench score {folder} --suite custom",
            ErrorKind.MISSING,
            "suite",
        )
    return folder / TABLE


def name_of(table: Path) -> str:
    """What a suite of own cases is called: as the table's folder, or as the table if that is called otherwise."""
    named = table.absolute().parent.name if table.name.casefold() == TABLE else table.stem
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", named).strip(".-_")[:100]
    return name if name and not is_reserved(name) else "own-cases"


def load(data: Path | None, clip: ClipSpec | None, table: Path = Path(TABLE)) -> list[Case]:
    """Read own cases.

    Args:
        data: folder that the table's paths are relative to; None for the table's own.
        clip: what methods are asked for where the table does not say; None for what the first reference is.
        table: the table.

    Raises:
        DataError: it cannot be read, a cell holds what it must not, or a file is not there.
    """
    if not table.is_file():
        raise DataError(
            f"{table}: no such table; write it, or correct --suite: docs/guides/own-cases.md",
            ErrorKind.MISSING,
            "suite",
        )
    folder = table.parent if data is None else data
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no folder; --data names the one that the paths in {table} are relative to.",
            ErrorKind.MISSING,
            "data",
        )
    found = _read(table)
    finder = MediaFinder(folder, [folder, table.parent])
    rows = [_files(row, finder) for row in found.rows]
    finder.refuse_missing()
    if finder.moved:
        moved = some([f"{path} at {place}" for path, place in finder.moved.items()])
        log.warning(
            "%s: %s elsewhere, found by name: %s", table, counted(len(finder.moved), "file lies", "files lie"), moved
        )
    lacking = [column for column in _CLIP if not all(row[column] for row in found.rows)]
    spec = clip or (_spec(table, lacking, rows[0]) if lacking else None)
    listed = categories()
    names = identifiers(
        [(row.condition, *(PurePosixPath(path).stem for path in row.paths[:2])) for row in rows],
        [row.paths for row in rows],
    )
    cases = [_case(row, name, spec, listed) for row, name in zip(rows, names, strict=True)]
    _refuse_doubles(cases, rows)
    if spec and not clip:
        said = ", ".join(f"{name} {getattr(spec, name):g}" for name in lacking)
        log.warning(
            "%s: does not say %s, so methods are asked for those of the first reference, %s: %s.",
            *(table, ", ".join(lacking), rows[0].references[0].video.path, said),
        )
    _say_what_is_absent(table, rows)
    return cases


def _read(path: Path) -> Table:
    try:
        table = read_table(path, _REQUIRED)
    except DataError as error:
        if error.kind is not ErrorKind.MISSING or error.field not in _REQUIRED:
            raise
        raise DataError(f"{str(error).partition(';')[0]}. {_allowed()}", error.kind, error.field) from None
    if not table.rows:
        raise DataError(
            f"{path}: no rows below the header; write a row per case: docs/guides/own-cases.md", ErrorKind.MISSING
        )
    for column in table.columns:
        if column == "seed":
            log.warning("%s: the column seed is not used; seeds are a run's: --seed 0 --seed 1", path)
        elif column not in COLUMNS:
            log.warning("%s: the column %s is not used.%s", path, column, did_you_mean(column, COLUMNS))
    return table


def _allowed() -> str:
    return f"A table of cases has the columns {' and '.join(_REQUIRED)}, and may have {', '.join(COLUMNS[2:])}."


def _files(row: TableRow, finder: MediaFinder) -> _Row:
    def find(column: str, text: str) -> tuple[str, Media]:
        where = f"{row.where}: column {column}"
        path = finder.inside(where, text)
        return path, finder.find(where, path)

    if not row["reference"]:
        raise DataError(
            f"{row.where}: column reference: is blank; name the video that shows the condition.",
            ErrorKind.MISSING,
            "reference",
        )
    found = [find("reference", text) for text in row["reference"].split(_BETWEEN)]
    captions = _captions(row, len(found))
    references = tuple(
        Reference(video=video, caption=caption or None) for (_, video), caption in zip(found, captions, strict=True)
    )
    target = find("target", row["target"]) if row["target"] else None
    image = find("image", row["image"]) if row["image"] else target
    paths = tuple(path for path, _ in ([image] if image else []) + found)
    return _Row(
        row, row["condition"], references, image[1] if image else NO_IMAGE, target[1] if target else None, paths
    )


def _captions(row: TableRow, references: int) -> list[str]:
    text = row["reference_caption"]
    if not text or references == 1:
        return [text] * references
    captions = [caption.strip() for caption in text.split(_BETWEEN)]
    if len(captions) != references:
        raise DataError(
            f"{row.where}: column reference_caption: {counted(len(captions), 'caption')} for "
            f"{counted(references, 'reference')}; write as "
            f"many, with {_BETWEEN} between them, or leave it blank.",
            ErrorKind.CONFLICT,
            "reference_caption",
        )
    return captions


def _spec(table: Path, lacking: Sequence[str], first: _Row) -> ClipSpec:
    """What the first reference is, for what the table does not say of the videos that methods are asked for."""
    path = first.references[0].video.path
    clip = read_video(path)
    # Encoders take even sides alone.
    spec = {"frames": len(clip), "fps": clip.fps, "height": clip.height // 2 * 2, "width": clip.width // 2 * 2}
    try:
        return ClipSpec.model_validate(spec)
    except ValidationError as error:
        raise DataError(
            f"{table}: no columns {', '.join(lacking)}, and {path} cannot stand for them ({faults(error)}); add them.",
            ErrorKind.MISSING,
            lacking[0],
        ) from error


def _say_what_is_absent(table: Path, rows: Sequence[_Row]) -> None:
    if bare := [str(row.row.line) for row in rows if row.image is NO_IMAGE]:
        log.warning(
            "%s: %d of %s without image and target, so what needs a first frame does not apply: lines %s",
            *(table, len(bare), counted(len(rows), "case"), some(bare)),
        )
    if silent := [str(row.row.line) for row in rows if not row.row["caption"]]:
        log.warning(
            "%s: %d of %s without a caption, so what needs one does not apply: lines %s",
            *(table, len(silent), counted(len(rows), "case"), some(silent)),
        )


def _case(row: _Row, name: str, spec: ClipSpec | None, listed: Mapping[str, Category]) -> Case:
    said = {column: row.row[column] for column in _CLIP if row.row[column]}
    if not row.condition:
        raise DataError(
            f"{row.at('condition')}: is blank; name what the reference shows, such as orbit.",
            ErrorKind.MISSING,
            "condition",
        )
    fields: dict[str, Any] = {
        "id": row.row["id"] or name,
        "condition": row.condition,
        "category": _category(row, listed),
        "references": row.references,
        "image": row.image,
        "target": row.target,
        "caption": row.row["caption"] or None,
        "clip": {**(spec.model_dump() if spec else {}), **said},
    }
    try:
        return Case.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        column, reason = field_of(first).removeprefix("clip."), first["msg"].removeprefix("Value error, ")
        if column in _NUMBERS:
            reason = f"{row.row[column]!r} is not {_NUMBERS[column]}"
        raise DataError(
            f"{row.at(column)}: {reason[0].lower()}{reason[1:]}; correct the cell.", ErrorKind.INVALID, column
        ) from error


def _category(row: _Row, listed: Mapping[str, Category]) -> str | None:
    category, declared = row.row["category"].casefold(), listed.get(row.condition)
    if category and category not in get_args(Category):
        raise DataError(
            f"{row.at('category')}: {row.row['category']!r} is none; write {', '.join(get_args(Category))}, "
            "or leave it blank.",
            ErrorKind.INVALID,
            "category",
        )
    if category and declared and category != declared:
        raise DataError(
            f"{row.at('category')}: the condition {row.condition} is known, and its category is {declared}; leave it "
            "blank, or rename the condition.",
            ErrorKind.CONFLICT,
            "category",
        )
    return category or declared


def _refuse_doubles(cases: Sequence[Case], rows: Sequence[_Row]) -> None:
    lines: dict[str, int] = {}
    for case, row in zip(cases, rows, strict=True):
        if case.id in lines:
            known = f"{case.id} is the case of line {lines[case.id]} already"
            raise DataError(f"{row.at('id')}: {known}; give each row an id of its own.", ErrorKind.CONFLICT, "id")
        lines[case.id] = row.row.line
