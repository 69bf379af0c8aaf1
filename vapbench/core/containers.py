"""What a file is by its bytes, and whether all of it is there, read from its structure before a decoder sees it.

Every container says where it ends: boxes of MP4 (ISO/IEC 14496-12), elements of Matroska (RFC 9559), chunks of RIFF and
PNG, blocks of GIF. A decoder plays what is left of a cut file and reports nothing.

MP4's tables of samples are also counted: FFmpeg turns them into an index of 24 bytes a sample while it opens the file,
and a table whose samples share one size stores no more than their number, so that 15 KB can ask for gigabytes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from vapbench.core.avi import end_of_riff, frames_indexed
from vapbench.core.matroska import read_elements
from vapbench.errors import DataError, ErrorKind

MOST_HEADER_BYTES = 64 << 20
"""Of all boxes of an MP4 file that hold other boxes."""
MOST_SAMPLES = 10_000_000
"""Over all tracks; uncompressed sound counts each sample."""
MOST_EDITS = 1000
"""Of edit lists: each may repeat the whole index."""
_MOST_PARTS = 100_000
_DEEPEST = 12
"""FFmpeg goes less deep."""

Kind = Literal["mov", "matroska", "avi", "gif", "webp", "png", "jpeg", "bmp"]
"""FFmpeg's name of the container, or the kind of image."""
SUFFIXES = frozenset({".mp4", ".mov", ".webm", ".mkv", ".avi", ".gif", ".webp", ".png"})
"""Of videos by their bytes; see :func:`suffix_of`."""
IMAGES: frozenset[Kind] = frozenset({"webp", "png", "jpeg", "bmp"})
"""Read by Pillow; the first two may be animated."""

# Boxes that FFmpeg looks into, wherever they stand.
_PARENTS = frozenset(
    b"moov trak mdia minf stbl moof traf mvex edts udta dinf meta ilst tref wave hoov iprp ipco".split()
)
# Of stray bytes behind the last box, none is one of these.
_OUTERMOST = frozenset(b"ftyp styp moov moof mdat mfra sidx free skip wide uuid meta".split())
_TABLES = re.compile(b"stsz|stz2|trun|elst|cmov")
# Bytes between a table's name and its number of entries.
_COUNT_AT = {b"stsz": 8, b"stz2": 8, b"trun": 4, b"elst": 4}

_STILL_BRANDS = frozenset({b"avif", b"heic", b"heix", b"mif1"})


def first_bytes(path: Path) -> bytes:
    """The first 64 bytes of a file, or as many as it has."""
    with path.open("rb") as handle:
        return handle.read(64)


def kind_of(path: Path) -> Kind:
    """The kind of a file, by its first bytes; MP4 and its kin have none of their own, so what is unknown is "mov"."""
    head = first_bytes(path)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith(b"RIFF") and head[8:12] in (b"AVI ", b"WEBP"):
        return "avi" if head[8:12] == b"AVI " else "webp"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    return "bmp" if head.startswith(b"BM") else "mov"


def suffix_of(path: Path) -> str:
    """The suffix that fits a video's bytes, whatever it is called.

    Returns:
        One of :data:`SUFFIXES`; ``.jpeg`` or ``.bmp`` for a still.
    """
    kind, head = kind_of(path), first_bytes(path)
    if kind == "mov":
        return ".mp4" if head[4:8] == b"ftyp" and head[8:12] != b"qt  " else ".mov"
    if kind == "matroska":
        return ".webm" if b"\x42\x82\x84webm" in head else ".mkv"
    return f".{kind}"


def is_still(path: Path) -> bool:
    """Whether an MP4-like file is one picture: AVIF or HEIC."""
    head = first_bytes(path)
    return head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS


def is_animated(path: Path) -> bool:
    """Whether a WebP or PNG file is an animation (RFC 9649, section 2.7; PNG, third edition, section 11.3.4.1)."""
    with path.open("rb") as handle:
        head = handle.read(21)
        if kind_of(path) == "webp":
            return head[12:16] == b"VP8X" and len(head) == 21 and bool(head[20] & 2)
        at = 8
        for _ in range(_MOST_PARTS):
            handle.seek(at)
            chunk = handle.read(8)
            if len(chunk) < 8 or chunk[4:] in (b"IDAT", b"IEND"):
                return False
            if chunk[4:] == b"acTL":
                return True
            at += 12 + int.from_bytes(chunk[:4], "big")
    return False


