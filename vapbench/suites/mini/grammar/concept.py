"""Concepts of the grammar: the main subject takes another outline, size and material."""

from __future__ import annotations

import numpy as np

from vapbench.suites.mini.geometry import Field, about, scale, soft_step
from vapbench.suites.mini.grammar.colours import rgb
from vapbench.suites.mini.grammar.parameters import Concept
from vapbench.suites.mini.grammar.words import amount, joined
from vapbench.suites.mini.scenes import Scene
from vapbench.suites.mini.shots import Effect, Shot, Sprite, Timing
from vapbench.suites.mini.surfaces import Colours, mix

_WHITE = (0.97, 0.97, 0.97)
_NIGHT = (0.07, 0.06, 0.10)
_OVER = 0.75  # of the clip the change takes


def effect(concept: Concept) -> Effect:
    """What the main subject becomes."""

    def shot(timing: Timing, scene: Scene) -> Shot:
        p = timing.fade(_OVER)
        changed = np.asarray(p, dtype=np.float32)[:, None, None]
        wide = 2 ** ((concept.growth - concept.stretch / 2) * p)
        tall = 2 ** ((concept.growth + concept.stretch / 2) * p)

        def carve(x: Field, y: Field, d: Field) -> Field:
            return d + changed * (_outline(concept, x, y) - d)

        def coat(x: Field, y: Field, d: Field, colours: Colours) -> Colours:
            return mix(colours, _material(concept, x, y, d), changed)

        sprite = Sprite(
            motion=about((scene.main.x, scene.main.y), scale(wide, tall)),
            carve=None if concept.outline == "own" else carve,
            coat=None if concept.material == "own" else coat,
            reach=1.3 + concept.depth,
        )
        return Shot(sprites=(sprite,))

    return shot


def words(concept: Concept) -> str:
    """The change in one clause, with its numbers."""
    parts = []
    if concept.outline == "disc":
        parts.append("turns into a disc")
    elif concept.outline != "own":
        parts.append(f"turns into a {concept.outline} of {round(concept.lobes)} by {amount(concept.depth)}")
    if concept.growth:
        parts.append(f"{'grows' if concept.growth > 0 else 'shrinks'} by {amount(concept.growth)}")
    if concept.stretch:
        parts.append(f"gets {'taller' if concept.stretch > 0 else 'wider'} by {amount(concept.stretch)}")
    if concept.material != "own":
        parts.append(f"is covered in {concept.material} of hue {round(360 * concept.hue)}")
    return f"{{it}} {joined(parts)}"


def _outline(concept: Concept, x: Field, y: Field) -> Field:
    """Signed distance to the new outline, in local units; exact for a disc, near it for the others."""
    radius = np.sqrt(x * x + y * y)
    if concept.outline == "disc":
        return radius - np.float32(1.0)
    turns = np.float32(concept.lobes / (2 * np.pi)) * np.arctan2(x, -y)  # 0 at the top, where a lobe stands
    if concept.outline == "flower":
        out = np.cos(np.float32(2 * np.pi) * turns)
    else:
        out = np.float32(1.0) - np.float32(4.0) * np.abs(turns - np.rint(turns))
    return np.asarray((radius - 1 - np.float32(concept.depth) * out) * np.float32(0.75))


def _material(concept: Concept, x: Field, y: Field, d: Field) -> Colours:
    """Paint of the new material at local places."""
    vivid = rgb(concept.hue, 0.85, 0.95)
    if concept.material == "metal":
        bands = np.sin(np.float32(5.5) * y + np.float32(1.2) * np.sin(np.float32(2.5) * x))
        shine = np.clip(0.5 + 0.6 * bands, 0, 1)
        return mix(rgb(concept.hue, 0.9, 0.25), rgb(concept.hue, 0.4, 1.0), shine)
    if concept.material == "rings":
        return mix(vivid, _WHITE, soft_step(np.sin(np.float32(9.0) * np.sqrt(x * x + y * y)), 0.6))
    if concept.material == "scales":
        grid = np.cos(np.float32(8.0) * x) * np.cos(np.float32(8.0) * y)
        return mix(vivid, rgb(concept.hue, 0.9, 0.35), soft_step(grid, 0.5))
    glow = np.clip(1 + np.float32(2.2) * d, 0, 1)
    return mix(_NIGHT, vivid, glow)
