"""Scenes: what a clip shows before anything happens to it, as pure data drawn from a number.

A scene is a background and one to three subjects. The first subject is the *main* one, large and in front:
effects of category concept and motion happen to it. Which split a scene belongs to follows from its number
alone (:func:`split_of`), so splits cannot overlap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np

from vapbench.errors import DataError, ErrorKind

T = TypeVar("T")

Shape = Literal["disc", "square", "triangle", "diamond", "hexagon", "cross"]
Texture = Literal["striped", "spotted", "checkered", "two-tone"]
BackgroundKind = Literal["gradient", "checker", "stripes", "horizon"]
Split = Literal["train", "validation", "test"]

VIVID: dict[str, tuple[float, float, float]] = {
    "red": (0.91, 0.12, 0.14),
    "orange": (0.99, 0.52, 0.05),
    "yellow": (0.99, 0.85, 0.10),
    "green": (0.10, 0.70, 0.22),
    "cyan": (0.06, 0.78, 0.85),
    "blue": (0.12, 0.28, 0.92),
    "purple": (0.55, 0.14, 0.80),
    "pink": (0.98, 0.28, 0.66),
}
"""Colours of subjects, RGB in 0..1."""

MARKINGS: dict[str, tuple[float, float, float]] = {
    "white": (0.97, 0.97, 0.97),
    "black": (0.08, 0.08, 0.10),
    "yellow": VIVID["yellow"],
    "navy": (0.08, 0.12, 0.42),
}
"""Second colours of subjects, RGB in 0..1."""

CALM: dict[str, tuple[float, float, float]] = {
    "grey": (0.58, 0.58, 0.60),
    "beige": (0.80, 0.74, 0.64),
    "slate": (0.40, 0.46, 0.54),
    "sage": (0.58, 0.66, 0.54),
    "mauve": (0.64, 0.55, 0.64),
    "tan": (0.68, 0.58, 0.46),
    "pale blue": (0.66, 0.76, 0.84),
    "cream": (0.90, 0.87, 0.78),
}
"""Colours of backgrounds, RGB in 0..1."""

_TOO_CLOSE = {"yellow": ("yellow", "white"), "blue": ("navy",), "purple": ("navy",)}
_FIRST_NUMBER: dict[Split, int] = {"test": 1_000, "validation": 10_000, "train": 100_000}
_ENTROPY = 0x5CE11E  # keeps the suite's random streams apart from anyone else's with the same small seeds


@dataclass(frozen=True)
class Subject:
    """A flat, textured figure."""

    shape: Shape
    texture: Texture
    colour: str
    """Key of ``VIVID``."""
    marking: str
    """Key of ``MARKINGS``: the texture's second colour."""
    x: float
    y: float
    """Centre in frame units, -1..1, y down."""
    radius: float
    """About half its height, in frame units."""
    angle: float
    """Direction of the texture in radians; the shape itself stands upright."""
    depth: float
    """Nearness in 0..1, 1 at the camera."""


@dataclass(frozen=True)
class Background:
    """A textured plane that goes on beyond the frame."""

    kind: BackgroundKind
    colours: tuple[str, str]
    """Keys of ``CALM``; for a horizon, of the sky and of the ground."""
    period: float
    """Length of one repetition in frame units."""
    angle: float
    """Direction of the pattern in radians."""
    offset: tuple[float, float]
    """Shift of the pattern in repetitions, 0..1."""
    level: float
    """Height of the horizon in frame units; unused by the other kinds."""


@dataclass(frozen=True)
class Scene:
    """A background and its subjects; equal scenes render equally."""

    number: int
    """What it was drawn from."""
    background: Background
    main: Subject
    others: tuple[Subject, ...]
    """Zero to two small subjects behind the main one, farthest first."""

    @property
    def name(self) -> str:
        """``scene-<number>``, safe in paths."""
        return f"scene-{self.number}"

    def content_hash(self) -> str:
        """SHA-256 of everything the scene shows; the number it was drawn from does not count."""
        # The repr of nested dataclasses names every field and writes floats exactly.
        return hashlib.sha256(repr((self.background, self.main, self.others)).encode()).hexdigest()


