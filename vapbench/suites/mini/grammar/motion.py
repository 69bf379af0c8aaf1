"""Motions of the grammar: the main subject moves, keeps its looks, and the camera stands still."""

from __future__ import annotations

import numpy as np

from vapbench.suites.mini.geometry import Curve, about, compose, rotate, scale, translate
from vapbench.suites.mini.grammar.parameters import Motion
from vapbench.suites.mini.grammar.words import amount, degrees, joined
from vapbench.suites.mini.scenes import Scene
from vapbench.suites.mini.shots import Effect, Shot, Sprite, Timing

_PATHS = {
    "line": "shuttles to and fro",
    "hop": "hops",
    "clockwise": "circles clockwise",
    "anticlockwise": "circles anticlockwise",
    "eight": "runs an eight",
}


def effect(motion: Motion) -> Effect:
    """What the main subject does."""

    def shot(timing: Timing, scene: Scene) -> Shot:
        along = translate(*trajectory(motion, timing.u))
        beat = np.sin(np.pi * motion.cycles * timing.u) ** 2
        posed = compose(rotate(2 * np.pi * motion.turn * timing.u), scale(1 + motion.swell * beat))
        return Shot(sprites=(Sprite(motion=compose(along, about((scene.main.x, scene.main.y), posed))),))

    return shot


def words(motion: Motion) -> str:
    """The motion in one clause, with its numbers."""
    parts = []
    if motion.path != "none":
        towards, far = degrees(motion.direction), amount(motion.amplitude)
        parts.append(f"{_PATHS[motion.path]} from {towards} as far as {far}")
    if motion.turn:
        parts.append(f"spins {'clockwise' if motion.turn > 0 else 'anticlockwise'} by {amount(motion.turn)}")
    if motion.swell:
        parts.append(f"throbs by {amount(motion.swell)}")
    pace = f" at a pace of {amount(motion.cycles)}" if motion.path != "none" or motion.swell else ""
    return f"{{it}} {joined(parts)}{pace}"


def trajectory(motion: Motion, u: Curve) -> tuple[Curve, Curve]:
    """How far right and down from where it rests, at progress ``u``."""
    towards, size = 2 * np.pi * motion.direction, motion.amplitude
    angle = 2 * np.pi * motion.cycles * u
    if motion.path in ("clockwise", "anticlockwise"):
        at = towards + (angle if motion.path == "clockwise" else -angle)
        return size * (np.cos(at) - np.cos(towards)), size * (np.sin(at) - np.sin(towards))
    along, across = np.zeros_like(u), np.zeros_like(u)
    if motion.path == "line":
        along = size * np.sin(angle)
    elif motion.path == "hop":
        along = size * np.abs(np.sin(angle / 2))
    elif motion.path == "eight":
        along, across = size * np.sin(angle), 0.5 * size * np.sin(2 * angle)
    cos, sin = np.cos(towards), np.sin(towards)
    return cos * along - sin * across, sin * along + cos * across
