"""Matroska and WebM, element by element (RFC 9559): where a file ends, and what it says it holds."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from vapbench.errors import DataError, ErrorKind

_SEGMENT, _CLUSTER, _INFO, _SCALE, _DURATION = 0x18538067, 0x1F43B675, 0x1549A966, 0x2AD7B1, 0x4489
_TRACKS, _TRACK, _TRACK_NUMBER, _TRACK_TYPE, _VIDEO = 0x1654AE6B, 0xAE, 0xD7, 0x83, 0xE0
_STREAMS = (1, 2, 0x11, 0x21)
"""Types of tracks that FFmpeg makes streams of: video, sound, subtitles, metadata."""
_CROPS = (0x54CC, 0x54BB, 0x54DD, 0x54AA)
"""Pixels that are not shown: left, top, right, bottom."""
_SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0xA3, 0xA0, 0xA1
# Time, blocks, groups of them, and what may stand beside.
_IN_CLUSTER = frozenset({0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0xEC, 0xBF, 0x5854, 0xAF})
_MOST_PARTS = 100_000
_MOST_CHILDREN = 1000
_LONGEST_NUMBER = 8


class Track(NamedTuple):
    """What is read of a track."""

    number: int
    kind: int
    crop: tuple[int, int, int, int]
    """Pixels that are not shown: left, top, right, bottom."""


@dataclass
class Elements:
    """What the elements of a file say."""

    end: int = 0
    """Where it ends; a place beyond its size where something is missing."""
    is_open: bool = False
    """Whether the segment or a cluster has no size, as in a live stream."""
    seconds: float | None = None
    """How long it is, where it says so."""
    tracks: list[Track] = field(default_factory=list)
    """Those that FFmpeg makes streams of, in their order."""
    blocks: Counter[int] = field(default_factory=Counter)
    """By the track's number."""

    @property
    def packets(self) -> dict[int, int]:
        """Blocks by FFmpeg's number of the stream."""
        return {stream: self.blocks[track.number] for stream, track in enumerate(self.tracks)}


def read_elements(path: Path, handle: IO[bytes], size: int) -> Elements:
    """Read what a file's elements say; a segment or cluster without a size ends where its last element does.

    Clusters are looked into: a demuxer steps over what it does not understand, and the frames in it are lost.

    Raises:
        DataError: it has more elements than are read.
    """
    found = Elements()
    at = cluster = 0
    segment = None
    known: set[int] = set()
    for _ in range(_MOST_PARTS):
        if at >= (size if segment is None else min(segment, size)):
            found.end = max(at, segment or 0)
            return found
        handle.seek(at)
        name, length, at = _element(handle.read(12), at)
        if name is None:
            # Neither is an element: the end of a header that was cut, or damage.
            found.end = size + 1 if cluster else size
            return found
        end = size if length is None else at + length
        if name in (_SEGMENT, _CLUSTER):
            found.is_open |= length is None
        if name == _SEGMENT:
            segment = None if length is None else end
        elif name == _INFO:
            found.seconds, at = _seconds(handle, at, end, size), end
        elif name == _TRACKS:
            tracks, at = list(_tracks(handle, at, end)), end
            known = {track.number for track in tracks}
            found.tracks = [track for track in tracks if track.kind in _STREAMS]
        elif name == _CLUSTER:
            cluster = end
        elif at <= cluster and (name in _IN_CLUSTER or cluster < size):
            number = _track_of_block(handle, name, at, end)
            # A demuxer drops a block of a track that the file does not have.
            if name not in _IN_CLUSTER or end > cluster or (number is not None and known and number not in known):
                found.end = size + 1
                return found
            found.blocks.update([] if number is None else [number])
            at = end
        else:
            at = end
    raise DataError(f"{path}: it has more than {_MOST_PARTS:,} elements; write it again.", ErrorKind.LIMIT, "elements")


def _children(handle: IO[bytes], at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Elements within one of Matroska, as far as they are read: name, and where the contents start and end."""
    for _ in range(_MOST_CHILDREN):
        handle.seek(at)
        head = handle.read(12) if at < end else b""
        name, length, at = _element(head, at) if head else (None, None, at)
        if name is None or length is None:
            return
        yield name, at, at + length
        at += length


def _numbers(handle: IO[bytes], at: int, end: int) -> dict[int, int]:
    """Elements of at most eight bytes within one, as whole numbers."""
    found = {}
    for name, start, stop in _children(handle, at, end):
        if stop - start <= _LONGEST_NUMBER:
            handle.seek(start)
            found[name] = int.from_bytes(handle.read(stop - start), "big")
    return found


def _tracks(handle: IO[bytes], at: int, end: int) -> Iterator[Track]:
    for name, start, stop in _children(handle, at, end):
        if name != _TRACK:
            continue
        numbers = _numbers(handle, start, stop)
        video = next((inner for inner in _children(handle, start, stop) if inner[0] == _VIDEO), None)
        sides = _numbers(handle, *video[1:]) if video else {}
        left, top, right, bottom = (sides.get(side, 0) for side in _CROPS)
        yield Track(numbers.get(_TRACK_NUMBER, 0), numbers.get(_TRACK_TYPE, 0), (left, top, right, bottom))


def _seconds(handle: IO[bytes], at: int, end: int, size: int) -> float | None:
    """Of a segment's information: a count of ticks as a float, and how many nanoseconds a tick has."""
    scale, ticks = 1_000_000, 0.0
    for name, start, stop in _children(handle, at, end):
        handle.seek(start)
        if name == _SCALE and stop - start <= _LONGEST_NUMBER:
            scale = int.from_bytes(handle.read(stop - start), "big")
        elif name == _DURATION and stop - start in (4, 8):
            content = handle.read(stop - start)
            (ticks,) = struct.unpack(">f" if len(content) == 4 else ">d", content) if stop <= size else (0.0,)
    return ticks * scale / 1e9 if 0 < ticks < math.inf else None


def _track_of_block(handle: IO[bytes], name: int, at: int, end: int) -> int | None:
    """The number of the track of which an element of a cluster is a block; None of other elements."""
    if name == _BLOCK_GROUP:
        at = next((start for inner, start, _ in _children(handle, at, end) if inner == _BLOCK), 0)
    elif name != _SIMPLE_BLOCK:
        return None
    handle.seek(at)
    head = handle.read(8)
    wide = 9 - head[0].bit_length() if at and head else 9
    return int.from_bytes(head[:wide], "big") & ((1 << 7 * wide) - 1)


def _element(head: bytes, at: int) -> tuple[int | None, int | None, int]:
    """Name and length (None if open) of the element whose first bytes are given, and where its contents start."""
    identity = 9 - head[0].bit_length()
    wide = 9 - head[identity].bit_length() if identity <= 4 and len(head) > identity else 9
    if wide > 8 or len(head) < identity + wide:
        return None, None, at
    length = int.from_bytes(head[identity : identity + wide], "big") & ((1 << 7 * wide) - 1)
    name = int.from_bytes(head[:identity], "big")
    return name, None if length == (1 << 7 * wide) - 1 else length, at + identity + wide
