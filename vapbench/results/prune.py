"""What a run folder holds that nothing reads any more, and how to be rid of it, or of the whole run.

Nothing is removed from a run that another process is writing: its lock is taken first.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vapbench.errors import ErrorKind, UsageError
from vapbench.files.atomic import TEMPORARY, atomic_path
from vapbench.files.journal import unseal
from vapbench.files.lock import RunLock, refuse_if_written
from vapbench.files.text import counted
from vapbench.results.run import RunFolder


@dataclass(frozen=True)
class Waste:
    """Something that may go."""

    path: Path
    what: str
    """Why: ``12 superseded rows``, ``video of no row``, ``results set aside``, ``partial file``."""
    bytes: int


def waste_of(folder: RunFolder) -> list[Waste]:
    """What of a run, and of what was set aside for it, nothing reads any more. Writes nothing.

    Superseded are generations that a later row of their case and seed replaced, and scores that a later row of their
    key replaced, or that are of another video than the current one. Lines that cannot be read stay.

    Raises:
        DataError: it is no run folder, or is damaged.
    """
    folder.manifest()
    found = []
    for path, keep in _row_files(folder):
        stale = [line for line, kept in _judged(path, keep) if not kept]
        if stale:
            found.append(Waste(path, counted(len(stale), "superseded row"), sum(map(len, stale))))
    used = {row.video for row in folder.current() if row.status == "ok"}
    videos = [path for path in _inside(folder.videos) if path.name not in used and not _is_partial(path)]
    found += [Waste(path, "video of no row", size_of(path)) for path in videos]
    found += [
        Waste(path, "partial file", size_of(path))
        for path in sorted(folder.path.rglob(f"{TEMPORARY}*"))
        if path.is_file()
    ]
    found += [Waste(path, "results set aside", size_of(path)) for path in _set_aside(folder)]
    broken_off = [path for path in sorted(folder.path.parent.glob(f"{TEMPORARY}*")) if path.is_dir()]
    return found + [Waste(path, "removal that was broken off", size_of(path)) for path in broken_off]


def prune(folder: RunFolder) -> list[Waste]:
    """Remove what :func:`waste_of` finds, rows before videos, and return it.

    Raises:
        DataError: another process is writing the run or what was set aside for it, or it is damaged.
    """
    with RunLock(folder.path):
        found = waste_of(folder)
        for item in found:
            if item.path.is_dir():
                refuse_if_written(item.path)
        row_files = dict(_row_files(folder))
        for path, keep in row_files.items():
            judged = _judged(path, keep)
            if not all(kept for _, kept in judged):
                with atomic_path(path) as temporary:
                    temporary.write_bytes(b"".join(line for line, kept in judged if kept))
        for item in found:
            if _is_partial(item.path) and item.path.is_dir():
                shutil.rmtree(item.path)
            elif item.path.is_dir():
                remove_run(RunFolder(item.path))
            elif item.path not in row_files:
                item.path.unlink(missing_ok=True)
    return found


def remove_run(folder: RunFolder) -> None:
    """Remove a run folder with everything in it; it is out of sight before its first file goes.

    Raises:
        DataError: it is no run folder, or another process is writing it.
        UsageError: it is a link.
    """
    folder.manifest()
    if folder.path.is_symlink():
        raise UsageError(
            f"{folder.path} is a link; remove the folder it leads to: {folder.path.resolve()}",
            ErrorKind.CONFLICT,
            "run",
        )
    gone = folder.path.with_name(f"{TEMPORARY}{os.getpid()}-{folder.path.name}")
    with RunLock(folder.path):
        folder.path.rename(gone)
        # Without a manifest it is no run: a removal that is broken off leaves none behind.
        (gone / "manifest.json").unlink()
    shutil.rmtree(gone)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return path.lstat().st_size
    return sum(each.lstat().st_size for each in path.rglob("*") if not each.is_dir())


Keep = Callable[[list[Mapping[str, Any] | None]], list[bool]]


def _row_files(folder: RunFolder) -> Iterator[tuple[Path, Keep]]:
    """Files of rows, each with what says which of its rows count."""
    videos = {(row.case, row.seed): row.sha256 for row in folder.current() if row.status == "ok"}
    if folder.generations_path.is_file():
        yield folder.generations_path, lambda rows: _last(rows, lambda row: (row["case"], row["seed"]))

    def of_current_videos(rows: list[Mapping[str, Any] | None]) -> list[bool]:
        last = _last(rows, lambda row: row["key"])
        current = [row is None or videos.get((row["case"], row["seed"])) == row.get("video_sha256") for row in rows]
        return [one and other for one, other in zip(last, current, strict=True)]

    for column in folder.columns():
        yield folder.scores_path(column), of_current_videos


def _last(rows: list[Mapping[str, Any] | None], name: Callable[[Mapping[str, Any]], Hashable]) -> list[bool]:
    """Whether each row is the last of its name; what cannot be read is kept."""
    place = {name(row): index for index, row in enumerate(rows) if row is not None}
    return [row is None or place[name(row)] == index for index, row in enumerate(rows)]


def _judged(path: Path, keep: Keep) -> list[tuple[bytes, bool]]:
    """Lines of a file, and whether each counts."""
    lines = path.read_bytes().splitlines(keepends=True)
    return list(zip(lines, keep([_parsed(line) for line in lines]), strict=True))


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    try:
        row = unseal(line)
    except (ValueError, RecursionError):
        return None
    named = isinstance(row.get("key"), str) and isinstance(row.get("case"), str) and isinstance(row.get("seed"), int)
    return row if named else None


def _inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _is_partial(path: Path) -> bool:
    return path.name.startswith(TEMPORARY)


def _set_aside(folder: RunFolder) -> list[Path]:
    """Folders that ``--refresh all`` moved out of the run's way."""
    name = folder.path.name
    siblings = folder.path.resolve().parent.glob(f"{glob.escape(name)}.before-*")
    return sorted(
        folder.path.parent / path.name
        for path in siblings
        if re.fullmatch(r"\d+", path.name.removeprefix(f"{name}.before-")) and (path / "manifest.json").is_file()
    )
