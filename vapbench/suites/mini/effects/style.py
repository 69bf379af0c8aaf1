"""Styles: the picture changes to another manner over the first third of the clip, and stays so.

A style's picture is made once from the still scene and blended in. Pictures are
``(3, 1, SIZE, SIZE)`` in 0..1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vapbench.suites.mini.geometry import SIZE, Field, pixel_grid, soft_step
from vapbench.suites.mini.scenes import Scene
from vapbench.suites.mini.shots import Effect, Shot, Timing, Variation
from vapbench.suites.mini.surfaces import Colours, mix

LIGHTEST_FIRST = 1.4
"""How far a threshold must travel to pass every grey level with its soft edge."""

Painter = Callable[[Colours, Variation], Colours]


def styled(painter: Painter) -> Effect:
    """The effect that fades from the scene to ``painter``'s picture of it."""

    def effect(timing: Timing, scene: Scene) -> Shot:
        share = timing.fade().astype(np.float32)[:, None, None]
        return Shot(style=lambda picture: mix(picture, painter(picture, timing.variation), share))

    return effect


def pixelate(picture: Colours, variation: Variation) -> Colours:
    """Blocks of 8 x 8 pixels, each of one colour."""
    side = 8
    blocks = picture.reshape(3, 1, SIZE // side, side, SIZE // side, side).mean(axis=(3, 5))
    # The means of a calm picture are dull: mosaics are made of bold tiles.
    bold: Colours = 0.5 + (blocks - 0.5) * np.float32(1.0 + 0.25 * variation.amplitude)
    return np.clip(bold.repeat(side, axis=2).repeat(side, axis=3), 0, 1)


def pencil(picture: Colours, variation: Variation) -> Colours:
    """Grey strokes along the edges, and hatching in the shadows, on white paper."""
    grey = _grey(picture)
    x, _ = _rotated(0.8 + 0.3 * (variation.phase - 0.5), 2 * np.pi / 5)
    hatching = soft_step(np.sin(x) - 1.6 * grey + 0.35, 1.0) * np.float32(0.45)
    strokes = np.clip(_edges(picture) * (2.2 * variation.amplitude), 0, 0.9)
    return _in_grey(0.97 - np.maximum(strokes, hatching * (grey < 0.62)), tint=(1.0, 1.0, 0.98))


def negative(timing: Timing, scene: Scene) -> Shot:
    """Every colour turns into its complement, light ones first: a cross-fade would pass through grey."""
    share = timing.fade(0.4).astype(np.float32)[:, None, None]

    def style(picture: Colours) -> Colours:
        turned = soft_step(_grey(picture) - np.float32(1.2) + np.float32(LIGHTEST_FIRST) * share, 0.3)
        return mix(picture, 1.0 - picture, turned)

    return Shot(style=style)


def sepia(picture: Colours, variation: Variation) -> Colours:
    """An old brown photograph, dark towards the corners."""
    x, y = pixel_grid()
    vignette = 1.0 - np.float32(0.32 * variation.amplitude) * (x * x + y * y)
    grey = np.clip(0.5 + (_grey(picture) - 0.5) * 1.15, 0, 1)
    return _in_grey(grey * vignette, tint=(1.05, 0.76, 0.42))


def night(picture: Colours, variation: Variation) -> Colours:
    """Deep blue darkness with small lights scattered over it."""
    x, y = _rotated(2.1 * variation.phase, 2 * np.pi / 14)
    lights = soft_step(np.cos(x) + np.cos(y) - 1.86, 0.12)
    dark = picture * np.array([0.16, 0.22, 0.48], dtype=np.float32)[:, None, None, None] / variation.amplitude
    dark[2] += np.float32(0.10)
    return mix(dark, (1.0, 0.95, 0.70), lights)


def halftone(picture: Colours, variation: Variation) -> Colours:
    """Large red dots of printer's ink on cream paper; the darker, the larger."""
    x, y = _rotated(0.25 * np.pi, 2 * np.pi / 7)
    shift = np.float32(2 * np.pi * variation.phase)
    screen = 0.5 + 0.25 * (np.cos(x + shift) + np.cos(y))
    ink = soft_step(screen - 0.15 - 0.75 * _blur(_grey(picture)) * variation.amplitude, 0.22)
    return mix((0.98, 0.94, 0.82), (0.80, 0.10, 0.16), ink)


def thermal(picture: Colours, variation: Variation) -> Colours:
    """A heat camera's false colours: calm is cold and blue, vivid and bright is hot."""
    saturation = picture.max(axis=0) - picture.min(axis=0)
    heat = (0.12 + 0.28 * _grey(picture) + 0.80 * _blur(saturation)) * variation.amplitude
    stops = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    ramps = ((0.02, 0.15, 0.75, 1.0, 1.0), (0.02, 0.08, 0.10, 0.55, 1.0), (0.25, 0.65, 0.55, 0.05, 0.70))
    return np.stack([np.interp(heat, stops, ramp) for ramp in ramps]).astype(np.float32)


def neon(picture: Colours, variation: Variation) -> Colours:
    """Glowing green and magenta outlines on black."""
    edges = _edges(picture)
    glow = np.clip((1.6 * edges + 1.6 * _blur(edges)) * variation.amplitude, 0, 1)
    x, y = pixel_grid()
    hue = 0.5 + 0.5 * np.sin(np.float32(2.2) * (x + y) + np.float32(2 * np.pi * variation.phase))
    return mix((0.02, 0.0, 0.06), mix((0.10, 1.0, 0.45), (1.0, 0.15, 0.95), hue), glow)


def _grey(picture: Colours) -> Field:
    return np.asarray(0.30 * picture[0] + 0.59 * picture[1] + 0.11 * picture[2])


def _in_grey(grey: Field, tint: tuple[float, float, float]) -> Colours:
    return np.clip(np.stack([grey * np.float32(t) for t in tint]), 0, 1)


def _edges(picture: Colours) -> Field:
    """Steepness of the steepest channel, about 0..1."""
    padded = np.pad(picture, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    return np.asarray(np.sqrt(across * across + down * down).max(axis=0))


def _blur(field: Field) -> Field:
    """Mean over 3 x 3 pixels."""
    padded = np.pad(field, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return np.asarray((rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / np.float32(9))


def _rotated(angle: float, radians_per_pixel: float) -> tuple[Field, Field]:
    """Pixel coordinates turned by ``angle`` and scaled for use as phases of a pattern."""
    x, y = pixel_grid()
    k = np.float32(radians_per_pixel * SIZE / 2)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return k * (cos * x + sin * y), k * (cos * y - sin * x)
