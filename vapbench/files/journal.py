"""Append-only files of JSON lines that survive kills, full disks and failing ones.

A line is written by one call, synced, and either whole or not there. It ends with a checksum of itself, so that a
number that changed on disk is noticed rather than averaged.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vapbench.files.atomic import canonical_json, naming, sync_folder
from vapbench.files.parsing import parse_json

_MARK = b',"crc":"'
_ENDING = len(_MARK) + 8 + len(b'"}')


def seal(values: Mapping[str, Any]) -> bytes:
    """One line: canonical JSON, with the CRC-32 of what stands before it as its last field."""
    text = canonical_json(values).encode()
    return b'%s,"crc":"%08x"}\n' % (text[:-1], zlib.crc32(text))


def unseal(line: bytes) -> dict[str, Any]:
    """Parse a line. Lines without a checksum, from before there was one, are taken as they are.

    Raises:
        ValueError: it is no JSON object, or not the one that was written.
    """
    values = parse_json(line)
    if not isinstance(values, dict):
        raise ValueError("no object")
    expected = values.pop("crc", None)
    if expected is not None and not _holds(line.rstrip(b"\n")) and expected != f"{_crc(canonical_json(values)):08x}":
        raise ValueError("its checksum is another")
    return values


def intact(content: bytes) -> bool:
    """Whether the checksum of every line that has one is right, as the line is spelled."""
    # Of a million lines no copies: the checksum of each is taken where it stands.
    view, start = memoryview(content), 0
    # What stands behind the last line break is no line.
    while (end := content.find(b"\n", start)) >= 0:
        own = zlib.crc32(b"}", zlib.crc32(view[start : end - _ENDING]))
        if content[end - _ENDING : end] != b',"crc":"%08x"}' % own and b'"crc"' in content[start:end]:
            return False
        start = end + 1
    return True


def _holds(line: bytes) -> bool:
    """Whether a line, without its end, ends with its own checksum."""
    if line[-_ENDING:-10] != _MARK:
        return False
    return b"%08x" % zlib.crc32(b"}", zlib.crc32(line[:-_ENDING])) == line[-10:-2]


def _crc(text: str) -> int:
    # A line that another tool has spelled anew: what counts are its values.
    return zlib.crc32(text.encode())


class Journal:
    """One file, open for appending."""

    def __init__(self, path: Path) -> None:
        """Open or create the file, and cut off a torn last line."""
        path.parent.mkdir(parents=True, exist_ok=True)
        created = not path.exists()
        self._path = path
        # Without a buffer: a line reaches the file by one write, also where others append (O_APPEND).
        self._handle = path.open("ab+", buffering=0)
        self._cut_torn_line()
        if created:
            sync_folder(path.parent)

    def append(self, line: bytes) -> None:
        """Add a line; when this returns, it is on disk.

        Raises:
            OSError: it could not be written or synced; then it is not in the file either.
        """
        before = self._handle.seek(0, os.SEEK_END)
        try:
            with naming(self._path):
                rest = memoryview(line)
                while rest:
                    rest = rest[self._handle.write(rest) :]
                os.fsync(self._handle.fileno())
        except OSError:
            with suppress(OSError):
                self._handle.truncate(before)
            raise

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def _cut_torn_line(self) -> None:
        handle = self._handle
        size = handle.seek(0, os.SEEK_END)
        whole, window = size, 1 << 16
        while whole:
            start = max(0, size - window)
            handle.seek(start)
            newline = handle.read(size - start).rfind(b"\n")
            if newline >= 0 or start == 0:
                whole = start + newline + 1
                break
            window *= 4
        if whole < size:
            handle.truncate(whole)
