"""Clips: what a method returns and a metric sees."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from vapbench.errors import DataError, ErrorKind

_OVERSHOOT = 0.5

Frames = npt.NDArray[np.uint8]
Export = Literal["fine", "official"]
"""How frames become a file: as :func:`vapbench.core.video.write_video` does by itself, where no difference is seen, or
as Video-As-Prompt's scripts do, through diffusers' ``export_to_video``, which costs detail."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Decoded video.

    Attributes:
        frames: ``(T, H, W, 3)`` uint8 RGB, ``T >= 1``.
        fps: frames per second, positive.
        source: what the frames come from, for messages.
        export: how the frames are to be written.
        notes: what was done to read the frames, and what is doubtful about them: one phrase each, kept with the row.
    """

    frames: Frames
    fps: float
    source: str = field(default="clip", compare=False)
    export: Export = field(default="fine", compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        """Refuse what no metric could score.

        Raises:
            DataError: the frames are not ``(T, H, W, 3)`` uint8, are empty, or fps is not positive.
        """
        frames = self.frames
        if not isinstance(frames, np.ndarray) or frames.ndim != 4 or frames.shape[-1] != 3:
            raise DataError(
                f"{self.source}: frames must be an array (T, H, W, 3), got {_shape(frames)}; "
                "return RGB frames with the channel last.",
                ErrorKind.INVALID,
                "frames",
            )
        if frames.dtype != np.uint8:
            raise DataError(
                f"{self.source}: frames must be uint8 in 0..255, got {frames.dtype}; round and convert them "
                "(.astype('uint8'); Clip.from_float does it with frames in 0..1).",
                ErrorKind.INVALID,
                "frames",
            )
        if min(frames.shape) == 0:
            raise DataError(
                f"{self.source}: the clip has no pixels {frames.shape}; return at least one frame.",
                ErrorKind.INVALID,
                "frames",
            )
        if not (self.fps > 0 and math.isfinite(self.fps)):
            raise DataError(f"{self.source}: fps must be a positive number, got {self.fps}.", ErrorKind.INVALID, "fps")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def height(self) -> int:
        """Frame height in pixels."""
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        """Frame width in pixels."""
        return int(self.frames.shape[2])

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self) / self.fps

    @classmethod
    def from_float(cls, frames: npt.ArrayLike, fps: float, source: str = "clip") -> Clip:
        """Build a clip from ``(T, H, W, 3)`` float frames in 0..1, rounded to the nearest of 256 levels.

        Raises:
            DataError: a value is NaN, infinite or far from 0..1, frames are whole numbers, or the shape is wrong.
        """
        given = np.asarray(frames.detach().cpu() if hasattr(frames, "detach") else frames)
        array = given.astype(np.float32)
        if not np.isfinite(array).all():
            bad = int((~np.isfinite(array)).sum())
            raise DataError(
                f"{source}: {bad:,} of {array.size:,} values are NaN or infinite; try --dtype float32, or another "
                "seed.",
                ErrorKind.INVALID,
                "frames",
            )
        # What overshoots a little is rounded to the end, as image processors do.
        if given.dtype.kind != "f" or (array.size and not -_OVERSHOOT < array.min() <= array.max() < 1 + _OVERSHOOT):
            held = f"{given.dtype} from {array.min():g} to {array.max():g}" if array.size else str(given.dtype)
            raise DataError(
                f"{source}: from_float takes float frames in 0..1, and these are {held}; scale them first, or make a "
                "Clip of uint8 frames in 0..255.",
                ErrorKind.INVALID,
                "frames",
            )
        return cls(np.rint(array.clip(0, 1) * 255).astype(np.uint8), fps, source)


def linspace_indices(count: int, wanted: int) -> list[int]:
    """Indices of ``wanted`` frames spread evenly over ``count``, ends included; short videos repeat frames."""
    if wanted == 1:
        return [0]
    return [i * (count - 1) // (wanted - 1) for i in range(wanted)]


def resize_clip(clip: Clip, frames: int, fps: float, height: int, width: int) -> Clip:
    """Bring a clip to a size and length: frames chosen evenly, then resized (bicubic) without keeping the aspect.

    The reading of "evenly" and the plain resize are VAP's own preprocessing (paper, section 4.1; its pipelines).
    """
    from PIL import Image

    chosen = clip.frames[linspace_indices(len(clip), frames)] if len(clip) != frames else clip.frames
    if chosen.shape[1:3] != (height, width):
        resample = Image.Resampling.BICUBIC
        chosen = np.stack([np.asarray(Image.fromarray(f).resize((width, height), resample)) for f in chosen])
    return Clip(chosen, fps, clip.source)


def _shape(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape}"
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" {tuple(shape)}, which .numpy() makes an array" if shape is not None else "")
