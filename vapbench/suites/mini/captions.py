"""Captions in VAP-Data's manner: one or two sentences of what the clip shows.

The *benchmark* caption describes the scene and names the effect by its code name only, so that text alone
cannot tell what happens. The *plain* caption says it in words. Both describe the scene in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vapbench.suites.mini.conditions import CONDITIONS, Condition
from vapbench.suites.mini.grammar.codes import is_code
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.scenes import Background, Scene, Subject, seeded

_OPENINGS = ("{main} in front of {place}", "In front of {place} there is {main}", "{main} against {place}")
_OPENINGS_OUTSIDE = ("{main} over {place}", "Over {place} there is {main}", "{main} above {place}")
_WITH_CODE = ("Then {effect} happens.", "Then {effect} begins.", "Soon the {effect} effect sets in.")
_IN_WORDS = ("Then {effect}.", "Soon {effect}.", "After a moment {effect}.")


@dataclass(frozen=True)
class Captions:
    """What is said of one clip."""

    scene: str
    """The scene, and no word of an effect."""
    benchmark: str
    """The scene, and the effect by its code name."""
    plain: str
    """The scene, and the effect in plain words."""


def caption(scene: Scene, condition: Condition, seed: int) -> Captions:
    """Describe a clip; the seed varies the wording alone."""
    rng = seeded("caption", condition.name, scene.number, seed)
    shown = _describe(scene, rng)
    turn = int(rng.integers(len(_WITH_CODE)))
    words = condition.description.format(it=f"the {scene.main.colour} {scene.main.shape}")
    return Captions(
        scene=shown,
        benchmark=f"{shown} {_WITH_CODE[turn].format(effect=condition.name)}",
        plain=f"{shown} {_IN_WORDS[turn].format(effect=words)}",
    )


def clip_captions(spec: MiniClip) -> Captions:
    """Describe the clip of a specification.

    Raises:
        UsageError: there is no such condition.
        DataError: there is no such scene.
    """
    scene, condition, _ = spec.resolve()
    return caption(scene, condition, spec.variation)


def naming_effects(text: str, scene: Scene, effects: Mapping[str, str]) -> str:
    """A benchmark caption with the code name at its end exchanged for something else, in the same turn of phrase.

    Args:
        text: the caption.
        scene: what it describes.
        effects: code name -> another code name, or plain words with ``{it}`` for the main subject.

    Returns:
        The caption; as it was where it ends in no code name that ``effects`` knows.
    """
    subject = f"the {scene.main.colour} {scene.main.shape}"
    for name, other in effects.items():
        words, named = other.format(it=subject), other in CONDITIONS or is_code(other)
        for turn, phrase in enumerate(_WITH_CODE):
            if text.endswith(ending := phrase.format(effect=name)):
                turned = (_WITH_CODE if named else _IN_WORDS)[turn]
                return text.removesuffix(ending) + turned.format(effect=words)
    return text


def _describe(scene: Scene, rng: np.random.Generator) -> str:
    openings = _OPENINGS_OUTSIDE if scene.background.kind == "horizon" else _OPENINGS
    opening = openings[int(rng.integers(len(openings)))]
    main = opening.format(main=_subject("large", scene.main), place=_background(scene.background))
    others = [f"{_subject('small', other)} on the {_side(other)}" for other in scene.others]
    sentence = main + (f", with {' and '.join(others)}" if others else "")
    return f"{sentence[0].upper()}{sentence[1:]}."


def _subject(size: str, subject: Subject) -> str:
    colour, marking = subject.colour, subject.marking
    if subject.texture == "two-tone":
        return f"a {size} half {colour}, half {marking} {subject.shape}"
    if subject.texture == "checkered":
        return f"a {size} {colour} and {marking} checkered {subject.shape}"
    marks = {"striped": "stripes", "spotted": "spots"}[subject.texture]
    return f"a {size} {colour} {subject.shape} with {marking} {marks}"


def _background(background: Background) -> str:
    first, second = background.colours
    if background.kind == "horizon":
        return f"{_a(second)} {second} ground under {_a(first)} {first} sky"
    if background.kind == "gradient":
        return f"a dotted wall that fades from {first} to {second}"
    pattern = {"checker": "checkered", "stripes": "striped"}[background.kind]
    return f"{_a(first)} {first} and {second} {pattern} wall"


def _side(subject: Subject) -> str:
    return "left" if subject.x < 0 else "right"


def _a(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