def seeded(*parts: int | str) -> np.random.Generator:
    """A random stream for a thing named by integers and words, the same on every machine and in every run.

    Args:
        parts: non-negative integers and strings, in order.
    """
    words = [_ENTROPY]
    for part in parts:
        if isinstance(part, str):
            words.append(int.from_bytes(hashlib.sha256(part.encode()).digest()[:8], "little"))
        else:
            words.append(part)
    return np.random.default_rng(np.random.SeedSequence(words))


def scene_number(split: Split, index: int) -> int:
    """Number of the ``index``-th scene of a split.

    Test scenes are 1000 to 9999, validation scenes 10,000 to 99,999, training scenes 100,000 and up.

    Raises:
        DataError: the split has no such scene.
    """
    number = _FIRST_NUMBER[split] + index
    if index < 0 or split_of(number) != split:
        raise DataError(
            f"the mini suite's {split} split has no scene {index}; the next split begins there.",
            ErrorKind.UNKNOWN,
            "scene",
        )
    return number


def split_of(number: int) -> Split:
    """The one split a scene number belongs to.

    Raises:
        DataError: the number is below 1000, which names no scene.
    """
    for split in ("train", "validation", "test"):
        if number >= _FIRST_NUMBER[split]:
            return split
    raise DataError(f"mini scenes are numbered from {_FIRST_NUMBER['test']}, got {number}.", ErrorKind.INVALID, "scene")


def draw_scene(number: int) -> Scene:
    """Draw the scene of a number: always the same one.

    Raises:
        DataError: the number names no scene.
    """
    split_of(number)
    rng = seeded("scene", number)
    background = _draw_background(rng)
    main = _draw_main(rng)
    return Scene(number, background, main, _draw_others(rng, main))


def _draw_background(rng: np.random.Generator) -> Background:
    first, second = (list(CALM)[i] for i in rng.permutation(len(CALM))[:2])
    return Background(
        kind=_pick(rng, get_args(BackgroundKind)),
        colours=(first, second),
        period=_between(rng, 0.60, 0.95),
        angle=_between(rng, -0.6, 0.6),
        offset=(_between(rng, 0, 1), _between(rng, 0, 1)),
        level=_between(rng, -0.15, 0.30),
    )


def _draw_main(rng: np.random.Generator) -> Subject:
    return _draw_subject(
        rng,
        x=_between(rng, -0.25, 0.25),
        y=_between(rng, -0.12, 0.28),
        radius=_between(rng, 0.38, 0.54),
        depth=0.9,
        colours=list(VIVID),
    )


def _draw_others(rng: np.random.Generator, main: Subject) -> tuple[Subject, ...]:
    count = int(rng.integers(0, 3))
    # Opposite sides of the frame, in random order, so that the two never hide each other.
    sides = (1, -1) if rng.random() < 0.5 else (-1, 1)
    colours = [colour for colour in VIVID if colour != main.colour]
    others = (
        _draw_subject(
            rng,
            x=side * _between(rng, 0.68, 0.80),
            y=_between(rng, -0.72, 0.72),
            radius=_between(rng, 0.14, 0.20),
            depth=0.45 + 0.2 * place,
            colours=colours,
        )
        for place, side in enumerate(sides[:count])
    )
    return tuple(others)


def _draw_subject(
    rng: np.random.Generator, x: float, y: float, radius: float, depth: float, colours: list[str]
) -> Subject:
    colour = _pick(rng, colours)
    return Subject(
        shape=_pick(rng, get_args(Shape)),
        texture=_pick(rng, get_args(Texture)),
        colour=colour,
        marking=_pick(rng, [m for m in MARKINGS if m not in _TOO_CLOSE.get(colour, ())]),
        x=x,
        y=y,
        radius=radius,
        angle=_between(rng, 0.0, np.pi),
        depth=depth,
    )


def _pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    # Rounded so that the content hash does not hang on the last bits of a float.
    return round(float(rng.uniform(low, high)), 4)
