"""Motions: the main subject moves, keeps its looks, and the camera stands still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vapbench.suites.mini.geometry import Affines, Curve, Field, about, rotate, scale, translate
from vapbench.suites.mini.scenes import Scene
from vapbench.suites.mini.shots import Shot, Sprite, Timing


def spin(timing: Timing, scene: Scene) -> Shot:
    """About six tenths of a clockwise turn about its own centre."""
    return _moved(about(_centre(scene), rotate(timing.turns(0.6))))


def shake(timing: Timing, scene: Scene) -> Shot:
    """Wide shakes from side to side, two of them."""
    return _moved(translate(0.42 * timing.variation.amplitude * np.sin(timing.turns(2)), 0.0))


def bounce(timing: Timing, scene: Scene) -> Shot:
    """Two bounces off the ground it stands on."""
    height = 0.62 * timing.variation.amplitude * np.abs(np.sin(timing.turns(1)))
    return _moved(translate(0.0, -height))


def squash(timing: Timing, scene: Scene) -> Shot:
    """Flat and wide, then tall and thin, once and a half, standing on the same ground."""
    tall = np.exp(-0.55 * timing.variation.amplitude * np.sin(timing.turns(1.5)))
    return _moved(about(_foot(scene), scale(1 / tall, tall)))


def orbit(timing: Timing, scene: Scene) -> Shot:
    """One clockwise round on a circle, upright all the while, from near the circle's lowest point."""
    start, radius = np.pi * (0.5 + 0.4 * (timing.variation.phase - 0.5)), 0.36 * timing.variation.amplitude
    angle = start + timing.turns(1)
    return _moved(translate(radius * (np.cos(angle) - np.cos(start)), radius * (np.sin(angle) - np.sin(start))))


def throb(timing: Timing, scene: Scene) -> Shot:
    """Three heartbeats: it swells and falls back to its size."""
    beat = np.sin(timing.turns(1.5)) ** 2
    return _moved(about(_centre(scene), scale(1 + 0.5 * timing.variation.amplitude * beat)))


def swing(timing: Timing, scene: Scene) -> Shot:
    """Like a bell hung from above the frame's upper edge, to and fro."""
    pivot = (scene.main.x, scene.main.y - 1.1)
    angle = 0.42 * timing.variation.amplitude * np.sin(timing.turns(1.5))
    return _moved(about(pivot, rotate(angle)))


def wave(timing: Timing, scene: Scene) -> Shot:
    """Ripples run down it, as through a flag."""
    size = 0.45 * timing.variation.amplitude * timing.fade(0.25)
    return Shot(sprites=(Sprite(warp=_Wave(size, timing.turns(1.25), 3.2), reach=1.9),))


@dataclass(frozen=True)
class _Wave:
    """Sideways displacement by height."""

    size: Curve
    phase: Curve
    wave_number: float

    def push(self, x: Field, y: Field, frames: slice) -> tuple[Field, Field]:
        return x + self._offset(y, frames), y

    def pull(self, x: Field, y: Field, frames: slice) -> tuple[Field, Field]:
        return x - self._offset(y, frames), y

    def _offset(self, y: Field, frames: slice) -> Field:
        size, phase = (c[frames, None, None].astype(np.float32) for c in (self.size, self.phase))
        return np.asarray(size * np.sin(np.float32(self.wave_number) * y - phase))


def _moved(motion: Affines) -> Shot:
    return Shot(sprites=(Sprite(motion=motion),))


def _centre(scene: Scene) -> tuple[float, float]:
    return scene.main.x, scene.main.y


def _foot(scene: Scene) -> tuple[float, float]:
    return scene.main.x, scene.main.y + 0.9 * scene.main.radius
