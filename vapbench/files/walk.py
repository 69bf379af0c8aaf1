"""Files below a folder that people keep: any spelling of names and suffixes, links followed, loops not.

What systems and programs leave behind (``.DS_Store``, ``._x.mp4``, ``Thumbs.db``) is hidden: counted, never taken.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from vapbench.files.atomic import check_inside

_LEFT_BEHIND = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"})


@dataclass(frozen=True)
class Walked:
    """What lies below a folder."""

    files: tuple[Path, ...]
    """Files, folder by folder; a link to nothing is one as well."""
    hidden: tuple[Path, ...]
    """Hidden files and folders; what lies in a hidden folder is not looked at."""
    closed: tuple[Path, ...]
    """Folders that may not be read."""


def walk(folder: Path) -> Walked:
    """Every file below ``folder``, in the order of names.

    Links to folders are followed, each folder once and by its own name before any link to it; a link to a folder that
    the link lies in is a loop, and is not.
    """
    files: list[Path] = []
    hidden: list[Path] = []
    closed: list[Path] = []
    seen = {folder.resolve()}

    def refused(error: OSError) -> None:
        closed.append(Path(error.filename))

    for root, folders, names in os.walk(folder, followlinks=True, onerror=refused):
        here = Path(root)
        real = here.resolve()
        entered = []
        for name in sorted(folders, key=lambda name: (Path(root, name).is_symlink(), name)):
            path = here / name
            if is_hidden(name):
                hidden.append(path)
                continue
            target = path.resolve()
            if target not in seen and not real.is_relative_to(target):
                seen.add(target)
                entered.append(name)
        folders[:] = entered
        for name in sorted(names):
            (hidden if is_hidden(name) else files).append(here / name)
    return Walked(tuple(files), tuple(hidden), tuple(closed))


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a system leaves everywhere."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def find_inside(folder: Path, text: str) -> Path:
    """The file, or folder of frames, in ``folder`` that a table written by people names.

    A path may be absolute if it leads into the folder. Letters may be composed otherwise than on disk (macOS), or
    differ in case, where only one file can be meant.

    Raises:
        ValueError: the path leads out of the folder, or is none (:func:`vapbench.files.atomic.check_inside`).
        FileNotFoundError: there is no such file; the error's ``filename`` is the path.
    """
    path = folder
    for part in Path(check_inside(_relative(folder, text))).parts:
        path = _entry(path, part)
    if not path.exists():
        raise FileNotFoundError(2, "no such file", str(path))
    return path


def _relative(folder: Path, text: str) -> str:
    path = Path(text.strip())
    if "\0" in text or not path.is_absolute():
        return text
    real = folder.resolve()
    ways = ((path, folder), (path, real), (path.parent.resolve() / path.name, real))
    return next((way.relative_to(base).as_posix() for way, base in ways if way.is_relative_to(base)), text)


def _entry(folder: Path, name: str) -> Path:
    exact = folder / name
    if os.path.lexists(exact) or not folder.is_dir():
        return exact
    alike = [entry for entry in folder.iterdir() if folded(entry.name) == folded(name)]
    return alike[0] if len(alike) == 1 else exact


def folded(name: str) -> str:
    """A name without what people and systems do not tell apart: composition of letters, and their case."""
    return unicodedata.normalize("NFC", name).casefold()
