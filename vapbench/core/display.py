"""How a player shows a stored frame: square pixels, turned and mirrored as its header says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vapbench.core.clip import Frames

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
    """Width and height."""
    square: int
    """Width with square pixels; the height stays."""
    aspect: Fraction
    across: bool
    """Whether rows become columns."""
    mirrored: tuple[bool, bool]
    """Up and down, then left and right."""
    slanted: bool = False
    """Whether the header turns it by an angle between quarter turns."""
    interlaced: bool = False
    transfer: int = 0
    """How light is coded, by ITU-T H.273."""

    @classmethod
    def of(cls, frame: VideoFrame, stream: VideoStream, before: DisplaySize | None = None) -> DisplaySize:
        """Read it from a frame and its stream.

        Args:
            frame: what is shown.
            stream: whose it is.
            before: of the frame before: a turn that a message in the video states stands with key frames alone, and
                holds for those after them (ITU-T H.264, D.2.27; H.265, D.3.17).
        """
        aspect = exact(stream.sample_aspect_ratio) or Fraction(1)
        square = round(frame.width * aspect)
        if square != frame.width:
            square = max(2, 2 * round(frame.width * aspect / 2))
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
        size = frame.width, frame.height
        return cls(size, square, aspect, across, mirrored, slanted, frame.interlaced_frame, frame.color_trc)

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
        if self.square != frame.width:
            from PIL import Image

            size = self.square, frame.height
            array = np.asarray(Image.fromarray(array).resize(size, Image.Resampling.BICUBIC))
        if self.across:
            array = array.swapaxes(0, 1)
        return np.ascontiguousarray(array[:: -1 if self.mirrored[0] else 1, :: -1 if self.mirrored[1] else 1])

    def notes(self) -> Iterator[str]:
        """What is done, for people."""
        if self.square != self.stored[0]:
            yield (
                f"its pixels are not square ({self.aspect.numerator}:{self.aspect.denominator}): "
                f"resampled from {self.stored[0]}x{self.stored[1]} to {self.square}x{self.stored[1]}"
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
