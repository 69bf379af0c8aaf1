"""Shots: how a scene looks at several instants; what an effect makes and the renderer draws.

Everything that changes over time is a stack over the ``n`` instants asked for, or of length 1 where it stands
still. The default shot is the scene as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vapbench.suites.mini.geometry import Affines, Curve, Field, identity
from vapbench.suites.mini.scenes import Scene, seeded
from vapbench.suites.mini.surfaces import Colours


@dataclass(frozen=True)
class Variation:
    """How one clip of a condition differs from another on the same scene."""

    speed: float
    """Pace relative to the condition's own, 0.85..1.2."""
    amplitude: float
    """Size relative to the condition's own, 0.85..1.15."""
    phase: float
    """Where patterns and rotations begin, in turns, 0..1."""
    grain: int
    """Seed of the effect's own random details."""


@dataclass(frozen=True)
class Timing:
    """The instants an effect is asked for."""

    u: Curve
    """``(n,)`` progress in 0..1; 0 is the unchanged scene."""
    variation: Variation

    def ramp(self) -> Curve:
        """``(n,)`` steadily from 0 to about 1: there early, or not quite at the end, by the speed."""
        return np.minimum(self.u * self.variation.speed, 1.0)

    def fade(self, over: float = 1 / 3) -> Curve:
        """``(n,)`` smoothly from 0 to 1 within the first ``over`` of the clip, then 1."""
        t: Curve = np.minimum(self.u * self.variation.speed / over, 1.0)
        return t * t * (3 - 2 * t)

    def turns(self, count: float) -> Curve:
        """``(n,)`` angle in radians that grows through ``count`` turns at normal speed."""
        return 2 * np.pi * count * self.u * self.variation.speed

    def rng(self) -> np.random.Generator:
        """Random details of this clip; the same whichever instants are asked for."""
        return seeded("grain", self.variation.grain)


class Warp(Protocol):
    """A bend of the main subject in its local coordinates (its radius is 1), and its exact inverse."""

    def push(self, x: Field, y: Field, frames: slice) -> tuple[Field, Field]:
        """Where points of the unbent subject go, at the instants ``frames``."""
        ...

    def pull(self, x: Field, y: Field, frames: slice) -> tuple[Field, Field]:
        """Where bent points come from."""
        ...


@dataclass(frozen=True)
class Sprite:
    """One appearance of the main subject."""

    motion: Affines = field(default_factory=identity)
    """Where it goes in the world, from where it rests."""
    warp: Warp | None = None
    carve: Callable[[Field, Field, Field], Field] | None = None
    """New signed distance from local x, y and the shape's own distance."""
    coat: Callable[[Field, Field, Field, Colours], Colours] | None = None
    """New colours from local x, y, the (carved) distance and the subject's own colours."""
    opacity: Curve | None = None
    """``(n,)`` in 0..1; opaque when absent."""
    softness: float = 0.0
    """Extra width of its edge, in local units."""
    reach: float = 1.3
    """How far it extends from its centre along x or y when bent but not moved, at most, in local units."""


@dataclass(frozen=True)
class Shot:
    """A scene at ``n`` instants."""

    camera: Affines = field(default_factory=identity)
    """From the world to the frame."""
    backdrop: Affines | None = None
    """The same for the background and the subjects behind the main one, where it differs."""
    sprites: tuple[Sprite, ...] = (Sprite(),)
    """The main subject, back to front."""
    style: Callable[[Colours], Colours] | None = None
    """From the finished picture ``(3, m, SIZE, SIZE)`` to the one shown, with ``m`` in ``{1, n}``."""


Effect = Callable[[Timing, Scene], Shot]
"""What a condition does to a scene."""
