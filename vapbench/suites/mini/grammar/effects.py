"""What a condition of the grammar does to a scene, and its plain words, whatever its family."""

from __future__ import annotations

from vapbench.suites.mini.grammar import camera, concept, motion, style
from vapbench.suites.mini.grammar.parameters import Camera, Motion, Semantics, Style
from vapbench.suites.mini.shots import Effect


def effect_of(semantics: Semantics) -> Effect:
    """The effect of a condition."""
    if isinstance(semantics, Camera):
        return camera.effect(semantics)
    if isinstance(semantics, Style):
        return style.effect(semantics)
    return motion.effect(semantics) if isinstance(semantics, Motion) else concept.effect(semantics)


def words_of(semantics: Semantics) -> str:
    """The condition in plain words: one clause, with every parameter; ``{it}`` stands for the main subject."""
    if isinstance(semantics, Camera):
        return camera.words(semantics)
    if isinstance(semantics, Style):
        return style.words(semantics)
    return motion.words(semantics) if isinstance(semantics, Motion) else concept.words(semantics)
