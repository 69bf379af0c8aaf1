"""Conditions at random: what is likely in a family, and large enough to be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vapbench.suites.mini.grammar.parameters import Camera, Category, Concept, Motion, Semantics, Style, axes


def draw(category: Category, rng: np.random.Generator) -> Semantics:
    """Draw any condition of a category, held out or not, large enough to be seen."""
    return _DRAWS[category](rng)


def _draw_camera(rng: np.random.Generator) -> Camera:
    moves = ("distance", "zoom", "roll", "dolly")
    chosen = rng.permutation(4)[: 1 + int(rng.random() < 0.5)]
    values = {moves[move]: _pick(rng, Camera, moves[move], least=_LEAST[moves[move]]) for move in sorted(chosen)}
    return Camera(direction=_pick(rng, Camera, "direction"), **values).canonical()


def _draw_style(rng: np.random.Generator) -> Style:
    return Style(**{name: _pick(rng, Style, name) for name in axes(Style)}).canonical()


def _draw_motion(rng: np.random.Generator) -> Motion:
    drawn = {name: _pick(rng, Motion, name) for name in ("path", "direction", "amplitude", "cycles")}
    # Half of the paths are run without turning or throbbing; what has no path does one of these.
    pose = rng.random() * (0.5 if drawn["path"] == "none" else 1.0)
    if pose < 0.25:
        drawn["turn"] = _pick(rng, Motion, "turn", least=0.25)
    elif pose < 0.5:
        drawn["swell"] = _pick(rng, Motion, "swell", least=0.4)
    return Motion(**drawn).canonical()


def _draw_concept(rng: np.random.Generator) -> Concept:
    drawn = {name: _pick(rng, Concept, name) for name in ("outline", "lobes", "depth", "material", "hue")}
    size = rng.random()
    if size < 0.4:
        drawn["growth"] = _pick(rng, Concept, "growth", least=0.3)
    elif size < 0.6:
        drawn["stretch"] = _pick(rng, Concept, "stretch", least=0.4)
    elif drawn["outline"] == drawn["material"] == "own":
        drawn["outline"] = "disc"
    return Concept(**drawn).canonical()


_DRAWS: dict[Category, Callable[[np.random.Generator], Semantics]] = {
    "concept": _draw_concept,
    "style": _draw_style,
    "motion": _draw_motion,
    "camera": _draw_camera,
}
_LEAST = {"distance": 0.3, "zoom": 0.375, "roll": 0.075, "dolly": 0.4}


def _pick(rng: np.random.Generator, family: Any, name: str, least: float = 0.0) -> Any:
    values = axes(family)[name].values
    large = [value for value in values if isinstance(value, str) or abs(value) >= least - 1e-9]
    return large[int(rng.integers(len(large)))]
