"""Styles of the grammar: a palette, a texture and so many tones, faded in over the first third of the clip."""

from __future__ import annotations

import numpy as np

from vapbench.suites.mini.geometry import SIZE, Field, pixel_grid, soft_step
from vapbench.suites.mini.grammar.colours import rgb
from vapbench.suites.mini.grammar.parameters import Style
from vapbench.suites.mini.grammar.words import degrees
from vapbench.suites.mini.scenes import Scene
from vapbench.suites.mini.shots import Effect, Shot, Timing
from vapbench.suites.mini.surfaces import Colours, mix

_SMOOTH = 32.0
_BLUR = 3  # pixels over which tiles gather their colour
_TONES = {2.0: "two", 3.0: "three", 4.0: "four", 6.0: "six"}


def effect(style: Style) -> Effect:
    """What the picture looks like."""

    def shot(timing: Timing, scene: Scene) -> Shot:
        share = timing.fade().astype(np.float32)[:, None, None]
        return Shot(style=lambda picture: mix(picture, paint(style, picture), share))

    return shot


def paint(style: Style, picture: Colours) -> Colours:
    """The picture ``(3, n, SIZE, SIZE)`` in 0..1 in a style."""
    if style.texture == "tiles":
        picture = _tiled(picture, style.period)
    grey = np.asarray(0.30 * picture[0] + 0.59 * picture[1] + 0.11 * picture[2])
    tone = np.clip((grey - np.float32(0.12)) / np.float32(0.76), 0, 1)
    if style.tones < _SMOOTH:
        most = np.float32(style.tones - 1)
        tone = np.rint(tone * most) / most
    if style.palette == "reversed":
        tone = 1 - tone
    return _coloured(tone * _screen(style), style.hue)


def words(style: Style) -> str:
    """The style in one clause, with its numbers."""
    tones = f"{_TONES[style.tones]} tones" if style.tones in _TONES else "smooth tones"
    of = f"the picture turns to {tones} of hue {round(360 * style.hue)}"
    if style.palette == "reversed":
        of = f"{of} as a negative"
    if style.texture == "plain":
        return of
    lines = f" at {degrees(style.angle / 2)}" if style.texture == "lines" else ""
    return f"{of} with {style.texture} of {round(style.period)} pixels{lines}"


def _screen(style: Style) -> Field:
    """What is printed over the tones, as a factor ``(1, SIZE, SIZE)``."""
    x, y = pixel_grid()
    k = np.float32(2 * np.pi / style.period * SIZE / 2)
    if style.texture == "lines":
        turned = np.pi * style.angle
        wave = np.sin(k * (np.float32(np.cos(turned)) * x + np.float32(np.sin(turned)) * y))
        return np.asarray(1 - np.float32(0.6) * soft_step(wave - np.float32(0.1), 0.8))
    if style.texture == "dots":
        wave = np.cos(k * x) + np.cos(k * y)
        return np.asarray(1 - np.float32(0.7) * soft_step(wave - np.float32(0.35), 0.8))
    return np.ones((1, SIZE, SIZE), dtype=np.float32)


def _coloured(tone: Field, hue: float) -> Colours:
    """Tones from a deep to a pale shade of one hue."""
    middle = rgb(hue, 0.85, 0.80)
    lower = mix(rgb(hue, 0.9, 0.16), middle, np.clip(2 * tone, 0, 1))
    return mix(lower, rgb(hue, 0.18, 1.0), np.clip(2 * tone - 1, 0, 1)).astype(np.float32)


def _tiled(picture: Colours, side: float) -> Colours:
    """Blocks of one colour, ``side`` pixels wide, from the upper left corner on."""
    places = np.arange(SIZE)
    block = np.floor(places / side)
    middle = np.clip(np.rint((block + 0.5) * side - 0.5), 0, SIZE - 1).astype(np.intp)
    reach = _BLUR // 2
    padded = np.pad(picture, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    gathered = sum(
        padded[:, :, row : row + SIZE, column : column + SIZE] for row in range(_BLUR) for column in range(_BLUR)
    )
    smooth = np.asarray(gathered) / np.float32(_BLUR * _BLUR)
    return np.asarray(smooth[:, :, middle][:, :, :, middle])
