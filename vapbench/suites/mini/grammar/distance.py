"""How far two conditions of a family are apart: 0 is the same, 1 what two of its conditions differ by on average.

Distances are taken between what conditions do, not between their parameters: half a turn more is much where the
subject turns and nothing where it does not.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vapbench.suites.mini.grammar.drawing import draw
from vapbench.suites.mini.grammar.motion import trajectory
from vapbench.suites.mini.grammar.parameters import Camera, Category, Concept, Motion, Semantics, Style
from vapbench.suites.mini.scenes import seeded

Features = npt.NDArray[np.float64]

_INSTANTS = np.linspace(0, 1, 13)[1:]
_PAIRS = 500


def distance(first: Semantics, second: Semantics) -> float:
    """How far apart two conditions of one family are, in units of the average of any two."""
    return float(np.linalg.norm(features(first) - features(second))) / typical(first.category)


def features(semantics: Semantics) -> Features:
    """What a condition does as a vector, whose Euclidean distances count; each part is about 1 large."""
    if isinstance(semantics, Camera):
        return _camera(semantics)
    if isinstance(semantics, Style):
        return _style(semantics)
    return _motion(semantics) if isinstance(semantics, Motion) else _concept(semantics)


@cache
def typical(category: Category) -> float:
    """Average distance of two conditions of a family that are drawn at random."""
    drawn = [draw(category, seeded("typical distance", index)) for index in range(_PAIRS + 1)]
    return float(np.mean([np.linalg.norm(features(a) - features(b)) for a, b in pairwise(drawn)]))


def _camera(move: Camera) -> Features:
    pan = _round(move.direction) * move.distance / 0.9
    return np.array([*pan, move.zoom, move.roll / 0.2, move.dolly / 1.1])


def _style(style: Style) -> Features:
    printed = np.array([style.texture == kind for kind in ("lines", "dots", "tiles")], dtype=float)
    lines = _round(style.angle) * (style.texture == "lines")
    period = (style.period - 8) / 6 * (style.texture != "plain")
    # Tones in steps that look alike: from two to three is as much as from three to smooth.
    coarse = 2 * (2 / style.tones)
    return np.array([*_round(style.hue), 1.5 * (style.palette == "reversed"), coarse, *printed, *0.5 * lines, period])


def _motion(motion: Motion) -> Features:
    right, down = trajectory(motion, _INSTANTS)
    turned = 2 * np.pi * motion.turn * _INSTANTS
    size = 2 * np.log2(1 + motion.swell * np.sin(np.pi * motion.cycles * _INSTANTS) ** 2)
    # In units of the largest amplitude; turns as the way of a point of the subject's edge.
    parts = [right / 0.5, down / 0.5, np.cos(turned) - 1, np.sin(turned), size]
    return np.asarray(np.concatenate(parts) / np.sqrt(len(_INSTANTS)))


def _concept(concept: Concept) -> Features:
    # Low petals are near a disc, tips near petals, and a disc is near what was round before.
    lobed = concept.depth / 0.3 * (concept.outline in ("flower", "star"))
    shape = lobed * np.array([1.0, (concept.lobes - 5) / 2.5, 0.4 * (concept.outline == "star")])
    covered = np.array([concept.material == kind for kind in ("metal", "rings", "scales", "glow")], dtype=float)
    hue = _round(concept.hue) * (concept.material != "own")
    return np.array([0.5 * (concept.outline != "own"), *shape, *covered, *hue, 1.5 * concept.growth, concept.stretch])


def _round(turns: float) -> Features:
    return np.array([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)])
