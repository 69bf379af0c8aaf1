"""Names, kinds and sizes of a submission's files: looked at before anything in them is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vapbench.core.case import check_name
from vapbench.core.containers import SUFFIXES, suffix_of
from vapbench.results.manifest import is_video_name

LIMITS = {".json": 4 << 20, ".jsonl": 64 << 20, ".md": 1 << 20, **dict.fromkeys(SUFFIXES, 256 << 20)}
"""Suffixes a submission may hold, with the most bytes of one file."""
_PARTS = "submission.json, manifest.json, generations.jsonl, scores/*.jsonl, videos/ and notes in *.md are"
MOST_BYTES = 16 << 30
MOST_FILES = 20_000
_DEEPEST = 2

_ARCHIVES = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"7z\xbc\xaf",
    b"Rar!",
)


def file_problems(folder: Path) -> Iterator[str]:
    """Names, kinds and sizes, without opening more than the first bytes of a file."""
    total = count = 0
    for root, folders, files in os.walk(folder, followlinks=False):
        here = Path(root)
        depth = len(here.relative_to(folder).parts)
        for name in sorted([*folders, *files]):
            path = here / name
            shown = repr(path.relative_to(folder).as_posix())
            try:
                # A video's name holds its case's, which may be as long as a name can be.
                check_name(name[:160] if Path(name).suffix in SUFFIXES and is_video_name(name) else name)
            except ValueError as error:
                yield f"{shown}: {error}; a name must not be able to mean anything else on another machine"
                continue
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield f"{shown} is a symbolic link, which may lead outside the submission; put the file itself there"
            elif stat.S_ISDIR(mode):
                if depth + 1 >= _DEEPEST or name not in ("videos", "scores"):
                    yield f"{shown}: only the folders videos/ and scores/ belong to a submission"
            elif not stat.S_ISREG(mode):
                yield f"{shown} is no regular file"
            elif not _belongs(path, folder):
                yield f"{shown} is no part of a submission: {_PARTS}"
            else:
                count, total = count + 1, total + path.lstat().st_size
                yield from _content_problems(path, shown)
        folders[:] = [name for name in folders if not (here / name).is_symlink() and depth + 1 < _DEEPEST]
        if count > MOST_FILES or total > MOST_BYTES:
            yield f"more than {MOST_FILES:,} files or {MOST_BYTES >> 30} GiB; submit fewer seeds or smaller videos"
            return


def _belongs(path: Path, folder: Path) -> bool:
    """Whether the format has such a file; what has a wrong suffix is told so elsewhere."""
    place, suffix = path.parent.relative_to(folder).as_posix(), path.suffix
    if suffix not in LIMITS:
        return True
    if place == ".":
        return path.name in ("submission.json", "manifest.json") or suffix in (".jsonl", ".md")
    return suffix == ".jsonl" if place == "scores" else suffix in SUFFIXES


def _content_problems(path: Path, shown: str) -> Iterator[str]:
    most, size = LIMITS.get(path.suffix), path.lstat().st_size
    with path.open("rb") as handle:
        head = handle.read(512)
    if head.startswith(_ARCHIVES):
        yield f"{shown} is an archive: archives are never unpacked (they may expand without end); put the files there"
    elif most is None:
        yield f"{shown}: a submission holds {', '.join(sorted(LIMITS))} alone"
    elif size > most:
        yield f"{shown} has {size >> 20:,} MiB, more than the {most >> 20} MiB of its kind"
    elif path.suffix not in SUFFIXES and b"\0" in head:
        yield f"{shown} is no text: rows and notes are UTF-8"
    elif path.suffix in SUFFIXES and suffix_of(path) != path.suffix:
        yield f"{shown} is no {path.suffix[1:].upper()} file, whatever its name says"
