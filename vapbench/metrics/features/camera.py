"""How the camera moves, from the pictures alone: optical flow at points of a grid, and the move most of them share.

Lengths are in *half frames*: half of the frame's shorter side, from the frame's centre, x to the right and y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vapbench.core.clip import Frames
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.features.flow import DisFlow

if TYPE_CHECKING:
    from vapbench.metrics.view import ClipView

Reals = npt.NDArray[np.float64]
Points = npt.NDArray[np.complex128]
"""Places or shifts in the plane, x + iy, in half frames."""

_SIDE, _LONGEST, _SHORTEST = 240, 960, 16
_EVERY = 8
"""Pixels between grid points, of a frame whose shorter side has 240."""
_SOME = 0.4
"""Share of a frame's mean texture that gives a point half of its say."""
_SPREAD, _FINEST, _ROUNDS = 0.7, 1e-3, 15
"""Scale of the robust fit in standard deviations, its least value in half frames, and its iterations."""
_AROUND = 0.3
"""Half frames: how far around the point that a zoom leaves in place its subject is looked for."""
_SLIGHT = 0.03
"""A zoom or turn of so much in a clip says half of where it is centred: what noise leaves."""


@dataclass(frozen=True, eq=False)
class GridFlow:
    """What the points of a grid do from each frame to the next."""

    points: Points
    """``(N,)`` where they are."""
    shifts: Points
    """``(T - 1, N)`` where each goes from there."""
    texture: Reals
    """``(T - 1, N)`` in 0..1, the more the stronger the edges around: flow on plain surfaces is a guess."""


@dataclass(frozen=True, eq=False)
class Camera:
    """The similarity that takes each frame's scenery to the next frame's."""

    steps: Reals
    """``(T - 1, 4)``: shift of the picture to the right and down in half frames, logarithm of its zoom, its turn
    clockwise in radians."""
    beside: Points
    """``(T - 1, N)`` what is left of the grid's shifts."""

    def path(self, moments: int) -> Reals:
        """``(moments, 4)``: the steps added up, at moments spread evenly over the clip; the first is 0."""
        return path(self.steps, moments)


def grid_flow(clip: ClipView) -> GridFlow:
    """DIS flow at the points of a grid, computed once per clip.

    Raises:
        NotApplicable: the clip has one frame.
    """
    if len(clip) < 2:
        raise NotApplicable("a move takes at least 2 frames; the clip has one", ErrorKind.NOT_APPLICABLE, "frames")
    return clip.shared("grid_flow", lambda: _grid_flow(clip.frames))


def camera(clip: ClipView) -> Camera:
    """The camera's move, computed once per clip.

    Raises:
        NotApplicable: the clip has one frame.
    """
    flow = grid_flow(clip)
    return clip.shared("camera", lambda: _camera(flow))


def pivot(clip: ClipView) -> complex:
    """The point of the frame that the clip's zooms and turns leave in place, as far as one does: by least squares.

    It is the centre where the camera neither zooms nor turns. A camera that circles its subject has it there.

    Raises:
        NotApplicable: the clip has one frame.
    """
    points, steps = grid_flow(clip).points, camera(clip).steps
    turns, shifts = _turns(steps), steps[:, 0] + 1j * steps[:, 1]
    least = _SLIGHT**2 / len(steps)
    point = -complex(turns.conj() @ shifts) / (float(np.square(np.abs(turns)).sum()) + least)
    ends = np.abs(points.real).max(), np.abs(points.imag).max()
    return complex(np.clip(point.real, -ends[0], ends[0]), np.clip(point.imag, -ends[1], ends[1]))


def steps_around(clip: ClipView, point: complex) -> Reals:
    """``(T - 1, 4)``: the camera's steps with the shift of ``point``, instead of that of the frame's centre.

    Raises:
        NotApplicable: the clip has one frame.
    """
    steps = camera(clip).steps.copy()
    carried = _turns(steps) * point
    steps[:, 0] += carried.real
    steps[:, 1] += carried.imag
    return steps


def growth_around(clip: ClipView, point: complex) -> Reals:
    """``(T - 1,)`` logarithm of what grows around a point.

    Where the camera zooms alone, this is its zoom. In a dolly zoom the subject stands around the pivot, and keeps its
    size while the background grows.

    Raises:
        NotApplicable: the clip has one frame.
    """
    flow = grid_flow(clip)
    near = np.exp(-np.square(np.abs(flow.points - point)) / (2 * _AROUND**2)) + 1e-9
    moves = [_shared_move(flow.points, *step) for step in zip(flow.shifts, flow.texture * near, strict=True)]
    return np.array([np.log(1 + turn).real for _, turn in moves])