def check_whole(path: Path, kind: Kind) -> None:
    """Refuse a file that ends before its structure does.

    Raises:
        DataError: part of the file is missing, or it has more parts than are read.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        end = {
            "mov": _end_of_boxes,
            "matroska": lambda *file: read_elements(*file).end,
            "avi": end_of_riff,
            "webp": _end_of_webp,
            "gif": _end_of_gif,
            "png": _end_of_png,
        }.get(kind, lambda *_: 0)(path, handle, size)
    if end > size:
        raise DataError(
            f"{path}: truncated or damaged: its structure goes on beyond its {size:,} bytes; fetch or write it again.",
            ErrorKind.DAMAGED,
        )


def check_header(path: Path) -> None:
    """Refuse an MP4 or MOV file whose header would make a reader allocate out of proportion.

    What is no such file, or is damaged, passes: the decoder says so better.

    Raises:
        DataError: the tables claim more samples than the file has bytes or than are read, the header is larger than
            is read, or it is compressed.
    """
    size = path.stat().st_size
    samples = edits = total = 0
    with path.open("rb") as handle:
        for name, start, end in _boxes(path, handle, size):
            if name not in _PARENTS | _COUNT_AT.keys() | {b"cmov", b"stsd"}:
                continue
            total += min(end, size) - start
            if total > MOST_HEADER_BYTES:
                raise DataError(
                    f"{path}: its header is larger than the {MOST_HEADER_BYTES >> 20} MiB that are read; "
                    "write it again.",
                    ErrorKind.LIMIT,
                    "header",
                )
            handle.seek(start)
            for table, entries in _leaves(name, handle.read(min(end, size) - start)):
                if table == b"cmov":
                    raise DataError(
                        f"{path}: its header is compressed, which is not read; write it again.",
                        ErrorKind.INVALID,
                        "header",
                    )
                if table in _COUNT_AT:
                    count = int.from_bytes(entries[_COUNT_AT[table] : _COUNT_AT[table] + 4], "big")
                    samples, edits = samples + count * (table != b"elst"), edits + count * (table == b"elst")
    if samples > min(size, MOST_SAMPLES):
        raise DataError(
            f"{path}: its header claims {samples:,} samples in {size:,} bytes, more than a file holds "
            f"or than are read ({MOST_SAMPLES:,}); fetch or write it again.",
            ErrorKind.LIMIT,
            "samples",
        )
    if edits > MOST_EDITS:
        raise DataError(
            f"{path}: its header claims {edits:,} edits, more than the {MOST_EDITS:,} that are read; write it again.",
            ErrorKind.LIMIT,
            "edits",
        )


@dataclass(frozen=True)
class Stated:
    """What a file says it holds."""

    seconds: float | None = None
    """Of its longest track, where it ends between two parts like any other end; None where it does not say."""
    early: bool = False
    """Whether that was written before the rest, by a recorder or from metadata, so that it may not be so."""
    packets: Mapping[int, int] = field(default_factory=dict)
    """By stream; none where it does not say."""


def stated(path: Path, kind: Kind) -> Stated:
    """What a file whose structure is whole says it holds: demuxers step over what they cannot read."""
    if kind == "mov":
        return Stated(_fragments_seconds(path))
    if kind == "avi":
        return Stated(packets=frames_indexed(path))
    if kind == "matroska":
        with path.open("rb") as handle:
            found = read_elements(path, handle, path.stat().st_size)
        # Where a size is stated, the end is: the last frame may be shown for longer than its block says.
        return Stated(found.seconds if found.is_open else None, early=True, packets=found.packets)
    return Stated()


def _fragments_seconds(path: Path) -> float | None:
    """How long a fragmented MP4 says it is."""
    boxes = dict(header_boxes(path))
    film, fragments = boxes.get(b"mvhd", b""), boxes.get(b"mehd", b"")
    ticks = int.from_bytes(fragments[4:12] if fragments[:1] == b"\x01" else fragments[4:8], "big")
    scale = int.from_bytes(film[20:24] if film[:1] == b"\x01" else film[12:16], "big")
    return ticks / scale if ticks and scale else None


def header_boxes(path: Path) -> list[tuple[bytes, bytes]]:
    """Boxes without boxes of an MP4 file's header, in their order: name and contents."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        for name, start, end in _boxes(path, handle, size):
            if name == b"moov":
                handle.seek(start)
                return list(_leaves(name, handle.read(min(end, size) - start)))
    return []


def _boxes(path: Path, handle: IO[bytes], size: int) -> Iterator[tuple[bytes, int, int]]:
    """Outermost boxes: name, where the contents start, where the box says it ends (perhaps beyond the file)."""
    at = 0
    for _ in range(_MOST_PARTS):
        if at + 8 > size:
            return
        handle.seek(at)
        head = handle.read(16)
        length, name, skip = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, skip = int.from_bytes(head[8:16], "big"), 16
        # FFmpeg takes padding that begins like a header for one.
        if name in (b"free", b"skip") and head[12:16] in (b"mvhd", b"cmov"):
            name = b"moov"
        # 0 means up to the end; less than its own header is damage, and then everything left is looked through.
        end = size if length < skip else at + length
        yield name, at + skip, end
        at = end
    raise DataError(
        f"{path}: its header has more than {_MOST_PARTS:,} boxes; write it again.", ErrorKind.LIMIT, "boxes"
    )


