"""motion_agreement: does what moves beside the camera move as it does in the reference?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vapbench.metrics.base import Metric, Need, Score
from vapbench.metrics.features.camera import Points, Reals, camera, grid_flow, spread

if TYPE_CHECKING:
    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView

STILL = "nothing moves in the reference beside its camera"
"""Kind of the note on a case whose reference shows no motion of its own."""

_MOMENTS = 25
_STANDSTILL = 0.05
"""Half frames a clip: a motion of this size counts as half a standstill."""
_SHARE, _LEAST = 0.3, 0.12
"""A point belongs to what moves from this share of the fastest points' pace, and from so many half frames a clip."""
_SHIFTS = range(-6, 7)
_PACES = (0.8, 0.9, 1.0, 1.1, 1.25)
_NAMES = ("to the side", "up and down", "growing and shrinking", "turning", "stretching", "slanting")


class MotionAgreement(Metric):
    r"""How alike output and reference move beside their cameras.

    Formula: the highest :math:`\langle A, B \rangle / \sqrt{(|A|^2 + s^2)(|B|^2 + s^2)}` over shifts of up to a quarter
    of the clip and paces from 0.8 to 1.25, with A and B the motions of output and reference over the clip and s = 0.05
    half frames a clip. A motion has six columns, fitted in every step to the points of a grid that move otherwise than
    the camera: shift right and down, growth, turn, stretch and slant, the last four times the moving part's size. Flow,
    grid and camera are those of ``camera_agreement``.
    Range: -1 to 1, higher is better. Another motion has about 0.2, since the best of several alignments is taken.
    Source: a formula of our own. No weights. Needs the reference, and 2 frames of each. Where nothing moves in the
    reference beside its camera the value is near 0 and says nothing: a note says so.
    """

    name = "motion_agreement"
    title = "Motion agreement"
    version = 1
    higher_is_better = True
    unit = "cosine"
    scale = 100.0
    range = (-1.0, 1.0)
    digits = 1
    needs: frozenset[Need] = frozenset({"reference"})

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip against the (first) reference of its case.

        Raises:
            NotApplicable: one of the two has one frame.
        """
        output, reference = (motion(each) for each in (clip, clip.reference))
        parts: dict[str, Any] = {
            "motion": motion_of(output),
            "motion_of_reference": motion_of(reference),
            "pace": pace(output),
            "pace_of_reference": pace(reference),
        }
        still = pace(reference) < _STANDSTILL
        note = f"{STILL}: there is no motion to agree with" if still else ""
        return Score(best_cosine(output, reference), parts, note, STILL if still else "")


def motion(clip: ClipView) -> Reals:
    """``(24, 6)``: how the moving part of the picture moves in each 24th of the clip, in half frames a clip.

    Raises:
        NotApplicable: the clip has one frame.
    """
    flow, beside = grid_flow(clip), camera(clip).beside
    count = len(beside)
    fastest = float(np.quantile(np.abs(beside), 0.98))
    least = max(_LEAST / count, _SHARE * fastest)
    steps = [_step(flow.points, *step, least) for step in zip(beside, flow.texture, strict=True)]
    way = np.vstack([np.zeros(len(_NAMES)), np.cumsum(steps, axis=0)])
    return np.diff(spread(way, _MOMENTS), axis=0) * (_MOMENTS - 1)


def best_cosine(output: Reals, reference: Reals) -> float:
    """Highest cosine of two motions over small shifts and changes of pace, drawn to 0 where one hardly moves."""
    return max(
        _cosine(output[max(0, shift) : len(output) + min(0, shift)], paced[max(0, -shift) : len(paced) - max(0, shift)])
        for paced in (_at_pace(reference, factor) for factor in _PACES)
        for shift in _SHIFTS
    )


def pace(motion: Reals) -> float:
    """Root mean square of a motion, in half frames a clip."""
    return float(np.sqrt(np.square(motion).sum(axis=1).mean()))


def motion_of(motion: Reals) -> str:
    """The motion in words, by the column that moves most; "none" where there is hardly any."""
    if pace(motion) < _STANDSTILL:
        return "none"
    return _NAMES[int(np.square(motion).mean(axis=0).argmax())]


def _cosine(a: Reals, b: Reals) -> float:
    lengths = [np.hypot(pace(each), _STANDSTILL) for each in (a, b)]
    return float((a * b).sum(axis=1).mean() / np.prod(lengths))


def _at_pace(motion: Reals, factor: float) -> Reals:
    at = np.clip(np.linspace(0, factor, len(motion)), 0, 1)
    known = np.linspace(0, 1, len(motion))
    return np.stack([np.interp(at, known, column) for column in motion.T], axis=1)


def _step(points: Points, shifts: Points, weights: Reals, least: float) -> tuple[float, ...]:
    """One step's six columns: ``shift = v + a r + q conj(r)`` with r the place from the moving part's centre."""
    share = weights * (np.abs(shifts) > least)
    if np.count_nonzero(share) < 2:
        return (0.0,) * len(_NAMES)
    share = share / share.sum()
    arms = points - complex(share @ points)
    mean = complex(share @ shifts)
    spare, spread_of = shifts - mean, float(share @ np.abs(arms) ** 2)
    size = np.sqrt(spread_of)
    grown = size * complex((share * arms.conj()) @ spare) / (spread_of + 1e-4)
    bent = size * complex((share * arms) @ spare) / (spread_of + 1e-4)
    return mean.real, mean.imag, grown.real, grown.imag, bent.real, bent.imag