def path(steps: Reals, moments: int) -> Reals:
    """``(moments, …)``: steps added up, at moments spread evenly over the clip; the first is 0."""
    return spread(np.concatenate([np.zeros_like(steps[:1]), np.cumsum(steps, axis=0)]), moments)


def spread(values: Reals, moments: int) -> Reals:
    """Values of a clip's frames ``(T, …)`` at ``moments`` spread evenly over it, linearly between frames."""
    at = np.linspace(0, len(values) - 1, moments)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(values) - 1)
    share = (at - low).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[low] * (1 - share) + values[high] * share)


def _grid_flow(frames: Frames) -> GridFlow:
    import cv2

    flow = DisFlow()
    height, width = frames.shape[1:3]
    down, across = _size(height, width)
    rows, columns = (axis.ravel() for axis in np.mgrid[_EVERY // 2 : down : _EVERY, _EVERY // 2 : across : _EVERY])
    # Sides are rounded to whole multiples, so that a pixel of the grid may be wider than it is high.
    pixel = np.array([width / across, height / down]) / (min(height, width) / 2)

    def prepared(frame: Frames) -> npt.NDArray[np.uint8]:
        method = cv2.INTER_AREA if down < height else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(flow.grey(frame), (across, down), interpolation=method), dtype=np.uint8)

    shifts, textures = [], []
    before = prepared(frames[0])
    for frame in frames[1:]:
        after = prepared(frame)
        shifts.append(flow(before, after)[rows, columns] @ (pixel * [1, 1j]))
        textures.append(_texture(before)[rows, columns])
        before = after
    points = (columns + 0.5 - across / 2) * pixel[0] + 1j * (rows + 0.5 - down / 2) * pixel[1]
    texture = np.array(textures, dtype=np.float64)
    some = _SOME * texture.mean(axis=1, keepdims=True)
    return GridFlow(points, np.array(shifts), (texture + 1e-3) / (texture + some + 2e-3))


def _size(height: int, width: int) -> tuple[int, int]:
    """The shorter side becomes 240 pixels, of long strips less; both are multiples of 8."""
    factor = min(_SIDE / min(height, width), _LONGEST / max(height, width))
    down, across = (max(_SHORTEST, round(side * factor / 8) * 8) for side in (height, width))
    return down, across


def _texture(grey: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Mean length of the gradient around each pixel, in grey levels a pixel."""
    import cv2

    across, down = (cv2.Sobel(grey, cv2.CV_32F, *order, ksize=3) / 8 for order in ((1, 0), (0, 1)))
    return np.asarray(cv2.boxFilter(np.hypot(across, down), -1, (17, 17)))


def _turns(steps: Reals) -> Points:
    """What each step does to an arm, as a factor, less 1."""
    return np.asarray(np.exp(steps[:, 2] + 1j * steps[:, 3]) - 1)


def _camera(flow: GridFlow) -> Camera:
    steps, beside = [], []
    for shifts, weights in zip(flow.shifts, flow.texture, strict=True):
        shift, turn = _shared_move(flow.points, shifts, weights)
        grown = np.log(1 + turn)
        steps.append((shift.real, shift.imag, grown.real, grown.imag))
        beside.append(shifts - shift - turn * flow.points)
    return Camera(np.array(steps), np.array(beside))


def _shared_move(points: Points, shifts: Points, weights: Reals) -> tuple[complex, complex]:
    """``t`` and ``a`` with ``shift = t + a point`` for as much of the frame as possible.

    Iteratively reweighted least squares with Geman and McClure's weights: what moves otherwise (the subject) loses its
    say, until the majority of the frame's texture decides. The scale follows the median of what is left.
    """
    shift, turn = _least_squares(points, shifts, weights)
    for _ in range(_ROUNDS):
        left = np.abs(shifts - shift - turn * points)
        scale = max(_FINEST, _SPREAD * 1.48 * _weighted_median(left, weights))
        shift, turn = _least_squares(points, shifts, weights / (1 + (left / scale) ** 2) ** 2)
    return shift, turn


def _least_squares(points: Points, shifts: Points, weights: Reals) -> tuple[complex, complex]:
    share = weights / weights.sum()
    centre, mean = complex(share @ points), complex(share @ shifts)
    arms = points - centre
    turn = complex((share * arms.conj()) @ (shifts - mean)) / float(share @ np.abs(arms) ** 2)
    return mean - turn * centre, turn


def _weighted_median(values: Reals, weights: Reals) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