def _leaves(name: bytes, body: bytes, depth: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Boxes without boxes, at any depth: name and contents."""
    if name == b"stsd":
        # Entries begin with fields of their codec, and boxes follow somewhere behind.
        yield from ((found[0], body[found.end() : found.end() + 12]) for found in _TABLES.finditer(body))
    if name not in _PARENTS or depth > _DEEPEST:
        yield name, body
        return
    # Where QuickTime's box of this name holds boxes, MP4's has four bytes before them.
    for first in (0, 4) if name == b"meta" else (0,):
        at = first
        while at + 8 <= len(body):
            length, inner, skip = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 8], 8
            if length == 1:
                length, skip = int.from_bytes(body[at + 8 : at + 16], "big"), 16
            end = len(body) if length < skip else at + length
            yield from _leaves(inner, body[at + skip : end], depth + 1)
            at = end


def _end_of_boxes(path: Path, handle: IO[bytes], size: int) -> int:
    end, names, fragments = 0, [b""], 0
    for name, start, stated in _boxes(path, handle, size):
        handle.seek(start)
        if name not in _OUTERMOST:
            # A fragment under another name, which readers step over.
            if b"mfhd" in handle.read(8):
                return size + 1
            continue
        end, names = max(end, stated), [*names[-1:], name]
        if name == b"moof":
            fragments += 1
            inside = dict(_leaves(name, handle.read(min(stated, size) - start)))
            # Without samples it says so (section 8.8.7), or its boxes are broken.
            if b"trun" not in inside and not inside.get(b"tfhd", b"\0\0")[1] & 1:
                return size + 1
        if name == b"sidx":
            handle.seek(start)
            end = max(end, stated + _indexed(handle.read(min(stated, size) - start)))
    # The data of a fragment stands behind it, and no stray bytes.
    fragment = names[-1] == b"moof" or (names[0] == b"moof" and names[-1] == b"mdat" and 0 < size - end < 8)
    handle.seek(min(end, size))
    # A box whose length is broken hides those behind it.
    hidden = fragments and _holds(handle, b"moof")
    return size + 1 if fragment or hidden else end


def _holds(handle: IO[bytes], word: bytes) -> bool:
    """Whether a word of four bytes stands in the rest of a file, which may be larger than memory."""
    last = b""
    while piece := handle.read(1 << 20):
        if word in last + piece:
            return True
        last = piece[-3:]
    return False


def _indexed(sidx: bytes) -> int:
    """Bytes behind a segment index that it points to."""
    wide = bool(sidx[:1] != b"\x00")
    at = 12 + (16 if wide else 8)
    first = int.from_bytes(sidx[20:28] if wide else sidx[16:20], "big")
    count = int.from_bytes(sidx[at + 2 : at + 4], "big")
    entries = (sidx[at + 4 + 12 * n : at + 8 + 12 * n] for n in range(count))
    return first + sum(int.from_bytes(entry, "big") & 0x7FFFFFFF for entry in entries)


def _end_of_webp(path: Path, handle: IO[bytes], size: int) -> int:
    at = 12
    while at + 8 <= size:
        handle.seek(at)
        head = handle.read(28)
        # A frame's contents in a chunk that is not known, or something else in a frame's: readers step over it, and
        # the frame is lost.
        if (head[:4] == b"ANMF") != (head[24:28] in (b"VP8 ", b"VP8L", b"ALPH")):
            return size + 1
        length = int.from_bytes(head[4:8], "little")
        at += 8 + length + length % 2
    return end_of_riff(path, handle, size)


def _end_of_gif(path: Path, handle: IO[bytes], size: int) -> int:
    def colours(flags: int) -> int:
        return 3 * 2 ** (1 + flags % 8) if flags & 0x80 else 0

    screen = handle.read(13)
    handle.seek(colours(screen[10]) if len(screen) == 13 else 0, 1)
    for _ in range(_MOST_PARTS):
        block = handle.read(1)
        if block == b";":
            return handle.tell()
        if block == b",":
            image = handle.read(9)
            handle.seek(colours(image[8]) + 1 if len(image) == 9 else 0, 1)
        elif block == b"!":
            handle.seek(1, 1)
        else:
            return size + 1
        while length := handle.read(1):
            if length == b"\x00":
                break
            handle.seek(length[0], 1)
    raise DataError(f"{path}: it has more than {_MOST_PARTS:,} blocks; write it again.", ErrorKind.LIMIT, "blocks")


def _end_of_png(path: Path, handle: IO[bytes], size: int) -> int:
    at = 8
    for _ in range(_MOST_PARTS):
        handle.seek(at)
        head = handle.read(8)
        length = int.from_bytes(head[:4], "big")
        at += 12 + length
        if at > size or len(head) < 8:
            return max(at, size + 1)
        if zlib.crc32(handle.read(length), zlib.crc32(head[4:])) != int.from_bytes(handle.read(4), "big"):
            raise DataError(
                f"{path}: damaged: the checksum of a part ({head[4:]!r:.12}) is not that of what it holds; "
                "fetch or write it again.",
                ErrorKind.DAMAGED,
            )
        if head[4:] == b"IEND":
            return at
    raise DataError(f"{path}: it has more than {_MOST_PARTS:,} chunks; write it again.", ErrorKind.LIMIT, "chunks")
