"""The parameters of a condition, read back from a clip by fitting renders to it.

The scene is known (a case's first frame is drawn from it), so a clip is compared with renders of that scene under
conditions of one family, and the condition whose render is nearest is what the clip shows. The search draws
conditions at random, then crosses the best of them and moves their numbers by ever less. It needs no training, and
knows nothing of the condition a clip is meant to show.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple, dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from vapbench.suites.mini.geometry import SIZE
from vapbench.suites.mini.grammar.distance import distance
from vapbench.suites.mini.grammar.drawing import draw
from vapbench.suites.mini.grammar.effects import effect_of
from vapbench.suites.mini.grammar.parameters import Category, Semantics, axes
from vapbench.suites.mini.render import FRAMES, paint_effect
from vapbench.suites.mini.scenes import Scene, seeded
from vapbench.suites.mini.shots import Variation

READER_VERSION = 1
"""Raised whenever a clip may be read as another condition than before."""

_INSTANTS: dict[Category, tuple[int, ...]] = {
    "concept": (9, 12),
    "style": (12,),
    "motion": (2, 4, 6, 8, 10, 12),
    "camera": (3, 6, 9, 12),
}
"""Frames that are looked at: where looks have changed for good, or throughout a move."""
_DRAWN, _ROUNDS, _PARENTS, _CHILDREN = 400, 18, 12, 28
_TRIED_OUT = (6, 12)
"""Rounds before which all values are tried of parameters that have to be right together, which chance seldom finds."""
_TOGETHER: dict[Category, tuple[str, ...]] = {
    "concept": ("outline", "lobes", "depth"),
    "style": ("texture", "period", "angle"),
    "motion": ("turn", "swell"),
}
_ALIKE = 3
"""Most parents with the same names, so that a wrong name that fits early does not crowd out the right one."""
_WIDEST, _NARROWING = 0.2, 0.78
"""How far numbers are moved at first, as a share of their range, and by how much less each round."""
_STEADY = Variation(speed=1.0, amplitude=1.0, phase=0.0, grain=0)


@dataclass(frozen=True)
class Reading:
    """What a clip shows."""

    semantics: Semantics
    """The condition, its numbers anywhere between the values of conditions."""
    error: float
    """Mean absolute difference of its render to the clip, in 0..1: large where the clip shows nothing of the family."""


def read(frames: npt.NDArray[np.uint8], scene: Scene, category: Category) -> Reading:
    """Read the condition of a family that a clip shows; the same for equal clips.

    Args:
        frames: the clip, ``(FRAMES, SIZE, SIZE, 3)`` uint8 RGB.
        scene: what its first frame shows.
        category: the family.
    """
    instants = list(_INSTANTS[category])
    shown = _coarse(np.moveaxis(frames[instants].astype(np.float32) / 255, -1, 0))
    progress = np.array(instants) / (FRAMES - 1)

    def judged(semantics: Semantics) -> Reading:
        picture = np.clip(paint_effect(scene, effect_of(semantics), _STEADY, progress), 0, 1)
        return Reading(semantics, float(np.abs(_coarse(picture) - shown).mean()))

    rng = seeded("reading", category)
    best = _best([judged(draw(category, rng)) for _ in range(_DRAWN)])
    for turn in range(_ROUNDS):
        if turn in _TRIED_OUT:
            best = _best(best + [judged(semantics) for semantics in _alternatives(best[0].semantics)])
        width = _WIDEST * _NARROWING**turn
        best = _best(best + [judged(_child(best, width, rng)) for _ in range(_CHILDREN)])
    return best[0]


def score(read: Semantics, meant: Semantics) -> float:
    """How near the condition read is to the one meant: 100 is the same, 0 as far as any two are on average, or more."""
    return 100 * max(0.0, 1 - distance(read, meant))


def _alternatives(semantics: Semantics) -> list[Semantics]:
    """A condition with all values of those of its parameters that are right together or not at all."""
    names = _TOGETHER.get(semantics.category, ())
    values = [axes(type(semantics))[name].values for name in names]
    every = (replace(semantics, **dict(zip(names, chosen, strict=True))) for chosen in product(*values))
    return list(dict.fromkeys(other.canonical() for other in every))


def _best(readings: list[Reading]) -> list[Reading]:
    kept: list[Reading] = []
    alike = Counter[tuple[str, ...]]()
    for reading in sorted(readings, key=lambda reading: reading.error):
        names = tuple(value for value in astuple(reading.semantics) if isinstance(value, str))
        alike[names] += 1
        if alike[names] <= _ALIKE and len(kept) < _PARENTS:
            kept.append(reading)
    return kept


def _child(parents: list[Reading], width: float, rng: np.random.Generator) -> Semantics:
    """Each parameter from one of two parents, numbers moved by about ``width``, now and then a value drawn anew."""
    # The better a parent, the oftener it is chosen.
    pair = [parents[int(len(parents) * rng.random() ** 2)].semantics for _ in range(2)]
    family = type(pair[0])
    values: dict[str, Any] = {}
    for name, axis in axes(family).items():
        chance = rng.random()
        value = getattr(pair[int(rng.integers(2))], name)
        if chance < 0.1:
            value = axis.values[int(rng.integers(len(axis.values)))]
        elif chance < 0.15:
            value = getattr(family(), name)  # At rest.
        elif chance < 0.7 and not axis.named and not axis.whole:
            value = axis.near(value, width * float(rng.standard_normal()))
        values[name] = value
    child: Semantics = family(**values).canonical()
    return child


def _coarse(picture: Any) -> Any:
    """Means over 2 x 2 pixels: what sampling and compression leave of a picture."""
    half = SIZE // 2
    return picture.reshape(*picture.shape[:2], half, 2, half, 2).mean(axis=(3, 5))
