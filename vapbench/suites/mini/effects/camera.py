"""Camera moves: the whole frame changes and nothing in the world does."""

from __future__ import annotations

from vapbench.suites.mini.geometry import about, rotate, scale, translate
from vapbench.suites.mini.scenes import Scene
from vapbench.suites.mini.shots import Effect, Shot, Timing


def pan(right: float, down: float) -> Effect:
    """A steady move of the camera by ``(right, down)`` frame units: the picture goes the other way."""

    def effect(timing: Timing, scene: Scene) -> Shot:
        way = timing.ramp() * timing.variation.amplitude
        return Shot(camera=translate(-right * way, -down * way))

    return effect


def zoom(factor: float) -> Effect:
    """A steady zoom about the frame's centre until things are ``factor`` times their size."""

    def effect(timing: Timing, scene: Scene) -> Shot:
        return Shot(camera=scale(factor ** (timing.ramp() * timing.variation.amplitude)))

    return effect


def roll(angle: float) -> Effect:
    """A turn of the picture about the frame's centre, clockwise by ``angle`` radians."""

    def effect(timing: Timing, scene: Scene) -> Shot:
        return Shot(camera=rotate(angle * timing.ramp() * timing.variation.amplitude))

    return effect


def dolly_zoom(factor: float) -> Effect:
    """Hitchcock's zoom: the main subject keeps its size while all behind it grows by ``factor``."""

    def effect(timing: Timing, scene: Scene) -> Shot:
        grown = scale(factor ** (timing.ramp() * timing.variation.amplitude))
        return Shot(backdrop=about((scene.main.x, scene.main.y), grown))

    return effect
