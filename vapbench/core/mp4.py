"""What an MP4 header makes a reader allocate, read from its boxes (ISO/IEC 14496-12) before a decoder sees the file.

FFmpeg turns the sample tables of a header into an index of 24 bytes a sample while it opens the file. A table whose
samples share one size stores no more than their number, so that 15 KB of header can ask for gigabytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vapbench.errors import DataError

MOST_HEADER_BYTES = 64 << 20
"""Of all boxes but media data and padding."""
MOST_SAMPLES = 10_000_000
"""Over all tracks; uncompressed sound counts each sample."""
MOST_EDITS = 1000
"""Of edit lists: each may repeat the whole index."""
_MOST_BOXES = 100_000

_MEDIA, _PADDING = b"mdat", (b"free", b"skip")
# Boxes are looked for anywhere in the header rather than where the standard puts them: FFmpeg takes them anywhere.
_TABLES = re.compile(b"stsz|stz2|trun|elst|cmov")
# Bytes between a table's name and its number of entries.
_COUNT_AT = {b"stsz": 8, b"stz2": 8, b"trun": 4, b"elst": 4}


def check_header(path: Path) -> None:
    """Refuse an MP4 or MOV file whose header would make a reader allocate out of proportion.

    What is no such file, or is damaged, passes: the decoder says so better.

    Raises:
        DataError: the tables claim more samples than the file has bytes or than are read, the header is larger than
            is read, or it is compressed.
    """
    size = path.stat().st_size
    samples = edits = 0
    with path.open("rb") as handle:
        for header in _headers(path, handle, size):
            for found in _TABLES.finditer(header):
                name = found[0]
                if name == b"cmov":
                    raise DataError(f"{path}: its header is compressed, which is not read; write it again.")
                at = found.end() + _COUNT_AT[name]
                count = int.from_bytes(header[at : at + 4], "big")
                samples, edits = samples + count * (name != b"elst"), edits + count * (name == b"elst")
    if samples > min(size, MOST_SAMPLES):
        raise DataError(
            f"{path}: its header claims {samples:,} samples in {size:,} bytes, more than a file holds "
            f"or than are read ({MOST_SAMPLES:,}); fetch or write it again."
        )
    if edits > MOST_EDITS:
        raise DataError(
            f"{path}: its header claims {edits:,} edits, more than the {MOST_EDITS:,} that are read; write it again."
        )


def _headers(path: Path, handle: IO[bytes], size: int) -> Iterator[bytes]:
    """Contents of the outermost boxes that may describe media."""
    start = total = 0
    for _ in range(_MOST_BOXES):
        handle.seek(start)
        head = handle.read(16)
        if len(head) < 8:
            return
        length, kind, skip = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, skip = int.from_bytes(head[8:16], "big"), 16
        # 0 means up to the end; less than its own header is damage, and then everything left is looked through.
        end = size if length < skip else start + length
        if kind in _PADDING and head[12:16] not in (b"mvhd", b"cmov"):
            pass
        elif kind != _MEDIA or 0 < length < skip:
            total += min(end, size) - start
            if total > MOST_HEADER_BYTES:
                raise DataError(
                    f"{path}: its header is larger than the {MOST_HEADER_BYTES >> 20} MiB that are read; "
                    "write it again."
                )
            handle.seek(start)
            yield handle.read(min(end, size) - start)
        start = end
    raise DataError(f"{path}: its header has more than {_MOST_BOXES:,} boxes; write it again.")
