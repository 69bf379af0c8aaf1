"""camera_agreement: does the camera move as the reference's camera does?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vapbench.metrics.base import Change, Metric, Need, Score
from vapbench.metrics.features.camera import Reals, growth_around, path, pivot, steps_around

if TYPE_CHECKING:
    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView

STILL = "the reference's camera stands still"
"""Kind of the note on a case whose reference shows no move of the camera."""

_MOMENTS = 17
_ZOOM = 2
"""Column of a path."""
_LEAST = 1e-3
"""A zoom of less is none."""
_STANDSTILL = 0.03
"""Extent of a path, in half frames, that counts as half a standstill: what noise and small subjects leave."""
_NAMES = (
    ("left", "right"),
    ("up", "down"),
    ("zoom in", "zoom out"),
    ("picture turns clockwise", "picture turns anticlockwise"),
)
"""The move where a column of the path grows, and where it falls: picture and camera pan opposite ways."""
_DOLLY = ("background zooms in", "background zooms out")
_MOST = 0.5
"""Share of a zoom that its subject must keep out of to make it a dolly zoom, in words."""


class CameraAgreement(Metric):
    r"""How alike the camera's paths of output and reference are.

    Formula: :math:`\langle P, Q \rangle / \sqrt{(|P|^2 + s^2)(|Q|^2 + s^2)}`, with P and Q the paths of output and
    reference at 17 moments spread evenly over each clip, the products averaged over the moments, and s = 0.03 half
    frames. A path is shift right, shift down, log zoom, turn, and as much of the zoom as the subject keeps out of,
    added up over the frames. Each step is the similarity that most of the frame's texture follows in DIS flow at 240
    pixels (iteratively reweighted least squares with Geman and McClure's weights), so that what moves beside the camera
    is left out. The shift is that of the point of the frame that the clip's zooms and turns leave in place, as far as
    one does, so that a turn around a subject at the side is no pan; the last column compares the zoom with the one
    around that point, and tells a dolly zoom from a plain one. Lengths count in half of the shorter side.
    Range: -1 to 1, higher is better. 1: the same move, whatever its extent; 0: another move, or none; -1: the way back.
    Source: a formula of our own; "camera" is a category of the Video-As-Prompt paper, which has no column for it. No
    weights. Needs the reference, and 2 frames of each. Where the reference's camera stands still the value is near 0
    and says nothing: a note says so.
    """

    name = "camera_agreement"
    title = "Camera agreement"
    version = 3
    higher_is_better = True
    unit = "cosine"
    scale = 100.0
    range = (-1.0, 1.0)
    digits = 1
    needs: frozenset[Need] = frozenset({"reference"})
    invariant_to: frozenset[Change] = frozenset({"darker", "rescaled", "mirrored-pair"})

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip against the (first) reference of its case.

        Raises:
            NotApplicable: one of the two has one frame.
        """
        output, reference = (path_of(each) for each in (clip, clip.reference))
        parts: dict[str, Any] = {
            "move": move_of(output),
            "move_of_reference": move_of(reference),
            "extent": extent(output),
            "extent_of_reference": extent(reference),
            "half_way": half_way(output),
            "half_way_of_reference": half_way(reference),
            "path": output[::2].round(4).tolist(),
            "path_of_reference": reference[::2].round(4).tolist(),
        }
        still = extent(reference) < _STANDSTILL
        note = f"{STILL}: there is no move to agree with" if still else ""
        return Score(path_cosine(output, reference), parts, note, STILL if still else "")


def path_of(clip: ClipView) -> Reals:
    """``(17, 5)``: shift right and down, log zoom, turn, and the part of the zoom that its subject keeps out of.

    Raises:
        NotApplicable: the clip has one frame.
    """
    still = pivot(clip)
    moves, inner = path(steps_around(clip, still), _MOMENTS), path(growth_around(clip, still), _MOMENTS)
    zoom = moves[:, _ZOOM]
    zooms = np.abs(zoom) > _LEAST
    share = np.clip(np.divide(zoom - inner, zoom, out=np.zeros_like(zoom), where=zooms), 0, 1)
    return np.column_stack([moves, share * zoom])


def path_cosine(output: Reals, reference: Reals, standstill: float = _STANDSTILL) -> float:
    """Cosine of two paths ``(moments, columns)``, drawn to 0 where one has hardly any extent."""
    lengths = (np.hypot(extent(path), standstill) for path in (output, reference))
    return float((output * reference).sum(axis=1).mean() / np.prod(list(lengths)))


def extent(path: Reals) -> float:
    """Root mean square distance from the start, in half frames (zoom and turn as they move the frame's edge)."""
    return float(np.sqrt(np.square(path).sum(axis=1).mean()))


def half_way(path: Reals) -> float:
    """Pace: when half of the way is covered, 0 to 1; of a steady move, and of none, 0.5."""
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    return float(np.interp(way[-1] / 2, way, np.linspace(0, 1, len(way)))) if way[-1] > 0 else 0.5


def move_of(path: Reals) -> str:
    """The move in words, by the column with the greatest extent; "none" where there is hardly any."""
    *sizes, kept_out = np.sqrt(np.square(path).mean(axis=0))
    column = int(np.argmax(sizes))
    if sizes[column] < _STANDSTILL:
        return "none"
    names = _DOLLY if column == _ZOOM and kept_out > _MOST * sizes[column] else _NAMES[column]
    return names[int(path[:, column].mean() < 0)]
