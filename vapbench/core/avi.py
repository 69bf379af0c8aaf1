"""RIFF, chunk by chunk: where an AVI or WebP file ends, and how many frames the index of an AVI file lists."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import IO

_ENTRY = 16
"""Bytes of an entry of ``idx1``: name of the chunk, flags, place, size."""
_LARGEST_INDEX = 64 << 20
_MOST_CHUNKS = 1000


def end_of_riff(path: Path, handle: IO[bytes], size: int) -> int:
    """Where the file says it ends; an AVI file may go on in further chunks of its kind."""
    at = 0
    while at + 12 <= size:
        handle.seek(at)
        head = handle.read(12)
        length = int.from_bytes(head[4:8], "little")
        # A writer that cannot go back leaves the length open.
        if head[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):
            break
        at += 8 + length
        if at == size:
            break
        at += length % 2
    return at


def frames_indexed(path: Path) -> dict[int, int]:
    """By stream, the chunks of pictures that the index lists and that hold something.

    A demuxer steps over a chunk whose head is damaged, and the frame in it is lost. Where there is no index, nothing
    is known. A file of several gigabytes has one for its beginning.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        at = 12
        for _ in range(_MOST_CHUNKS):
            handle.seek(at)
            head = handle.read(8)
            length = int.from_bytes(head[4:8], "little")
            if len(head) < 8 or at + 8 + length > size:
                return {}
            if head[:4] == b"idx1":
                return _counted(handle.read(min(length, _LARGEST_INDEX)))
            at += 8 + length + length % 2
    return {}


def _counted(index: bytes) -> dict[int, int]:
    found: Counter[int] = Counter()
    for at in range(0, len(index) - _ENTRY + 1, _ENTRY):
        number, kind = index[at : at + 2], index[at + 2 : at + 4]
        if kind in (b"dc", b"db") and number.isdigit() and any(index[at + 12 : at + 16]):
            found[int(number)] += 1
    return dict(found)
