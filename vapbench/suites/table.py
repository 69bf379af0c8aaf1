"""Tables that describe a suite's cases, as spreadsheets, scripts and shells write them.

Separators, byte-order marks, the order and capitals of columns, and columns of somebody's own do not matter. Paths are
relative, and lead to files inside the data.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from vapbench.core.case import Media
from vapbench.core.images import is_media
from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import check_inside, digest
from vapbench.files.parsing import read_csv

_POINTER = b"version https://git-lfs.github.com/spec/"
_LARGEST_POINTER = 1024
_LONGEST, _LONGEST_STEM = 160, 150


@dataclass(frozen=True)
class TableRow:
    """One row, its cells by column without space around them; ``""`` for a blank cell or an absent column."""

    where: str
    """File and line, for messages."""
    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "").strip()


@dataclass(frozen=True)
class Table:
    """A table that was read."""

    columns: tuple[str, ...]
    """Names in lower case, spaces and hyphens as underscores."""
    rows: tuple[TableRow, ...]
    """Without those that are blank."""


def read_table(path: Path, required: Sequence[str]) -> Table:
    """Read a table that has at least the ``required`` columns.

    Raises:
        DataError: it is no table, lacks a column, or a row ends before a required one.
    """
    if is_pointer(path):
        raise DataError(
            f"{path}: a Git LFS pointer, not the table itself; fetch it with: git lfs pull",
            ErrorKind.MISSING,
            path.name,
        )
    header, rows = read_csv(path)
    if not header:
        raise DataError(
            f"{path}: the file is empty; write a header and a row per case, or fetch it again.",
            ErrorKind.MISSING,
            path.name,
        )
    names = {column: _plain(column) for column in header if column.strip()}
    if twice := sorted({name for name in names.values() if list(names.values()).count(name) > 1}):
        raise DataError(
            f"{path}: the column {twice[0]} is there twice; remove or rename one.", ErrorKind.CONFLICT, twice[0]
        )
    if missing := [column for column in required if column not in names.values()]:
        raise DataError(
            f"{path}: no column {', '.join(missing)} (found: {', '.join(header)}); fetch it again.",
            ErrorKind.MISSING,
            missing[0],
        )
    return Table(
        tuple(names.values()), tuple(_row(path, line, row, names, required) for line, row in rows if any(row.values()))
    )


def _row(
    path: Path, line: int, row: Mapping[str, str | None], names: Mapping[str, str], required: Sequence[str]
) -> TableRow:
    where = f"{path}:{line}"
    cells = {names[column]: cell for column, cell in row.items() if column in names and cell is not None}
    if short := [column for column in required if column not in cells]:
        raise DataError(f"{where}: the row ends before {short[0]}; complete it.", ErrorKind.DAMAGED, short[0])
    return TableRow(where, line, cells)


def _plain(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().strip("\ufeff").casefold())


def is_pointer(path: Path) -> bool:
    """Whether a file is what Git keeps in place of a large file that was not fetched."""
    if path.stat().st_size > _LARGEST_POINTER:
        return False
    with path.open("rb") as handle:
        return handle.read(len(_POINTER)) == _POINTER


class MissingMedia(DataError):
    """Files that tables name are not there; ``lines`` says of each which, and where it is named."""

    kind = ErrorKind.MISSING

    def __init__(self, lines: Collection[str]) -> None:
        self.lines = tuple(lines)
        first, count = self.lines[0], len(self.lines)
        super().__init__(
            first if count == 1 else f"{first} So it is with {count} files; to see each: vapbench data verify"
        )


class MediaFinder:
    """Finds the files that tables name, and keeps account of those that are not there."""

    def __init__(self, folder: Path, bases: Sequence[Path] = ()) -> None:
        """Look in ``folder``, and before that in the ``bases`` that paths may be relative to, in their order."""
        self.folder = folder
        self.bases = tuple(dict.fromkeys([*bases, folder]))
        self.moved: dict[str, Path] = {}
        """Path as written -> where it was found instead, for files that lie in another folder than the table says."""
        self._missing: dict[str, str] = {}

    def inside(self, where: str, text: str) -> str:
        """Return a path as tables write it, relative to the data and in POSIX spelling.

        Raises:
            DataError: it leads out of the data.
        """
        for base in self.bases:
            # Whoever wrote absolute paths wrote them on this machine, or they lead elsewhere.
            if Path(text).is_absolute() and Path(text).is_relative_to(base.absolute()):
                text = Path(text).relative_to(base.absolute()).as_posix()
        try:
            return check_inside(text)
        except ValueError as error:
            raise DataError(
                f"{where}: {error}; write it relative to the data folder, without '..'.", ErrorKind.INVALID, "path"
            ) from error

    def find(self, where: str, path: str) -> Media:
        """The file of a path that :meth:`inside` returned; :meth:`refuse_missing` tells of one that is not there.

        Raises:
            DataError: several files in other folders fit the path.
        """
        found = self.locate(where, path)
        problem = ""
        if found is None:
            problem = f"is not below {self.folder}; fetch the videos, or correct the row."
        elif found.is_file() and is_pointer(found):
            problem = "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull"
        if problem:
            self._missing.setdefault(path, f"{where}: {path} {problem}")
        return Media(path=found or self.folder / path)

    def locate(self, where: str, path: str) -> Path | None:
        """The same file, or None."""
        if here := next((full for base in self.bases if is_media(full := base / path)), None):
            return here
        if path not in self.moved and (found := self._elsewhere(where, path)):
            self.moved[path] = found
        return self.moved.get(path)

    def _elsewhere(self, where: str, path: str) -> Path | None:
        """The one file whose path ends as this one does: by the whole, or else by two parts at least."""
        parts = PurePosixPath(path).parts
        alike = self._by_name.get(parts[-1], [])
        for length in range(len(parts), min(2, len(parts)) - 1, -1):
            fitting = [file for file in alike if file.parts[-length:] == parts[-length:]]
            if len(fitting) > 1:
                raise DataError(
                    f"{where}: {path} is not there, and both {fitting[0]} and {fitting[1]} may be meant; "
                    "correct the row.",
                    ErrorKind.CONFLICT,
                    "path",
                )
            if fitting:
                return fitting[0]
        return None

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        files: dict[str, list[Path]] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                files.setdefault(path.name, []).append(path)
        return files

    def refuse_missing(self) -> None:
        """End with one sentence if a file was not found.

        Raises:
            MissingMedia: it says which, and how many.
        """
        if self._missing:
            raise MissingMedia(self._missing.values())


def identifiers(parts: Sequence[Sequence[str]], files: Sequence[Sequence[str]]) -> list[str]:
    """Names for cases: their parts joined by ``--``.

    Args:
        parts: of each case, any texts.
        files: of each case, the paths that tell it from others. Where they differ and the names do not, the names end
            in eight digits of them, and so do names too long for a case.

    Returns:
        A name per case; equal ones where the files are equal too.
    """
    names = [identifier(*each) for each in parts]
    named: dict[str, set[tuple[str, ...]]] = {}
    for name, paths in zip(names, files, strict=True):
        named.setdefault(name, set()).add(tuple(paths))
    return [
        f"{name[:_LONGEST_STEM]}--{digest(list(paths))[:8]}" if len(named[name]) > 1 or len(name) > _LONGEST else name
        for name, paths in zip(names, files, strict=True)
    ]


def identifier(*parts: str) -> str:
    """Texts as one name: what no name of a case holds becomes ``-``."""
    return "--".join(re.sub(r"[^A-Za-z0-9._-]+", "-", part) for part in parts)
