"""Matroska and WebM, element by element (RFC 9559): where a file ends, and whether a demuxer would drop a block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vapbench.errors import DataError, ErrorKind

_SEGMENT, _CLUSTER, _TRACKS, _TRACK, _TRACK_NUMBER = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0xD7
_SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0xA3, 0xA0, 0xA1
# Time, blocks, groups of them, and what may stand beside.
_IN_CLUSTER = frozenset({0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0xEC, 0xBF, 0x5854, 0xAF})
_MOST_PARTS = 100_000
_MOST_CHILDREN = 1000


def end_of_elements(path: Path, handle: IO[bytes], size: int) -> int:
    """Of Matroska; a segment or cluster without a size (a live stream) ends where its last element does.

    Clusters are looked into: a demuxer steps over what it does not understand, and the frames in it are lost.

    Returns:
        A place beyond ``size`` where something is missing.

    Raises:
        DataError: it has more elements than are read.
    """
    at = cluster = 0
    segment = None
    tracks: set[int] = set()
    for _ in range(_MOST_PARTS):
        if at >= (size if segment is None else min(segment, size)):
            return max(at, segment or 0)
        handle.seek(at)
        name, length, at = _element(handle.read(12), at)
        if name is None:
            # Neither is an element: the end of a header that was cut, or damage.
            return size + 1 if cluster else size
        end = size if length is None else at + length
        if name == _SEGMENT:
            segment = None if length is None else end
        elif name == _TRACKS:
            tracks, at = _track_numbers(handle, at, end), end
        elif name == _CLUSTER:
            cluster = end
        elif at <= cluster and (name in _IN_CLUSTER or cluster < size):
            if name not in _IN_CLUSTER or end > cluster or _is_of_no_track(handle, name, at, end, tracks):
                return size + 1
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


def _track_numbers(handle: IO[bytes], at: int, end: int) -> set[int]:
    found = set()
    for track, start, stop in _children(handle, at, end):
        for name, first, last in _children(handle, start, stop) if track == _TRACK else ():
            if name == _TRACK_NUMBER:
                handle.seek(first)
                found.add(int.from_bytes(handle.read(min(last - first, 8)), "big"))
    return found


def _is_of_no_track(handle: IO[bytes], name: int, at: int, end: int, tracks: set[int]) -> bool:
    """Whether an element of a cluster is a block of a track that the file does not have: a demuxer drops it."""
    if name == _BLOCK_GROUP:
        at = next((start for inner, start, _ in _children(handle, at, end) if inner == _BLOCK), 0)
    elif name != _SIMPLE_BLOCK:
        return False
    handle.seek(at)
    head = handle.read(8)
    wide = 9 - head[0].bit_length() if at and head else 9
    return bool(tracks) and int.from_bytes(head[:wide], "big") & ((1 << 7 * wide) - 1) not in tracks


def _element(head: bytes, at: int) -> tuple[int | None, int | None, int]:
    """Name and length (None if open) of the element whose first bytes are given, and where its contents start."""
    identity = 9 - head[0].bit_length()
    wide = 9 - head[identity].bit_length() if identity <= 4 and len(head) > identity else 9
    if wide > 8 or len(head) < identity + wide:
        return None, None, at
    length = int.from_bytes(head[identity : identity + wide], "big") & ((1 << 7 * wide) - 1)
    name = int.from_bytes(head[:identity], "big")
    return name, None if length == (1 << 7 * wide) - 1 else length, at + identity + wide
