"""The families of conditions: what can be said of a semantic in numbers and names.

Every parameter lists the values that conditions take. Between them lie others, which a reader of clips may
find; a parameter at its default does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

from vapbench.errors import DataError, ErrorKind

Category = Literal["concept", "style", "motion", "camera"]
CATEGORIES: tuple[Category, ...] = get_args(Category)

Outline = Literal["own", "disc", "flower", "star"]
Material = Literal["own", "metal", "rings", "scales", "glow"]
Texture = Literal["plain", "lines", "dots", "tiles"]
Path = Literal["none", "line", "hop", "clockwise", "anticlockwise", "eight"]


@dataclass(frozen=True)
class Axis:
    """One parameter of a family."""

    values: tuple[Any, ...]
    """What conditions take: rising numbers, or names."""
    circular: float | None = None
    """Length of the circle on which the numbers lie; None where they lie on a line."""
    whole: bool = False
    """Whether nothing lies between the values: one cannot have five petals and a half."""

    @property
    def named(self) -> bool:
        """Whether its values are names."""
        return isinstance(self.values[0], str)

    def holds(self, value: Any) -> bool:
        """Whether a value is a name of it, or a number within its bounds."""
        if self.named:
            return value in self.values
        if self.circular is not None:
            return bool(0 <= value < self.circular)
        return bool(self.values[0] <= value <= self.values[-1])

    def near(self, value: float, step: float) -> float:
        """The number a share ``step`` of the range away, round the circle or held at the ends."""
        if self.circular is not None:
            return (value + step * self.circular) % self.circular
        low, high = self.values[0], self.values[-1]
        return float(min(max(value + step * (high - low), low), high))


def _numbers(low: float, high: float, count: int) -> Axis:
    """``count`` numbers from ``low`` to ``high``."""
    return Axis(tuple(round(low + (high - low) * place / (count - 1), 4) for place in range(count)))


def _circle(count: int) -> Axis:
    """``count`` directions or hues, in turns."""
    return Axis(tuple(round(place / count, 6) for place in range(count)), circular=1.0)


@dataclass(frozen=True)
class _Family:
    category: ClassVar[Category]

    def __post_init__(self) -> None:
        for name, axis in axes(type(self)).items():
            if not axis.holds(getattr(self, name)):
                bounds = ", ".join(axis.values) if axis.named else f"{axis.values[0]} to {axis.values[-1]}"
                raise DataError(
                    f"{type(self).__name__}.{name} is {getattr(self, name)!r}; it takes {bounds}.",
                    ErrorKind.INVALID,
                    f"{type(self).__name__}.{name}",
                )

    def _reset(self, *names: str) -> Any:
        """The same with some parameters at their defaults."""
        defaults = {f.name: f.default for f in fields(self) if f.name in names}
        return replace(self, **defaults)


@dataclass(frozen=True)
class Camera(_Family):
    """A steady move of the camera: a pan, a zoom, a roll, a dolly zoom, or several at once."""

    category = "camera"
    direction: Annotated[float, _circle(24)] = 0.0
    """Where the camera pans, in turns clockwise from rightwards, 0..1."""
    distance: Annotated[float, _numbers(0.0, 0.9, 10)] = 0.0
    """How far it pans, in frame units (half a frame's height)."""
    zoom: Annotated[float, _numbers(-1.0, 1.0, 17)] = 0.0
    """Doublings of the picture's scale about the frame's centre."""
    roll: Annotated[float, _numbers(-0.2, 0.2, 17)] = 0.0
    """How far the picture turns clockwise, in turns."""
    dolly: Annotated[float, _numbers(-1.0, 1.2, 12)] = 0.0
    """Doublings of the scale of all behind the main subject, which keeps its size."""

    def canonical(self) -> Camera:
        """The same move without a direction where nothing pans."""
        same: Camera = self if self.distance else self._reset("direction")
        return same


@dataclass(frozen=True)
class Style(_Family):
    """A look of the whole picture: a palette, with a texture, in so many tones."""

    category = "style"
    hue: Annotated[float, _circle(24)] = 0.0
    """Hue of the palette, in turns from red."""
    palette: Literal["straight", "reversed"] = "straight"
    """Whether dark stays dark."""
    tones: Annotated[float, Axis((2.0, 3.0, 4.0, 6.0, 32.0), whole=True)] = 32.0
    """How many tones are left; 32 look smooth."""
    texture: Texture = "plain"
    """What is printed over the tones; tiles are blocks of one colour."""
    period: Annotated[float, _numbers(5.0, 11.0, 7)] = 5.0
    """Repetition of the texture in pixels."""
    angle: Annotated[float, _circle(12)] = 0.0
    """Direction of lines, in half turns, 0 vertical."""

    def canonical(self) -> Style:
        """The same look without the texture's parameters where it has none."""
        idle = {"plain": ("period", "angle"), "lines": ()}.get(self.texture, ("angle",))
        same: Style = self._reset(*idle)
        return same


@dataclass(frozen=True)
class Motion(_Family):
    """How the main subject moves: along a path, turning or swelling on its way."""

    category = "motion"
    path: Path = "none"
    """To and fro on a line; hops off a ground; rounds either way; figures of eight."""
    direction: Annotated[float, _circle(24)] = 0.0
    """Where it sets out, or hops, in turns clockwise from rightwards; of rounds, where on the circle they begin."""
    amplitude: Annotated[float, _numbers(0.2, 0.5, 7)] = 0.2
    """How far the path leads from its middle, in frame units."""
    cycles: Annotated[float, _numbers(0.5, 1.5, 5)] = 1.0
    """Repetitions in a clip."""
    turn: Annotated[float, _numbers(-1.0, 1.0, 9)] = 0.0
    """How far it turns about itself, in turns clockwise."""
    swell: Annotated[float, _numbers(0.0, 0.8, 5)] = 0.0
    """Growth at the height of a beat, as a share of its size."""

    def canonical(self) -> Motion:
        """The same motion without the path's parameters where there is none."""
        same: Motion = self if self.path != "none" else self._reset("direction", "amplitude")
        if same.path == "none" and not same.swell:
            same = same._reset("cycles")
        return same


@dataclass(frozen=True)
class Concept(_Family):
    """What the main subject becomes: another outline, another size, another material."""

    category = "concept"
    outline: Outline = "own"
    lobes: Annotated[float, Axis((3.0, 4.0, 5.0, 6.0, 7.0, 8.0), whole=True)] = 5.0
    """Petals or tips."""
    depth: Annotated[float, _numbers(0.15, 0.45, 7)] = 0.15
    """How far these stand out, as a share of the radius."""
    growth: Annotated[float, _numbers(-0.8, 0.6, 15)] = 0.0
    """Doublings of its size."""
    stretch: Annotated[float, _numbers(-0.8, 0.8, 9)] = 0.0
    """Doublings of its height over its width."""
    material: Material = "own"
    hue: Annotated[float, _circle(12)] = 0.0
    """Hue of the material, in turns from red."""

    def canonical(self) -> Concept:
        """The same change without the parameters of what stays its own."""
        same: Concept = self if self.outline in ("flower", "star") else self._reset("lobes", "depth")
        return same if same.material != "own" else same._reset("hue")


Semantics = Camera | Style | Motion | Concept
"""A condition of the grammar, by its parameters."""

FAMILIES: Mapping[Category, type[Semantics]] = {
    "concept": Concept,
    "style": Style,
    "motion": Motion,
    "camera": Camera,
}


def axes(family: type[_Family]) -> dict[str, Axis]:
    """The parameters of a family, by name."""
    return _axes(family.category)


@cache
def _axes(category: Category) -> dict[str, Axis]:
    hints = get_type_hints(FAMILIES[category], include_extras=True)
    return {f.name: _axis(hints[f.name]) for f in fields(FAMILIES[category])}


def _axis(hint: Any) -> Axis:
    """That which annotates a number, or the names that a literal allows."""
    return hint.__metadata__[0] if hasattr(hint, "__metadata__") else Axis(get_args(hint))
