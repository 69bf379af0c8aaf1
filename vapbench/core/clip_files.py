"""Which of somebody's files are clips: their bytes say so, and where those say nothing, their names."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from vapbench.core.containers import IMAGES, SUFFIXES, first_bytes, is_animated, is_still, kind_of
from vapbench.core.images import IMAGE_SUFFIXES, frame_files, unlike
from vapbench.files.walk import Walked, walk

VIDEO_SUFFIXES = SUFFIXES | {".m4v", ".qt", ".3gp", ".3g2", ".apng"}
"""What videos are called, in lower case; WebP and PNG are videos where they are animated."""

_MOV_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide"})
# Containers of videos, and by their names none.
_SOUNDS = frozenset({".m4a", ".m4b", ".mka", ".mks", ".weba"})


@dataclass(frozen=True)
class ClipFiles:
    """The clips below a folder."""

    walked: Walked
    """Everything there."""
    videos: tuple[Path, ...]
    """Files that are called videos, damaged ones included, and animated pictures."""
    unnamed: tuple[Path, ...]
    """Files that are videos by their bytes and are called something else."""
    frames: tuple[Path, ...]
    """Folders of several pictures and no video; not the folder itself."""


def find_clips(folder: Path) -> ClipFiles:
    """Look at every file below a folder (:func:`vapbench.files.walk.walk`)."""
    walked = walk(folder)
    clips = [path for path in walked.files if is_clip(path)]
    videos = tuple(path for path in clips if path.suffix.lower() in VIDEO_SUFFIXES)
    pictures: defaultdict[Path, int] = defaultdict(int)
    for path in walked.files:
        pictures[path.parent] += path.suffix.lower() in IMAGE_SUFFIXES
    busy = {folder, *(path.parent for path in clips)}
    return ClipFiles(
        walked,
        videos,
        tuple(path for path in clips if path.suffix.lower() not in VIDEO_SUFFIXES),
        tuple(path for path, count in pictures.items() if count > 1 and path not in busy),
    )


def is_clip(path: Path) -> bool:
    """Whether a file is a video: by its bytes or, where they say nothing, by its name. A picture at rest is none."""
    suffix = path.suffix.lower()
    named = suffix in VIDEO_SUFFIXES and suffix != ".png"
    if not path.is_file() or not os.access(path, os.R_OK):
        return named
    kind = kind_of(path)
    if kind in ("png", "webp") and is_animated(path):
        return True
    if kind in IMAGES:
        return named and suffix not in IMAGE_SUFFIXES
    known = kind != "mov" or (first_bytes(path)[4:8] in _MOV_BOXES and not is_still(path))
    return named or (known and suffix not in _SOUNDS)


def is_numbered(folder: Path) -> bool:
    """Whether the pictures of a folder differ in a number alone, as frames of a clip do."""
    files = frame_files(folder)
    return bool(files) and any(map(str.isdigit, files[0].stem)) and unlike(files) is None
