"""A run folder, read: its manifest, rows and videos; :mod:`vapbench.results.writer` writes it.

    runs/<suite>/<method>[~<params8>]/
      manifest.json            identity (another one is refused), planned cases, sessions
      generations.jsonl        one row per generation
      scores/<metric>.jsonl    one row per score
      videos/<case>__s<seed>__<key8>.mp4   or the suffix of the video that was given

The last row of a key wins; a torn last line, and one whose checksum is wrong, was never written. A row and its video
are trusted only together: the file's hash must be the row's.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import TEMPORARY, file_sha256
from vapbench.files.faults import unusable
from vapbench.files.parsing import parse_json, read_text
from vapbench.files.text import counted, some
from vapbench.files.walk import is_hidden, walk
from vapbench.results.keys import column_slug
from vapbench.results.manifest import Manifest, is_video_name
from vapbench.results.rows import (
    SCHEMA,
    GenerationRow,
    ScoreRow,
    last_of_each_key,
    read_rows,
    row_pieces,
)

_MOMENT_NS = 2 * 10**9
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFolder:
    """One ``runs/<suite>/<method>`` folder, for reading.

    Manifest and generations are parsed once and kept until their file changes: a reader may ask as often as it likes,
    also while somebody writes. Scores, of which there may be millions, are read each time.
    """

    path: Path
    _kept: dict[Path | str, tuple[object, Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def manifest_path(self) -> Path:
        """``manifest.json``: what the run is."""
        return self.path / "manifest.json"

    @property
    def generations_path(self) -> Path:
        """``generations.jsonl``."""
        return self.path / "generations.jsonl"

    @property
    def videos(self) -> Path:
        """Folder of generated videos."""
        return self.path / "videos"

    def scores_path(self, column: str) -> Path:
        """Rows of one metric column (see :func:`column_slug`)."""
        return self.path / "scores" / f"{column}.jsonl"

    def manifest(self) -> Manifest:
        """What ``manifest.json`` holds now.

        Raises:
            DataError: it is absent, damaged or of another schema.
        """
        return self._until_changed(self.manifest_path, self._read_manifest)

    def _read_manifest(self) -> Manifest:
        try:
            value = parse_json(read_text(self.manifest_path))
            schema = value.get("schema", SCHEMA) if isinstance(value, dict) else SCHEMA
            if schema != SCHEMA:
                raise DataError(
                    f"{self.manifest_path} has schema {schema!r:.40}, this version reads {SCHEMA}; "
                    "use the version that wrote it, or write elsewhere with --results DIR.",
                    ErrorKind.CONFLICT,
                    "schema",
                )
            return Manifest.of(value)
        except FileNotFoundError:
            raise DataError(
                f"{self.path} is no run folder (no manifest.json); see: vapbench list runs",
                ErrorKind.MISSING,
                "manifest.json",
            ) from None
        except ValidationError as error:
            raise unusable(self.manifest_path, error, "; restore it.") from error
        except ValueError as error:
            raise unusable(self.manifest_path, error, "; restore it, or delete it.") from error

    def generations(self) -> dict[str, GenerationRow]:
        """Last row of every key, in the order they were written."""
        return last_of_each_key(self._generation_rows())

    def current(self, light: bool = False) -> list[GenerationRow]:
        """The row that counts for every case and seed: the last one written.

        ``light`` is as in :func:`vapbench.results.rows.read_rows`; such rows are read each time.
        """
        written = read_rows(self.generations_path, GenerationRow, light) if light else self._generation_rows()
        rows = {(row.case, row.seed): row for row in written}
        if len(rows) < len(written):
            rows = {}
            for row in written:
                rows.pop((row.case, row.seed), None)
                rows[row.case, row.seed] = row
        return list(rows.values())

    def _generation_rows(self) -> list[GenerationRow]:
        path = self.generations_path
        return self._until_changed(path, lambda: read_rows(path, GenerationRow))

    def _until_changed(self, path: Path, read: Callable[[], T]) -> T:
        """What was read from a file, if it is the same file still."""
        # Asked before reading: what is written meanwhile is read the next time. Rows are appended, and a manifest is
        # replaced by another file, so no change leaves all three as they were.
        try:
            state = _state(path.stat())
        except OSError:
            return read()
        if path not in self._kept or self._kept[path][0] != state:
            self._kept[path] = state, read()
        kept: T = self._kept[path][1]
        return kept

    def columns(self) -> list[str]:
        """Slugs of the metric columns that have rows."""
        files = (self.path / "scores").glob("*.jsonl")
        return sorted(path.stem for path in files if not path.name.startswith(TEMPORARY))

    def scores(self, column: str, light: bool = False) -> dict[str, ScoreRow]:
        """Last row of every key of one metric column, in the order they were written.

        ``light`` is as in :func:`vapbench.results.rows.read_rows`.
        Rows of another column are reported and left out: they are a copy that somebody kept beside the file it is of.
        """
        (rows,) = self._of_column(column, [read_rows(self.scores_path(column), ScoreRow, light)])
        return last_of_each_key(rows)

    def score_pieces(self, column: str) -> Iterator[list[ScoreRow]]:
        """As :meth:`scores`, light, some hundred rows at a time, and every row of a key."""
        return self._of_column(column, row_pieces(self.scores_path(column), ScoreRow, light=True))

    def _of_column(self, column: str, pieces: Iterable[list[ScoreRow]]) -> Iterator[list[ScoreRow]]:
        others = 0
        for rows in pieces:
            own = _of_column(rows, column)
            others += len(rows) - len(own)
            yield own
        if others:
            log.warning(
                "%s: %s of another column left out; remove the file, or name it after its column.",
                *(self.scores_path(column), counted(others, "row")),
            )

    def video_of(self, row: GenerationRow) -> Path | None:
        """The row's video if the row is ok and the file is the one it was; otherwise None."""
        return self.videos / str(row.video) if self.has_video(row) else None

    def has_video(self, row: GenerationRow) -> bool:
        """Whether :meth:`video_of` has an answer. A file is hashed again only where it has changed since."""
        # Rows may come from elsewhere: a name is a name, and no way out of the folder.
        if row.status != "ok" or row.video is None or not is_video_name(row.video):
            return False
        # Text: to take a hundred thousand paths apart took a fifth of resuming.
        path = f"{self._place}/videos/{row.video}"
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            return False
        if not stat.S_ISREG(status.st_mode):
            return False
        state = _state(status)
        if path in self._kept and self._kept[path][0] == state:
            return bool(self._kept[path][1] == row.sha256)
        sha256 = file_sha256(path)
        # A file that was written a moment ago may be written again without another time.
        if time.time_ns() - status.st_mtime_ns > _MOMENT_NS:
            self._kept[path] = state, sha256
        return sha256 == row.sha256

    @cached_property
    def _place(self) -> str:
        return str(self.path)


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def is_run(target: Path) -> bool:
    """Whether a folder is a run rather than a folder of videos: other programs write a ``manifest.json`` as well."""
    folder = RunFolder(target)
    if not folder.manifest_path.is_file():
        return False
    if folder.generations_path.exists():
        return True
    try:
        folder.manifest()
    except DataError:
        return False
    return True


