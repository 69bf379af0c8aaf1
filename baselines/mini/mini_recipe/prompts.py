"""Training captions: what a model is told of a clip, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from vapbench.models.inputs import NEGATIVE_PROMPT
from vapbench.suites.mini.captions import Captions, clip_captions
from vapbench.suites.mini.render import MiniClip

Telling = Literal["plain", "scene", "benchmark", "empty", "negative"]
"""The effect in words; the scene alone; the effect by its code name; nothing; the pipelines' negative prompt."""

TELLINGS: tuple[Telling, ...] = get_args(Telling)


@dataclass(frozen=True)
class Mix:
    """Shares of the ways to caption a clip.

    The negative prompt stands for no caption, so that guidance against it, which is what the pipelines do
    unless told otherwise, is guidance against the unconditional model.
    """

    plain: float = 0.5
    scene: float = 0.18
    benchmark: float = 0.18
    empty: float = 0.07
    negative: float = 0.07

    def draw(self, count: int, generator: torch.Generator) -> list[Telling]:
        """Draw how each of ``count`` clips is captioned."""
        shares = torch.tensor([getattr(self, telling) for telling in TELLINGS])
        places = torch.multinomial(shares, count, replacement=True, generator=generator)
        return [TELLINGS[place] for place in places.tolist()]


def told(captions: Captions, telling: Telling) -> str:
    """The caption in one of the ways."""
    if telling == "empty":
        return ""
    return NEGATIVE_PROMPT if telling == "negative" else str(getattr(captions, telling))


def captions_of(specs: Sequence[MiniClip]) -> list[Captions]:
    """The captions of clips."""
    return [clip_captions(spec) for spec in specs]
