"""The part of a stored frame that is shown, where a container says so.

MP4 and MOV have a clean aperture (``clap``, ISO/IEC 14496-12, section 12.1.4), Matroska four numbers of pixels. What
the video stream itself leaves out, its decoder does.
"""

from __future__ import annotations

from pathlib import Path

from vapbench.core.containers import Kind, header_boxes
from vapbench.core.matroska import read_elements

Crop = tuple[int, int, int, int]
"""Pixels that are not shown: left, top, right, bottom."""
NO_CROP: Crop = (0, 0, 0, 0)

_FIELDS = 86
"""Bytes of an entry of video before its boxes."""


def stated_crop(path: Path, kind: Kind, stream: int, width: int, height: int) -> Crop:
    """The crop of one stream.

    Args:
        path: the file.
        kind: its kind.
        stream: FFmpeg's number.
        width: of a stored frame.
        height: of a stored frame.

    Returns:
        The crop; none where the file states none, or one that leaves nothing.
    """
    crop = NO_CROP
    if kind == "matroska":
        with path.open("rb") as handle:
            tracks = read_elements(path, handle, path.stat().st_size).tracks
        crop = tracks[stream].crop if stream < len(tracks) else NO_CROP
    elif kind == "mov":
        entries = [body for name, body in header_boxes(path) if name == b"stsd"]
        crop = _aperture(entries[stream], width, height) if stream < len(entries) else NO_CROP
    left, top, right, bottom = crop
    return crop if min(crop) >= 0 and left + right < width and top + bottom < height else NO_CROP


def _aperture(entries: bytes, width: int, height: int) -> Crop:
    """From ``clap``: width, height, and the distances of its centre from the frame's, each as a fraction."""
    body = entries[8:]
    length, at = int.from_bytes(body[:4], "big"), _FIELDS
    while at + 8 <= min(length, len(body)):
        size, name = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 8]
        if name == b"clap" and size == 40:
            words = [int.from_bytes(body[n : n + 4], "big", signed=True) for n in range(at + 8, at + 40, 4)]
            if not all(words[1::2]):
                return NO_CROP
            shown_x, shown_y, right, down = (words[n] / words[n + 1] for n in range(0, 8, 2))
            left, top = round((width - shown_x) / 2 + right), round((height - shown_y) / 2 + down)
            return left, top, width - left - round(shown_x), height - top - round(shown_y)
        if size < 8:
            break
        at += size
    return NO_CROP
