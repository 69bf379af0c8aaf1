"""How a player shows a stored frame: square pixels, turned and mirrored as its header says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vapbench.core.clip import Frames
from vapbench.core.cropping import NO_CROP, Crop

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_HDR = {16: "PQ", 18: "HLG"}
TRANSPARENT = "transparent in parts, where the colours stored beneath are shown"
_STRAIGHT = 0.01
"""Tangent of the largest angle that is no turn: half a degree."""


@dataclass(frozen=True)
class DisplaySize:
    """How a player shows a frame: first with square pixels, then turned."""

    stored: tuple[int, int]
    """Width and height, without what is cropped."""
    crop: Crop
    square: int
    """Width with square pixels; the height stays."""
    aspect: Fraction
    across: bool
    """Whether rows become columns."""
    mirrored: tuple[bool, bool]
    """Up and down, then left and right."""
    unmeant: bool = False
    """Whether the stated aspect would leave nothing of a side, and was passed over."""
    slanted: bool = False
    """Whether the header turns it by an angle between quarter turns."""
    interlaced: bool = False
    transfer: int = 0
    """How light is coded, by ITU-T H.273."""

    @classmethod
    def of(
        cls, frame: VideoFrame, stream: VideoStream, crop: Crop = NO_CROP, before: DisplaySize | None = None
    ) -> DisplaySize:
        """Read it from a frame and its stream.

        Args:
            frame: what is shown.
            stream: whose it is.
            crop: what its container leaves out.
            before: of the frame before: a turn that a message in the video states stands with key frames alone, and
                holds for those after them (ITU-T H.264, D.2.27; H.265, D.3.17).
        """
        width, height = frame.width - crop[0] - crop[2], frame.height - crop[1] - crop[3]
        stated = exact(stream.sample_aspect_ratio) or Fraction(1)
        # FFmpeg's rule: one that leaves no pixel of a side is no aspect.
        aspect = stated if width * stated >= 1 and height / stated >= 1 else Fraction(1)
        square = round(width * aspect)
        if square != width:
            square = max(2, 2 * round(width * aspect / 2))
        side_data: Any = frame.side_data
        matrix = side_data.get("DISPLAYMATRIX")
        if matrix is None and before:
            across, mirrored, slanted = before.across, before.mirrored, before.slanted
        else:
            # Stored at (x, y), shown at (ax + cy, bx + dy): nine numbers, of which a, b, c, d are 0, 1, 3, 4.
            a, b, c, d = map(int, np.frombuffer(matrix, np.int32)[[0, 1, 3, 4]] if matrix else (1, 0, 0, 1))
            along, across_it = abs(a) + abs(d), abs(b) + abs(c)
            across = across_it > along
            mirrored = (b < 0, c < 0) if across else (d < 0, a < 0)
            slanted = min(along, across_it) > _STRAIGHT * max(along, across_it)
        return cls(
            stored=(width, height),
            crop=crop,
            square=square,
            aspect=aspect,
            across=across,
            mirrored=mirrored,
            unmeant=stated != aspect,
            slanted=slanted,
            interlaced=frame.interlaced_frame,
            transfer=frame.color_trc,
        )

    @property
    def width(self) -> int:
        """Of a frame as it is displayed, in pixels."""
        return self.stored[1] if self.across else self.square

    @property
    def height(self) -> int:
        """Of a frame as it is displayed, in pixels."""
        return self.square if self.across else self.stored[1]

    def picture(self, frame: VideoFrame) -> Frames:
        """The frame as ``(H, W, 3)`` uint8 RGB."""
        # Starting threads for each frame takes longer than converting it.
        array: Any = frame.to_ndarray(format="rgb24", threads=1)
        (left, top, *_), (width, height) = self.crop, self.stored
        array = np.ascontiguousarray(array[top : top + height, left : left + width])
        if self.square != width:
            from PIL import Image

            size = self.square, height
            array = np.asarray(Image.fromarray(array).resize(size, Image.Resampling.BICUBIC))
        if self.across:
            array = array.swapaxes(0, 1)
        return np.ascontiguousarray(array[:: -1 if self.mirrored[0] else 1, :: -1 if self.mirrored[1] else 1])

    def notes(self) -> Iterator[str]:
        """What is done, for people."""
        if self.crop != NO_CROP:
            yield f"cropped to {self.stored[1]}x{self.stored[0]} as its header says"
        if self.unmeant:
            yield "its header states an aspect of its pixels that leaves none of a side: taken as square"
        if self.square != self.stored[0]:
            yield (
                f"its pixels are not square ({self.aspect.numerator}:{self.aspect.denominator}): "
                f"resampled from {self.stored[1]}x{self.stored[0]} to {self.stored[1]}x{self.square}"
            )
        if self.slanted:
            yield "its header turns it by an angle between quarter turns: shown at the nearest quarter turn"
        elif self.across or any(self.mirrored):
            yield "turned or mirrored as its header says"
        if self.interlaced:
            yield "interlaced, and its frames are used as stored. To change that: ffmpeg -i FILE -vf bwdif OUT.mp4"
        if self.transfer in _HDR:
            yield f"high dynamic range ({_HDR[self.transfer]}), shown without tone mapping"


def is_transparent(frame: VideoFrame, stream: VideoStream) -> bool:
    """Whether parts of a frame are transparent; of VP8 and VP9, which keep that apart, whether the header says so."""
    if stream.metadata.get("alpha_mode") == "1":
        return True
    alpha: Any = any(part.is_alpha for part in frame.format.components)
    return bool(alpha and frame.to_ndarray(format="rgba", threads=1)[..., 3].min() < 255)


class _Ratio(Protocol):
    """A ratio as PyAV gives it: a Fraction before version 19, its own type since."""

    @property
    def numerator(self) -> int: ...

    @property
    def denominator(self) -> int: ...


def exact(ratio: _Ratio | None) -> Fraction | None:
    """The ratio as a fraction; None where the container does not give it."""
    # A ratio that the container does not give is None in PyAV 18, and 0/1 or 0/0 in 19: false in both.
    return Fraction(ratio.numerator, ratio.denominator) if ratio else None
