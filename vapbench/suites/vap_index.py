"""``vap_data.csv``: what is known of every video of VAP-Data.

Published tables have flaws. One in a row that no case uses costs that row, and is counted; one that a case depends on
ends the reading with file and line.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from vapbench.errors import DataError, ErrorKind
from vapbench.files.parsing import parse_json
from vapbench.files.text import counted, some
from vapbench.suites.table import MediaFinder, TableRow, read_table

log = logging.getLogger(__name__)

_PLAIN = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)*", re.ASCII)
"""A path that is as it should be, to be looked up as it stands."""
VALID = "_valid"
"""Optional column: 0 or less where the data set's authors found the video unusable."""
_COLUMNS = (
    "video_paths",
    "ref_video_paths",
    "tar_video_caption",
    "kind",
    "split",
    "reference_alignment_score",
)


@dataclass(frozen=True)
class ListedVideo:
    """A row of ``vap_data.csv``; its cells are read when they are asked for."""

    row: TableRow
    finder: MediaFinder

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return self.row.where

    @cached_property
    def key(self) -> str:
        """The path to look the video up by; empty where it leads out of the data."""
        text = self.row["video_paths"]
        # A hundred thousand rows are looked up, and few of them used: only those are checked with care.
        if _PLAIN.fullmatch(text):
            return text
        try:
            return self.path
        except DataError:
            return ""

    @cached_property
    def path(self) -> str:
        """Of the video, relative to the data.

        Raises:
            DataError: it leads out of the data.
        """
        return self.finder.inside(self.where, self.row["video_paths"])

    @property
    def caption(self) -> str:
        """Of the video."""
        return self.row["tar_video_caption"]

    @property
    def kind(self) -> str:
        """The condition."""
        return self.row["kind"]

    @property
    def trains(self) -> bool:
        """Whether it is in the train split.

        Raises:
            DataError: the split is blank.
        """
        if not self.row["split"]:
            raise DataError(
                f"{self.where}: split is blank; write train or test, or a leak could not be told.",
                ErrorKind.MISSING,
                "split",
            )
        return self.row["split"].casefold().startswith("train")

    @cached_property
    def references(self) -> tuple[str, ...]:
        """Videos of the same condition, relative to the data.

        Raises:
            DataError: they are no JSON list of paths inside the data.
        """
        text = self.row["ref_video_paths"]
        try:
            value = parse_json(text) if text else []
        except ValueError as error:
            raise DataError(
                f"{self.where}: ref_video_paths is not a JSON list ({error}); correct the row.",
                ErrorKind.INVALID,
                "ref_video_paths",
            ) from error
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise DataError(
                f"{self.where}: ref_video_paths must be a JSON list of paths; correct the row.",
                ErrorKind.INVALID,
                "ref_video_paths",
            )
        return tuple(self.finder.inside(self.where, item) for item in value)

    @property
    def alignment(self) -> float | None:
        """How well the video shows what its references show; None where it is blank.

        Raises:
            DataError: it is no number.
        """
        return _number(self.row, "reference_alignment_score")

    @property
    def valid(self) -> bool:
        """Whether it may be used, by the column ``_valid``; one without a value may.

        Raises:
            DataError: the value is neither a number, true nor false.
        """
        return is_valid(self.row)

    def flaw(self) -> str:
        """What is wrong with the row, in a few words; empty if nothing is."""
        blank = [column for column in ("split", "reference_alignment_score") if not self.row[column]]
        if blank:
            return f"with a blank {blank[0]}"
        try:
            _ = self.alignment, self.valid
        except DataError:
            return "with a cell that cannot be read"
        return "" if self.key else "with a path out of the data"


def is_valid(row: TableRow) -> bool:
    """Whether a row of any table may be used, by its column ``_valid``."""
    text = row[VALID].casefold()
    if text in ("", "true", "false"):
        return text != "false"
    value = _number(row, VALID)
    return value is None or value > 0


class VideoIndex:
    """The videos of ``vap_data.csv``, or of no file where there is none."""

    def __init__(self, path: Path | None, finder: MediaFinder) -> None:
        """Read the table.

        Raises:
            DataError: it is no table, or lacks a column.
        """
        self.path = path
        table = read_table(path, _COLUMNS) if path else None
        self._rows = [ListedVideo(row, finder) for row in (table.rows if table else ())]
        self._finder = finder

    def find(self, path: str, where: str) -> ListedVideo | None:
        """The row of a video by its path in any table; None if it is not listed.

        Raises:
            DataError: the row is doubled, and its doubles differ in split or kind.
        """
        rows = self._by_path.get(path) or self._by_path.get(self._place(path, where)) or self._alike(path)
        return self.one_of(rows, ("split", "kind")) if rows else None

    def videos(self) -> Iterator[Sequence[ListedVideo]]:
        """The rows of each video, mostly one, in the file's order; rows without a usable path are left out."""
        yield from self._by_path.values()

    def one_of(self, rows: Sequence[ListedVideo], columns: Collection[str] = _COLUMNS) -> ListedVideo:
        """The one row that several of a video are.

        Raises:
            DataError: they differ in one of ``columns``.
        """
        first = rows[0]
        for other in rows[1:]:
            if differing := [column for column in columns if other.row[column] != first.row[column]]:
                raise DataError(
                    f"{other.where}: {other.path} is listed already in line {first.row.line}, with another "
                    f"{differing[0]}; remove one.",
                    ErrorKind.CONFLICT,
                    differing[0],
                )
        return first

    def report(self) -> None:
        """Say which rows have flaws. What a case depends on was refused: these are passed over."""
        doubled = {row.row.line for rows in self._by_path.values() for row in rows[1:]}
        flaws: dict[str, list[int]] = {}
        for row in self._rows:
            if flaw := "listed twice" if row.row.line in doubled else row.flaw():
                flaws.setdefault(flaw, []).append(row.row.line)
        if flaws:
            said = [f"{len(at)} {flaw} (line {some(at)})" for flaw, at in flaws.items()]
            log.warning(
                "%s: %s with flaws that no case depends on passed over: %s.",
                *(self.path, counted(sum(map(len, flaws.values())), "row"), "; ".join(said)),
            )

    @cached_property
    def _by_path(self) -> dict[str, list[ListedVideo]]:
        found: dict[str, list[ListedVideo]] = {}
        for row in self._rows:
            if row.key:
                found.setdefault(row.key, []).append(row)
        return found

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._by_path:
            found.setdefault(PurePosixPath(path).name, []).append(path)
        return found

    def _place(self, path: str, where: str) -> str:
        """Where the video lies, relative to the data."""
        file = self._finder.locate(where, path) if self._rows else None
        inside = file is not None and file.is_relative_to(self._finder.folder)
        return file.relative_to(self._finder.folder).as_posix() if file and inside else path

    def _alike(self, path: str) -> list[ListedVideo]:
        """Rows of the one path that is the other's end, by two parts at least: each table may begin elsewhere."""
        ours = PurePosixPath(path).parts
        fitting = []
        for other in self._by_name.get(ours[-1], []):
            theirs = PurePosixPath(other).parts
            length = min(len(ours), len(theirs))
            if length > 1 and ours[-length:] == theirs[-length:]:
                fitting.append(other)
        return self._by_path[fitting[0]] if len(fitting) == 1 else []


def _number(row: TableRow, column: str) -> float | None:
    if not row[column]:
        return None
    try:
        return float(row[column])
    except ValueError:
        raise DataError(
            f"{row.where}: {column} is {row[column]!r}, not a number; correct the row.", ErrorKind.INVALID, column
        ) from None
