"""Colour coding of structure: depth and optical flow as the RGB videos that control models are fed."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from vapbench.core.clip import Frames
from vapbench.errors import DataError, ErrorKind

SMALLEST_FLOW = 0.5
"""Pixels; a frame in which nothing moves further is not amplified to full colour."""

_ARCS = (
    ((255, 0, 0), (255, 255, 0), 15),
    ((255, 255, 0), (0, 255, 0), 6),
    ((0, 255, 0), (0, 255, 255), 4),
    ((0, 255, 255), (0, 0, 255), 11),
    ((0, 0, 255), (255, 0, 255), 13),
    ((255, 0, 255), (255, 0, 0), 6),
)
"""Middlebury's colour wheel: from a colour, towards a colour, in so many steps."""


def depth_to_rgb(depth: npt.NDArray[np.floating]) -> Frames:
    """Show depth as grey, nearest white, as monocular estimators' maps are shown to control models.

    Args:
        depth: ``(F, H, W)`` in 0..1, 1 nearest; values outside are clipped.

    Returns:
        ``(F, H, W, 3)`` uint8 RGB.

    Raises:
        DataError: the array has another number of axes, or holds values that are not finite.
    """
    if depth.ndim != 3 or not np.isfinite(depth).all():
        raise DataError(
            f"depth must be finite values (F, H, W) in 0..1, got {depth.shape}; normalise it first.",
            ErrorKind.INVALID,
            "depth",
        )
    levels = np.rint(np.clip(depth, 0.0, 1.0) * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=-1)


def unit_depth(depth: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Bring depth of any unit ``(F, H, W)``, larger is nearer, to 0..1, each frame by itself, as VACE does."""
    low, high = depth.min(axis=(1, 2), keepdims=True), depth.max(axis=(1, 2), keepdims=True)
    unit: npt.NDArray[np.floating] = (depth - low) / np.maximum(high - low, 1e-6)
    return unit


def flow_to_rgb(flow: npt.NDArray[np.floating]) -> Frames:
    """Show optical flow in the colours of Middlebury's wheel (Baker et al. 2011), as VACE's annotator does.

    Every frame is scaled by its own longest vector. Where nothing moves it is white.

    Args:
        flow: ``(F - 1, H, W, 2)`` in pixels, (right, down), from each frame to the next.

    Returns:
        ``(F, H, W, 3)`` uint8 RGB: a frame shows the flow that led to it, and the first repeats the second.

    Raises:
        DataError: the array has another shape, no frame, or holds values that are not finite.
    """
    if flow.ndim != 4 or flow.shape[-1] != 2 or not len(flow) or not np.isfinite(flow).all():
        raise DataError(
            f"flow must be finite values (F - 1, H, W, 2) of two frames or more, got {flow.shape}.",
            ErrorKind.INVALID,
            "flow",
        )
    length = np.linalg.norm(flow, axis=-1)
    longest = np.maximum(length.max(axis=(1, 2), keepdims=True), SMALLEST_FLOW)
    colours = _hue(flow) / 255
    shown = 1 - (length / longest)[..., None] * (1 - colours)
    frames = np.floor(255 * shown).astype(np.uint8)
    return np.concatenate([frames[:1], frames])


def _hue(flow: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Fully saturated colours ``(..., 3)`` in 0..255 of the directions of vectors."""
    wheel = _wheel()
    turn = np.arctan2(-flow[..., 1], -flow[..., 0]) / np.pi
    place = (turn + 1) / 2 * (len(wheel) - 1)
    before = np.floor(place).astype(int)
    share = (place - before)[..., None]
    mixed: npt.NDArray[np.float64] = (1 - share) * wheel[before] + share * wheel[(before + 1) % len(wheel)]
    return mixed


@cache
def _wheel() -> npt.NDArray[np.float64]:
    rows = []
    for first, last, count in _ARCS:
        change = np.arange(count)[:, None] / count * np.abs(np.subtract(last, first))
        rows.append(first + np.sign(np.subtract(last, first)) * np.floor(change))
    return np.concatenate(rows)