def runs_below(places: Sequence[Path], suite: str = "*", named: str | None = None) -> list[RunFolder]:
    """Runs of results folders, sorted within each; of two that have one suite and name, that of the first folder.

    Hidden folders are not looked into.

    Args:
        places: results folders.
        suite: folder of one suite, or ``*``.
        named: the one name that the caller looks for; others are not told of.
    """
    found: dict[tuple[str, str], Path] = {}
    hidden: list[Path] = []
    for place in places:
        for path in sorted(manifest.parent for manifest in place.glob(f"{suite}/*/manifest.json")):
            if is_hidden(path.name) or is_hidden(path.parent.name):
                continue
            if found.setdefault((path.parent.name, path.name), path) is not path and named in (None, path.name):
                hidden.append(path)
    if hidden:
        log.warning(
            "Not shown: %s. Runs of the same name in %s stand for them; to see one, name its folder.",
            some(hidden),
            places[0],
        )
    return [RunFolder(path) for path in found.values()]


def runs_within(folders: Iterable[Path]) -> list[RunFolder]:
    """Runs at any depth of folders, links followed, each once, sorted within each folder. Hidden ones are left out."""
    manifests = [path for folder in folders for path in sorted(walk(folder).files) if path.name == "manifest.json"]
    # Two paths may lead to one run.
    return [RunFolder(path.parent) for path in {path.resolve(): path for path in manifests}.values()]


def readable(folders: Iterable[RunFolder]) -> list[RunFolder]:
    """The run folders whose manifest can be read; a line tells of each of the others."""
    kept = []
    for folder in folders:
        try:
            folder.manifest()
        except DataError as error:
            log.warning("Left out: %s", error)
        else:
            kept.append(folder)
    return kept


def _of_column(rows: Sequence[ScoreRow], column: str) -> list[ScoreRow]:
    own, last, fits = [], None, False
    for row in rows:
        if last is None or row.metric != last.metric or row.params != last.params:
            last, fits = row, column_slug(row.metric, row.params) == column
        if fits:
            own.append(row)
    return own
