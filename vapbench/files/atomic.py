"""Files that are whole or absent: atomic replacement, and hashes of content."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shlex
import stat
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from vapbench.files.text import encodable

log = logging.getLogger(__name__)

TEMPORARY = ".partial-"
"""Prefix of a file that is still being written; whoever owns the folder may delete it."""

_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
)
# What common file systems take: bytes of one name, characters of a path.
_LONGEST_NAME, _LONGEST_PATH = 255, 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORTH_REMEMBERING = 16 << 20
_PIECE = 1 << 16
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it replaces ``path``, on failure it is removed.

    The file and its folder are synced, so after a crash ``path`` holds the old content or the new, never a mix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: encoders choose the container by it.
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        yield temporary
        with naming(path), temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Replace ``path`` by ``text`` (UTF-8), atomically; a lone surrogate becomes its JSON escape, ``\ud800``."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace ``path`` by indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def canonical_json(value: Any) -> str:
    """JSON with one spelling per value: sorted keys, no spaces, no NaN. What every key is a hash of."""
    # Names of files and words of models may hold lone surrogates, which UTF-8 does not.
    return encodable(_CANONICAL.encode(value))


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of ``value``, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: Path | str) -> str:
    """SHA-256 of the file's bytes, 64 hexadecimal digits."""
    content = hashlib.sha256()
    # No file object: a run of a hundred thousand small videos would wait for those longer than for the disk.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        while piece := os.read(handle, _PIECE):
            content.update(piece)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        os.close(handle)
    return content.hexdigest()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of a failing disk say which file they are about: reads, writes and syncs do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def content_sha256(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names; remembered between runs for unchanged files.

    Checkpoints have tens of gigabytes: a hash is kept in the cache folder for as long as path, size, inode and
    modification time stay what they were. Files of a Hugging Face snapshot are named by their hash already.
    """
    if path.is_dir():
        named = {item.relative_to(path): item for item in sorted(path.rglob("*")) if item.is_file()}
        # Hidden files and folders are bookkeeping of whoever downloaded or looked, with times in them.
        seen = {name: item for name, item in named.items() if not any(part.startswith(".") for part in name.parts)}
        return digest({name.as_posix(): content_sha256(item) for name, item in seen.items()})
    real = path.resolve()
    if real.parent.name == "blobs" and _SHA256.fullmatch(real.name):
        return real.name
    if path.stat().st_size < _WORTH_REMEMBERING:
        return file_sha256(path)
    return _remembered_sha256(real)


def _remembered_sha256(path: Path) -> str:
    stat = path.stat()
    known = cache_folder() / "hashes" / f"{digest([str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino])}.txt"
    if known.is_file() and _SHA256.fullmatch(text := known.read_text(encoding="ascii")):
        return text
    sha256 = file_sha256(path)
    try:
        write_text(known, sha256)
    except OSError:
        # A cache that cannot be written costs time, nothing else.
        return sha256
    return sha256


def check_inside(text: str) -> str:
    """Return a relative path that stays inside its folder, in POSIX spelling.

    Raises:
        ValueError: it is empty, absolute, leaves the folder, holds control characters, or is no name on some system.
    """
    path = PurePosixPath(text.strip().replace("\\", "/"))
    if not path.name:
        raise ValueError("an empty path")
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or path.parts[0].startswith("~"):
        raise ValueError(f"{_cut(text)} is not a path inside the folder")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text.strip()):
        raise ValueError(f"{_cut(text)} holds control characters")
    if any(is_reserved(part) for part in path.parts):
        raise ValueError(f"{_cut(text)} is the name of a device on some systems")
    if len(text) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in path.parts):
        raise ValueError(f"{_cut(text)} is longer than a path can be")
    return str(path)


def is_reserved(name: str) -> bool:
    """Whether a file of that name would be a device on Windows, whatever follows its first dot."""
    return name.partition(".")[0].rstrip().upper() in _DEVICES


def _cut(text: str) -> str:
    return repr(text if len(text) <= 200 else f"{text[:200]}…")


def expand(path: str | os.PathLike[str]) -> Path:
    """A path with ``~`` as a shell takes it: a name nobody has is a name like any other."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def quoted(path: Path) -> str:
    """A path as a shell takes it, in commands that are printed to be copied."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def cache_folder() -> Path:
    """Where downloads and derived files are written: :func:`chosen_cache`, or else a temporary folder, with a note."""
    chosen = chosen_cache()
    if not _can_be_written(chosen):
        chosen = _temporary_home() / ".cache" / "vapbench"
    if str(chosen).startswith(str(Path(tempfile.gettempdir()) / _TEMPORARY_HOME)):
        _note_temporary(chosen)
    return chosen


def chosen_cache() -> Path:
    """Where the user wants caches: ``$VAPBENCH_CACHE``, else ``vapbench`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if override := os.environ.get("VAPBENCH_CACHE"):
        return expand(override).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (expand(base).absolute() if base else home_folder() / ".cache") / "vapbench"


def home_folder() -> Path:
    """The user's home. Where there is none, as in many containers, ``HOME`` is set to a temporary folder.

    So every library that asks finds the same.
    """
    try:
        return Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(_temporary_home())
        return Path.home()


@cache
def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


_USER = getattr(os, "getuid", int)()
_TEMPORARY_HOME = f"vapbench-{_USER}"


@cache
def _temporary_home() -> Path:
    folder = Path(tempfile.gettempdir()) / _TEMPORARY_HOME
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # Anybody may write to the system's temporary folder: what is not ours alone is not used.
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != _USER or found.st_mode & 0o022:
        folder = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY_HOME}-"))
    return folder


@cache
def _note_temporary(folder: Path) -> None:
    log.warning(
        "There is no cache folder that can be written: downloads and derived files are kept in %s. "
        "Set XDG_CACHE_HOME (and VAPBENCH_WEIGHTS for weights) to a folder that stays.",
        folder,
    )


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to disk: only then is a new file, or a rename, durable."""
    # Windows cannot open a folder, and needs no sync.
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
