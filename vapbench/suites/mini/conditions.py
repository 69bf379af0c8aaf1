"""The conditions of the mini suite: code name, category, plain words, effect.

As in VAP-Data, a condition's code name means nothing to a text encoder, so that captions built on it do not
give the effect away; the plain words are for training a base model that can be told what to draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from vapbench.errors import ErrorKind, UsageError, did_you_mean
from vapbench.suites.mini.effects import camera, concept, motion, style
from vapbench.suites.mini.grammar.codes import is_code, semantics_of
from vapbench.suites.mini.grammar.effects import effect_of, words_of
from vapbench.suites.mini.grammar.parameters import CATEGORIES as CATEGORIES
from vapbench.suites.mini.grammar.parameters import Category as Category
from vapbench.suites.mini.grammar.split import broken_rules
from vapbench.suites.mini.scenes import seeded
from vapbench.suites.mini.shots import Effect, Variation


@dataclass(frozen=True)
class Condition:
    """One semantic that a reference video can show."""

    name: str
    """Code name, ``mini_`` and an invented word; safe in paths."""
    category: Category
    description: str
    """The effect in plain words, one clause; ``{it}`` stands for the main subject."""
    effect: Effect
    held_out: bool = False
    """Kept from training; its cases make the task ``zero-shot``."""


_ALL = (
    Condition("mini_bolumo", "concept", "{it} swells into a balloon and floats up", concept.balloon),
    Condition("mini_zirqua", "concept", "{it} turns into wobbling liquid metal", concept.liquid_metal),
    Condition("mini_tavimi", "concept", "two copies of {it} slide out to both sides", concept.clone),
    Condition("mini_kraduno", "concept", "{it} crumbles into bricks that fall down", concept.crumble),
    Condition("mini_selobu", "concept", "{it} melts into a puddle", concept.melt),
    Condition("mini_ravolo", "concept", "{it} turns into a golden star", concept.star),
    Condition("mini_fudari", "concept", "{it} catches fire and burns in tall flames", concept.flames),
    Condition("mini_lopeni", "concept", "{it} grows pink petals like a flower", concept.petals, held_out=True),
    Condition("mini_gudaxo", "concept", "{it} bursts into wedges that fly apart", concept.burst, held_out=True),
    Condition("mini_dekavu", "style", "the picture becomes a coarse mosaic", style.styled(style.pixelate)),
    Condition("mini_hurine", "style", "the picture becomes a pencil drawing", style.styled(style.pencil)),
    Condition("mini_vosati", "style", "the colours turn to their negative", style.negative),
    Condition("mini_pemulo", "style", "the picture ages to a brown photograph", style.styled(style.sepia)),
    Condition("mini_noctiba", "style", "night falls and small lights come on", style.styled(style.night)),
    Condition("mini_jataro", "style", "the picture breaks into red printed dots", style.styled(style.halftone)),
    Condition("mini_wikemo", "style", "the picture shows as on a heat camera", style.styled(style.thermal)),
    Condition(
        "mini_yolanu",
        "style",
        "the outlines glow like neon on black",
        style.styled(style.neon),
        held_out=True,
    ),
    Condition("mini_tirobe", "motion", "{it} spins clockwise", motion.spin),
    Condition("mini_cajusi", "motion", "{it} shakes from side to side", motion.shake),
    Condition("mini_bequno", "motion", "{it} bounces up and down", motion.bounce),
    Condition("mini_sadovi", "motion", "{it} squashes flat and stretches tall", motion.squash),
    Condition("mini_olmera", "motion", "{it} travels around a circle", motion.orbit),
    Condition("mini_wufaly", "motion", "{it} ripples like a flag", motion.wave),
    Condition("mini_hadubo", "motion", "{it} throbs like a heart", motion.throb, held_out=True),
    Condition("mini_pelango", "motion", "{it} swings like a bell", motion.swing, held_out=True),
    Condition("mini_lesuvo", "camera", "the camera pans leftwards", camera.pan(-0.85, 0.0)),
    Condition("mini_rodeka", "camera", "the camera pans rightwards", camera.pan(0.85, 0.0)),
    Condition("mini_upalti", "camera", "the camera tilts up", camera.pan(0.0, -0.85)),
    Condition("mini_ziminu", "camera", "the camera zooms in", camera.zoom(1.9)),
    Condition("mini_zoputa", "camera", "the camera zooms out", camera.zoom(0.5)),
    Condition("mini_hivocu", "camera", "the background zooms in behind {it}", camera.dolly_zoom(2.2)),
    Condition("mini_tolari", "camera", "the camera rolls and the picture turns", camera.roll(1.1)),
    Condition("mini_donelta", "camera", "the camera tilts down", camera.pan(0.0, 0.85), held_out=True),
)

CONDITIONS: dict[str, Condition] = {condition.name: condition for condition in _ALL}
"""Every condition by code name, category by category."""

SEEN: tuple[Condition, ...] = tuple(c for c in _ALL if not c.held_out)
"""Conditions that training may use."""

HELD_OUT: tuple[Condition, ...] = tuple(c for c in _ALL if c.held_out)
"""Conditions of the task ``zero-shot``."""


def condition(name: str) -> Condition:
    """The condition of a code name, of the suite or of its grammar.

    Raises:
        UsageError: there is none of that name.
    """
    if name in CONDITIONS:
        return CONDITIONS[name]
    if is_code(name):
        return _of_grammar(name)
    raise UsageError(
        f"the mini suite has no condition {name!r}.{did_you_mean(name, CONDITIONS)}", ErrorKind.UNKNOWN, "condition"
    )


def draw_variation(name: str, seed: int) -> Variation:
    """Draw how one clip of a condition differs from its others: always the same for a name and a seed."""
    rng = seeded("variation", name, seed)
    if is_code(name):  # Its parameters say how fast and how far.
        return Variation(1.0, 1.0, phase=float(rng.uniform(0.0, 1.0)), grain=int(rng.integers(2**32)))
    return Variation(
        speed=float(rng.uniform(0.85, 1.2)),
        amplitude=float(rng.uniform(0.85, 1.15)),
        phase=float(rng.uniform(0.0, 1.0)),
        grain=int(rng.integers(2**32)),
    )


@cache
def _of_grammar(code: str) -> Condition:
    semantics = semantics_of(code)
    held_out = bool(broken_rules(semantics))
    return Condition(code, semantics.category, words_of(semantics), effect_of(semantics), held_out)
