"""What surfaces look like: shapes, textures and backgrounds as functions of continuous coordinates.

Nothing here knows of pixels but their size: every edge is softened over one pixel's width, which keeps moving
pictures free of shimmer without supersampling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from vapbench.suites.mini.geometry import Field, soft_step
from vapbench.suites.mini.scenes import CALM, MARKINGS, VIVID, Background, Shape, Subject, Texture

Colours = npt.NDArray[np.floating[Any]]
"""RGB per pixel in 0..1, channels first: ``(3, n, h, w)``."""


def mix(first: Colours | tuple[float, ...], second: Colours | tuple[float, ...], share: Field) -> Colours:
    """Blend two colours, or colour fields, by ``share`` of the second."""
    a, b = (_planes(c) for c in (first, second))
    return a + (b - a) * share


def shape_distance(shape: Shape, x: Field, y: Field) -> Field:
    """Signed distance to a shape of about unit radius: negative inside, of slope 1 near the edge."""
    return _SHAPES[shape](x, y)


def subject_colours(subject: Subject, x: Field, y: Field, distance: Field, pixel: Field) -> Colours:
    """Paint of a subject at local coordinates (its radius is 1).

    Args:
        subject: whose paint.
        x: ``(n, h, w)``, to the right.
        y: ``(n, h, w)``, down.
        distance: signed distance to its edge at those places.
        pixel: size of a pixel in local units.
    """
    cos, sin = np.float32(np.cos(subject.angle)), np.float32(np.sin(subject.angle))
    marked = _TEXTURES[subject.texture](cos * x + sin * y, cos * y - sin * x, pixel)
    # A dark rim sets the subject off from any background; light comes from the upper left.
    light = 1.0 - 0.55 * soft_step(distance + np.float32(0.10), pixel + np.float32(0.04))
    light *= np.float32(0.96) - np.float32(0.10) * (x + y)
    return mix(VIVID[subject.colour], MARKINGS[subject.marking], marked) * light


def background_colours(background: Background, x: Field, y: Field, pixel: Field) -> Colours:
    """Paint of a background at world coordinates; defined, and textured, everywhere."""
    first, second = (CALM[name] for name in background.colours)
    k = np.float32(2 * np.pi / background.period)
    phase_x, phase_y = (np.float32(2 * np.pi * shift) for shift in background.offset)
    cos, sin = np.float32(np.cos(background.angle)), np.float32(np.sin(background.angle))
    along = (k * cos) * x + ((k * sin) * y + phase_x)
    across = (k * cos) * y - ((k * sin) * x - phase_y)
    edge = k * pixel
    # Slow two-way shading: it tells sideways from upward moves even where the pattern itself does not.
    shade = 1.0 + np.float32(0.12) * np.sin(along * np.float32(0.5)) * np.cos(across * np.float32(0.5))

    if background.kind == "checker":
        colours = mix(first, second, soft_step(np.sin(along * 0.5) * np.sin(across * 0.5), edge * 0.5))
    elif background.kind == "stripes":
        dashes = soft_step(np.cos(across) - np.float32(0.55), edge) * np.float32(0.45)
        colours = mix(first, second, np.maximum(soft_step(np.sin(along), edge), dashes))
    elif background.kind == "gradient":
        close = np.float32(1.3)  # dots closer than the other patterns' repetitions, to leave no empty wall
        spots = np.cos(close * along) + np.cos(close * across) - np.float32(1.2)
        dots = soft_step(spots, close * edge) * np.float32(0.22)
        colours = mix(first, second, 0.5 + 0.5 * np.sin(along * np.float32(0.3))) * (1.0 - dots)
    else:
        colours = _horizon(background, x, y, pixel)
    return np.asarray(colours * shade, dtype=np.float32)


def background_depth(background: Background, y: Field) -> Field:
    """Nearness of a background in 0..1 at world height ``y``: walls are far, the ground comes nearer."""
    if background.kind != "horizon":
        return np.full_like(y, 0.15)
    return np.asarray(np.clip(0.05 + 0.35 * (y - background.level), 0.05, 0.4), dtype=np.float32)


def _horizon(background: Background, x: Field, y: Field, pixel: Field) -> Colours:
    sky, ground = (CALM[name] for name in background.colours)
    k = np.float32(2 * np.pi / background.period)
    phase = np.float32(2 * np.pi * background.offset[0])
    edge = k * pixel
    # Long clouds above, a field of furrows and rows below.
    clouds = soft_step(np.sin(k * 0.5 * x + phase) + np.sin(k * 1.3 * y) - np.float32(0.9), edge * 1.5)
    above = mix(sky, (0.97, 0.97, 0.97), clouds * np.float32(0.6))
    patches = soft_step(np.sin(k * 0.7 * x + phase) * np.sin(k * (y - background.level)), edge)
    below = mix(ground, tuple(0.72 * c for c in ground), patches)
    return mix(above, below, soft_step(y - np.float32(background.level), pixel))


def _disc(x: Field, y: Field) -> Field:
    return np.sqrt(x * x + y * y) - np.float32(1.0)


def _square(x: Field, y: Field) -> Field:
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.88)


def _triangle(x: Field, y: Field) -> Field:
    lowered = y + np.float32(0.24)
    sides: Field = np.float32(0.866) * np.abs(x) - np.float32(0.5) * lowered
    return np.asarray(np.maximum(lowered - np.float32(1.14), sides - np.float32(0.45)))


def _diamond(x: Field, y: Field) -> Field:
    return np.float32(0.707) * (np.abs(x) + np.abs(y)) - np.float32(0.80)


def _hexagon(x: Field, y: Field) -> Field:
    ax = np.abs(x)
    return np.maximum(ax, np.float32(0.5) * ax + np.float32(0.866) * np.abs(y)) - np.float32(0.92)


def _cross(x: Field, y: Field) -> Field:
    ax, ay = np.abs(x), np.abs(y)
    return np.maximum(np.minimum(ax, ay) - np.float32(0.42), np.maximum(ax, ay) - np.float32(1.0))


def _striped(x: Field, y: Field, pixel: Field) -> Field:
    return soft_step(np.sin(np.float32(6.0) * x), np.float32(6.0) * pixel)


def _spotted(x: Field, y: Field, pixel: Field) -> Field:
    spots = np.cos(np.float32(6.5) * x) + np.cos(np.float32(6.5) * y)
    return soft_step(spots - np.float32(0.7), np.float32(6.5) * pixel)


def _checkered(x: Field, y: Field, pixel: Field) -> Field:
    return soft_step(np.sin(np.float32(4.4) * x) * np.sin(np.float32(4.4) * y), np.float32(4.4) * pixel)


def _two_tone(x: Field, y: Field, pixel: Field) -> Field:
    return soft_step(x, pixel)


def _planes(colour: Colours | tuple[float, ...]) -> Colours:
    if isinstance(colour, tuple):
        return np.array(colour, dtype=np.float32)[:, None, None, None]
    return colour


_SHAPES: dict[Shape, Callable[[Field, Field], Field]] = {
    "disc": _disc,
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
    "hexagon": _hexagon,
    "cross": _cross,
}

_TEXTURES: dict[Texture, Callable[[Field, Field, Field], Field]] = {
    "striped": _striped,
    "spotted": _spotted,
    "checkered": _checkered,
    "two-tone": _two_tone,
}
