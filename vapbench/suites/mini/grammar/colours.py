"""Colours by hue."""

from __future__ import annotations

import colorsys


def rgb(hue: float, saturation: float, value: float) -> tuple[float, ...]:
    """RGB in 0..1 of a hue in turns from red, a saturation and a value in 0..1."""
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
