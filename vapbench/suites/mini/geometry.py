"""Coordinates of the mini suite: the pixel grid and stacks of 2-D affine maps.

The frame spans ``[-1, 1]`` in x and y, x to the right and y *down* as in images; one unit is half the frame's
height. A stack of maps has one map per frame, or a single one for what does not change over time: both
broadcast, so a still layer is evaluated once however long the clip is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SIZE = 64
"""Frame height and width in pixels."""

PIXEL = 2.0 / SIZE
"""Side of a pixel in frame units."""

Field = npt.NDArray[np.floating[Any]]
"""A scalar per pixel, ``(n, h, w)`` or anything that broadcasts to it; float32 wherever speed counts."""

Affines = npt.NDArray[np.float64]
"""``n`` affine maps, ``(n, 2, 3)``."""

Curve = npt.NDArray[np.float64]
"""A scalar per frame, ``(n,)``."""


def pixel_grid() -> tuple[Field, Field]:
    """Centres of the frame's pixels: x ``(1, 1, SIZE)`` and y ``(1, SIZE, 1)``, float32."""
    centres = ((np.arange(SIZE) + 0.5) * PIXEL - 1.0).astype(np.float32)
    return centres[None, None, :], centres[None, :, None]


def identity() -> Affines:
    """The one map that moves nothing, for all frames."""
    return scale(1.0)


def translate(dx: float | Curve, dy: float | Curve) -> Affines:
    """Shift by ``(dx, dy)``."""
    return _affines(1.0, 0.0, dx, 0.0, 1.0, dy)


def scale(sx: float | Curve, sy: float | Curve | None = None) -> Affines:
    """Stretch about the origin; one factor for both axes when ``sy`` is absent."""
    return _affines(sx, 0.0, 0.0, 0.0, sx if sy is None else sy, 0.0)


def rotate(angle: float | Curve) -> Affines:
    """Turn clockwise, as seen on screen, about the origin by ``angle`` radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return _affines(cos, -sin, 0.0, sin, cos, 0.0)


def compose(*maps: Affines) -> Affines:
    """Product of maps; the last one is applied first."""
    result = maps[0]
    for inner in maps[1:]:
        linear = result[:, :, :2] @ inner[:, :, :2]
        offset = result[:, :, :2] @ inner[:, :, 2:] + result[:, :, 2:]
        result = np.concatenate([linear, offset], axis=2)
    return result


def about(centre: tuple[float, float], maps: Affines) -> Affines:
    """The same maps with ``centre`` in the origin's role."""
    x, y = centre
    return compose(translate(x, y), maps, translate(-x, -y))


def invert(maps: Affines) -> Affines:
    """Inverse of each map."""
    (a, b, c), (d, e, f) = np.moveaxis(maps, 0, -1)
    det = a * e - b * d
    return _affines(e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det)


def apply(maps: Affines, x: Field, y: Field) -> tuple[Field, Field]:
    """Map points; ``(n, ...)`` float32 fields by broadcasting."""
    m = maps.astype(np.float32)[:, :, :, None, None]
    return (
        m[:, 0, 0] * x + (m[:, 0, 1] * y + m[:, 0, 2]),
        m[:, 1, 0] * x + (m[:, 1, 1] * y + m[:, 1, 2]),
    )


def magnification(maps: Affines) -> Field:
    """Mean linear scale of each map, ``(n, 1, 1)``: how large a pixel is after mapping it."""
    linear = maps[:, :, :2]
    det = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    return np.sqrt(np.abs(det)).astype(np.float32)[:, None, None]


def soft_step(value: Field, width: Field | float) -> Field:
    """A step at 0 from 0 to 1, ``width`` wide: a pixel's share where ``value`` is positive."""
    return np.asarray(np.clip(value / width + np.float32(0.5), 0.0, 1.0))


def _affines(*entries: float | Curve) -> Affines:
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(e, dtype=np.float64)) for e in entries))
    return np.stack(columns, axis=-1).reshape(-1, 2, 3)
