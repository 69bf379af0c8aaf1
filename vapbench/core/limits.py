"""How much one video or image may ask for, checked before memory is spent on it.

A file of a few kilobytes can claim a billion frames or a picture of a terabyte, and a decoder believes it. The limits
stand far above what methods make and suites hold (49 frames of 720x480, a few seconds), and are constants: whoever
works above them changes them here, for everybody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from vapbench.errors import DataError, ErrorKind
from vapbench.files.text import counted

MOST_PIXELS = 4096 * 2304
"""Of one frame of a video."""
MOST_FRAMES = 4096
"""Of one video."""
MOST_SECONDS = 600.0
"""Of one video."""
MOST_DECODED_BYTES = 4 << 30
"""Of one video's frames as RGB: 49 frames of the largest size, or ten minutes of a small one."""
MOST_IMAGE_PIXELS = 64 << 20
"""Of one image."""


@dataclass(frozen=True)
class Claims:
    """What a container says of its video, before anything is decoded."""

    frames: int
    """0 if it does not say."""
    fps: float
    """Frames per second; 0 if it does not say."""
    width: int
    height: int
    seconds: float | None
    """None if it does not say."""


def check_claims(path: Path, claims: Claims) -> None:
    """Refuse a video whose header cannot be true, or asks for more than the limits.

    Raises:
        DataError: one sentence that names the file and the limit.
    """
    if not (claims.fps > 0 and math.isfinite(claims.fps)):
        raise DataError(
            f"{path}: its header gives no frame rate; re-encode it at a constant rate.", ErrorKind.INVALID, "fps"
        )
    if claims.frames < 0 or min(claims.width, claims.height) < 1:
        raise DataError(
            f"{path}: its header gives no size or count that can be ({counted(claims.frames, 'frame')} of "
            f"{claims.width}x{claims.height}); fetch or write it again.",
            ErrorKind.INVALID,
            "size",
        )
    if claims.seconds is not None and not claims.seconds >= 0:
        raise DataError(
            f"{path}: its header claims {claims.seconds} seconds; fetch or write it again.",
            ErrorKind.INVALID,
            "seconds",
        )
    check_pixels(path, claims.width, claims.height, MOST_PIXELS)
    check_frames(path, claims.frames)
    seconds = max(claims.seconds or 0.0, claims.frames / claims.fps)
    if seconds > MOST_SECONDS:
        raise DataError(
            f"{path}: its header claims {seconds:,.0f} seconds, more than the {MOST_SECONDS:,.0f} that are read; "
            "cut it, or drop the case.",
            ErrorKind.LIMIT,
            "seconds",
        )


def check_pixels(path: Path, width: int, height: int, most: int) -> None:
    """Refuse a picture of more than ``most`` pixels.

    Raises:
        DataError: one sentence that names the file and the limit.
    """
    if width * height > most:
        raise DataError(
            f"{path}: {width}x{height} is more than the {most:,} pixels that are read; scale it down, or drop the "
            "case.",
            ErrorKind.LIMIT,
            "pixels",
        )


def check_frames(path: Path, frames: int) -> None:
    """Refuse a video of more frames than are read.

    Raises:
        DataError: one sentence that names the file and the limit.
    """
    if frames > MOST_FRAMES:
        raise DataError(
            f"{path}: {frames:,} frames are more than the {MOST_FRAMES:,} that are read; cut it, or drop the case.",
            ErrorKind.LIMIT,
            "frames",
        )


@dataclass
class ByteBudget:
    """What decoding one video has cost so far: headers lie, so the limits hold for the frames themselves as well."""

    path: Path
    frames: int = 0
    decoded: int = 0
    """Bytes of RGB."""

    def spend(self, width: int, height: int) -> None:
        """Account for a frame, before it is turned into RGB.

        Raises:
            DataError: the video has more frames, larger ones or more bytes than are read.
        """
        check_pixels(self.path, width, height, MOST_PIXELS)
        self.frames += 1
        check_frames(self.path, self.frames)
        self.decoded += 3 * width * height
        if self.decoded > MOST_DECODED_BYTES:
            raise DataError(
                f"{self.path}: its first {counted(self.frames, 'frame')} of {width}x{height} take more than the "
                f"{MOST_DECODED_BYTES >> 30} GiB that are read of a video; cut or scale it down, or drop the case.",
                ErrorKind.LIMIT,
                "bytes",
            )
