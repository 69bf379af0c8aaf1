"""Concepts: the main subject turns into something else, grows, multiplies or falls apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vapbench.suites.mini.geometry import Curve, Field, about, compose, rotate, scale, soft_step, translate
from vapbench.suites.mini.scenes import Scene
from vapbench.suites.mini.shots import Shot, Sprite, Timing
from vapbench.suites.mini.surfaces import Colours, mix

FULL_FRAME = 8.0
"""A reach, in local units, that covers the frame from any subject."""

SEAMLESS = np.float32(-0.25)
"""A distance so far inside a subject that neither its edge nor its dark rim shows there."""


def balloon(timing: Timing, scene: Scene) -> Shot:
    """Rounds out, swells and rises."""
    p = timing.ramp()
    swollen = about((scene.main.x, scene.main.y), scale(1 + 0.35 * timing.variation.amplitude * p))
    motion = compose(translate(0.0, -0.75 * timing.variation.amplitude * p**1.3), swollen)
    rounded = _field(timing.fade(0.6))

    def carve(x: Field, y: Field, d: Field) -> Field:
        # A slight taper towards the knot below makes a balloon of a ball.
        ball = np.sqrt(x * x * (1 + 0.18 * y) + 0.88 * y * y) - np.float32(1.05)
        return d + rounded * (ball - d)

    def coat(x: Field, y: Field, d: Field, colours: Colours) -> Colours:
        shine = soft_step(0.30 - np.hypot(x + 0.38, y + 0.42), 0.25)
        return mix(colours, (1.0, 1.0, 1.0), 0.85 * rounded * shine)

    return Shot(sprites=(Sprite(motion=motion, carve=carve, coat=coat),))


def liquid_metal(timing: Timing, scene: Scene) -> Shot:
    """Becomes a wobbling drop of chrome."""
    covered = _field(timing.fade())
    drift = _field(timing.turns(1.5) + 2 * np.pi * timing.variation.phase)
    wobble = np.float32(0.13 * timing.variation.amplitude)

    def carve(x: Field, y: Field, d: Field) -> Field:
        ripples: Field = np.sin(np.float32(4.2) * x + drift) + np.sin(np.float32(3.7) * y - drift)
        return d + covered * wobble * ripples

    def coat(x: Field, y: Field, d: Field, colours: Colours) -> Colours:
        bands = np.sin(np.float32(5.0) * y + np.float32(1.6) * np.sin(np.float32(2.5) * x + drift))
        chrome = np.clip(0.48 + 0.62 * bands, 0.06, 1.0)
        return mix(colours, np.stack([chrome * 0.94, chrome * 0.97, chrome]), covered)

    return Shot(sprites=(Sprite(carve=carve, coat=coat, reach=1.6),))


def clone(timing: Timing, scene: Scene) -> Shot:
    """Two copies slide out from behind it, to either side."""
    way = 0.68 * timing.variation.amplitude * timing.ramp()
    smaller = about((scene.main.x, scene.main.y), scale(1 - 0.35 * timing.ramp()))
    left, right = (Sprite(motion=compose(translate(side * way, 0.0), smaller)) for side in (-1, 1))
    return Shot(sprites=(left, right, Sprite(motion=smaller)))


def crumble(timing: Timing, scene: Scene) -> Shot:
    """Breaks into bricks that drop out of the frame, column by column."""
    columns = 6
    delays = timing.rng().permutation(columns) / columns * 0.45
    fallen = np.maximum(timing.ramp()[:, None] - delays, 0.0) ** 2 * 4.6 * timing.variation.amplitude
    warp = _FallingColumns(fallen, width=0.44)
    cracks = SEAMLESS + _field(timing.fade(0.4)) * np.float32(0.06 - SEAMLESS)

    def carve(x: Field, y: Field, d: Field) -> Field:
        edge = np.minimum(_to_grid(x, warp.width), _to_grid(y, warp.width))
        return np.asarray(np.maximum(d, cracks - edge))

    return Shot(sprites=(Sprite(warp=warp, carve=carve, reach=FULL_FRAME),))


def melt(timing: Timing, scene: Scene) -> Shot:
    """Sinks down, runs out and ends as a round puddle."""
    p = timing.ramp() ** 1.2
    rounded = _field(timing.fade(0.8))
    foot = (scene.main.x, scene.main.y + 0.9 * scene.main.radius)
    sunk = about(foot, scale(1.0, 1 - 0.64 * timing.variation.amplitude * p))
    spread = 1.2 * timing.variation.amplitude * p

    def carve(x: Field, y: Field, d: Field) -> Field:
        return d + rounded * (np.hypot(x, y) - np.float32(1.0) - d)

    return Shot(sprites=(Sprite(motion=sunk, warp=_Spread(spread), carve=carve, reach=2.8),))


def star(timing: Timing, scene: Scene) -> Shot:
    """Turns into a large golden star with five points."""
    p = timing.fade(0.75)
    changed = _field(p)
    tip, notch = 1.5 * timing.variation.amplitude, 0.66 * timing.variation.amplitude
    # The edge from a tip, at angle 0, to the notch beside it, half a fifth of a turn on.
    rise, run = notch * np.sin(np.pi / 5), tip - notch * np.cos(np.pi / 5)
    length = np.float32(np.hypot(rise, run))
    tilt = np.float32(0.4 * (timing.variation.phase - 0.5))

    def carve(x: Field, y: Field, d: Field) -> Field:
        fifth = np.float32(2 * np.pi / 5)
        turn = (np.arctan2(-x, y) + tilt) / fifth + np.float32(0.5)
        angle, radius = np.abs(turn - np.rint(turn)) * fifth, np.hypot(x, y)
        ahead, aside = radius * np.cos(angle) - np.float32(tip), radius * np.sin(angle)
        star: Field = (np.float32(rise) * ahead + np.float32(run) * aside) / length
        return d + changed * (star - d)

    def coat(x: Field, y: Field, d: Field, colours: Colours) -> Colours:
        rim = soft_step(d + np.float32(0.10), 0.08)
        return mix(colours, mix((1.0, 0.80, 0.05), (0.55, 0.32, 0.0), rim), changed)

    return Shot(sprites=(Sprite(carve=carve, coat=coat, reach=1.8),))


def flames(timing: Timing, scene: Scene) -> Shot:
    """Catches fire: flames lick up around it and over it."""
    size = _field(timing.fade(0.45))
    rise = _field(timing.turns(2.5) + 2 * np.pi * timing.variation.phase)
    height = np.float32(0.95 * timing.variation.amplitude)

    def carve(x: Field, y: Field, d: Field) -> Field:
        tongues: Field = np.sin(np.float32(5.0) * x + np.sin(np.float32(2.2) * y + rise)) * np.sin(
            np.float32(2.6) * y + rise
        )
        # Upwards the fire narrows to a tip; below it closes around the subject.
        above = np.maximum(-y, 0.0) / (1 + height * size)
        fire: Field = np.sqrt(x * x * (1 + np.float32(0.9) * above) + np.where(y < 0, above, y) ** 2)
        return np.asarray(fire - size * 1.22 + 0.26 * tongues + 0.3 * (1 - size))

    def heart(x: Field, y: Field, d: Field) -> Field:
        waist: Field = np.float32(0.45) + np.float32(0.35) * np.sin(np.float32(4.0) * x + 2 * rise)
        return carve(x, y, d) + waist - np.float32(0.35) * y

    def coat(x: Field, y: Field, d: Field, colours: Colours) -> Colours:
        hot = mix((0.90, 0.14, 0.02), (1.0, 0.55, 0.02), soft_step(-d - np.float32(0.14), 0.22))
        return mix(hot, (1.0, 0.95, 0.45), soft_step(-d - np.float32(0.42), 0.35))

    fire = Sprite(carve=carve, coat=coat, softness=0.12, reach=2.9)
    # Over the subject only the heart of the fire, and thinly, so that what burns remains to be seen.
    veil = Sprite(carve=heart, coat=coat, softness=0.5, reach=2.9, opacity=0.6 * timing.fade(0.45))
    return Shot(sprites=(fire, Sprite(), veil))


def petals(timing: Timing, scene: Scene) -> Shot:
    """Grows a wreath of six petals, like a flower."""
    grown = _field(timing.fade(0.7) * timing.variation.amplitude)
    start = np.float32(2 * np.pi * timing.variation.phase)

    def carve(x: Field, y: Field, d: Field) -> Field:
        lobes = np.abs(np.cos(3 * np.arctan2(y, x) + start))
        return (np.hypot(x, y) - 0.4 - grown * (0.15 + 1.25 * np.sqrt(lobes))) * np.float32(0.8)

    def coat(x: Field, y: Field, d: Field, colours: Colours) -> Colours:
        return mix((1.0, 0.62, 0.80), (0.78, 0.16, 0.46), soft_step(d + np.float32(0.16), 0.12))

    shrunk = about((scene.main.x, scene.main.y), scale(1 - 0.25 * timing.fade(0.8)))
    return Shot(sprites=(Sprite(carve=carve, coat=coat, reach=2.2), Sprite(motion=shrunk)))


def burst(timing: Timing, scene: Scene) -> Shot:
    """Bursts into six wedges that fly apart in all directions, turning."""
    wedges = 6
    away = 0.68 * timing.variation.amplitude * timing.ramp()
    first = 2 * np.pi * timing.variation.phase
    directions = first + np.arange(wedges) * 2 * np.pi / wedges
    return Shot(sprites=tuple(_wedge(timing, scene, angle, np.pi / wedges, away) for angle in directions))


def _wedge(timing: Timing, scene: Scene, angle: float, half_width: float, away: Curve) -> Sprite:
    """The part of the subject within ``half_width`` of the direction ``angle``, flying that way."""
    cos, sin = np.cos(angle), np.sin(angle)
    narrow_cos, narrow_sin = np.float32(np.cos(half_width)), np.float32(np.sin(half_width))
    middle = (scene.main.x + 0.6 * scene.main.radius * cos, scene.main.y + 0.6 * scene.main.radius * sin)
    turned = about(middle, compose(rotate(1.6 * timing.ramp()), scale(1 - 0.25 * timing.ramp())))

    # At first each wedge is the whole subject, so that no seam shows before they part.
    seam = np.float32(-2.0) * (1 - _field(timing.fade(0.1)))

    def carve(x: Field, y: Field, d: Field) -> Field:
        ahead, aside = np.float32(cos) * x + np.float32(sin) * y, np.float32(cos) * y - np.float32(sin) * x
        return np.maximum(d, narrow_cos * np.abs(aside) - narrow_sin * ahead + seam)

    return Sprite(motion=compose(translate(cos * away, sin * away), turned), carve=carve)


@dataclass(frozen=True)
class _FallingColumns:
    """Downward displacement by column."""

    fallen: Curve
    """``(n, columns)`` distances, an even number of columns; what lies beyond the outermost falls with it."""
    width: float

    def push(self, x: Field, y: Field, frames: slice) -> tuple[Field, Field]:
        return x, y + self._offset(x, frames)

    def pull(self, x: Field, y: Field, frames: slice) -> tuple[Field, Field]:
        return x, y - self._offset(x, frames)

    def _offset(self, x: Field, frames: slice) -> Field:
        fallen = self.fallen[frames].astype(np.float32)
        count = fallen.shape[1]
        column = np.floor(x / np.float32(self.width) + np.float32(count / 2)).astype(np.intp).clip(0, count - 1)
        return np.asarray(fallen[np.arange(len(fallen))[:, None, None], column])


@dataclass(frozen=True)
class _Spread:
    """Widening towards the foot."""

    amount: Curve

    def push(self, x: Field, y: Field, frames: slice) -> tuple[Field, Field]:
        return x * self._width(y, frames), y

    def pull(self, x: Field, y: Field, frames: slice) -> tuple[Field, Field]:
        return x / self._width(y, frames), y

    def _width(self, y: Field, frames: slice) -> Field:
        low = np.clip(0.5 + 0.5 * y, 0.0, 1.0)
        return np.asarray(1 + _field(self.amount[frames]) * low * low)


def _field(curve: Curve) -> Field:
    """A scalar per frame, ready to meet fields of pixels."""
    return np.asarray(curve, dtype=np.float32)[:, None, None]


def _to_grid(value: Field, width: float) -> Field:
    """Distance to the nearest line of a grid; columns of :class:`_FallingColumns` meet on its lines."""
    cells = value / np.float32(width)
    return np.asarray(np.abs(cells - np.rint(cells)) * np.float32(width))
