"""Camera moves of the grammar: the whole frame changes and nothing in the world does."""

from __future__ import annotations

import numpy as np

from vapbench.suites.mini.geometry import about, compose, rotate, scale, translate
from vapbench.suites.mini.grammar.parameters import Camera
from vapbench.suites.mini.grammar.words import amount, degrees, joined
from vapbench.suites.mini.scenes import Scene
from vapbench.suites.mini.shots import Effect, Shot, Timing


def effect(move: Camera) -> Effect:
    """What the camera does: steadily, all of its moves at once."""
    towards = 2 * np.pi * move.direction
    right, down = move.distance * np.cos(towards), move.distance * np.sin(towards)

    def shot(timing: Timing, scene: Scene) -> Shot:
        p = timing.u
        turned = compose(rotate(2 * np.pi * move.roll * p), scale(2 ** (move.zoom * p)))
        camera = compose(turned, translate(-right * p, -down * p))
        if not move.dolly:
            return Shot(camera=camera)
        grown = about((scene.main.x, scene.main.y), scale(2 ** (move.dolly * p)))
        return Shot(camera=camera, backdrop=compose(camera, grown))

    return shot


def words(move: Camera) -> str:
    """The move in one clause, with its numbers."""
    parts = []
    if move.distance:
        parts.append(f"pans towards {degrees(move.direction)} by {amount(move.distance)}")
    if move.zoom:
        parts.append(f"zooms {'in' if move.zoom > 0 else 'out'} by {amount(move.zoom)}")
    if move.roll:
        parts.append(f"rolls {'clockwise' if move.roll > 0 else 'anticlockwise'} by {degrees(abs(move.roll))}")
    if move.dolly:
        parts.append(f"dollies {'forth' if move.dolly > 0 else 'back'} by {amount(move.dolly)} around {{it}}")
    return f"the camera {joined(parts)}"
