"""Which clips the stages are trained and judged on; batches are rendered as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from vapbench.suites.mini.cases import training_clip
from vapbench.suites.mini.conditions import CONDITIONS
from vapbench.suites.mini.grammar.codes import code_of
from vapbench.suites.mini.grammar.split import TRAINING_CONDITIONS, all_training_conditions
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.suites.mini.scenes import scene_number
from vapbench.training.data import SEEN_NAMES

ALL_NAMES: tuple[str, ...] = tuple(CONDITIONS)


def validation_specs(per_condition: int, names: Sequence[str] = ALL_NAMES, first: int = 0) -> list[MiniClip]:
    """Clips on validation scenes, which no stage trains on; held-out conditions among them by default."""
    specs = []
    for index in range(first, first + per_condition):
        for place, name in enumerate(names):
            number = scene_number("validation", index * len(names) + place)
            specs.append(MiniClip(name, number, variation=number))
    return specs


def judge_specs(per_condition: int, first_scene: int, names: Sequence[str] = ALL_NAMES) -> list[MiniClip]:
    """Clips that judges train on: conditions in turn, held-out ones too, every clip on a training scene of its own."""
    specs = []
    for index in range(per_condition):
        for place, name in enumerate(names):
            number = scene_number("train", first_scene + index * len(names) + place)
            specs.append(MiniClip(name, number, variation=number))
    return specs


def random_specs(count: int, generator: torch.Generator, names: Sequence[str] = SEEN_NAMES) -> list[MiniClip]:
    """Draw clips of random conditions, of the seen ones by default, on random training scenes."""
    indices = torch.randint(0, 1_000_000, (count,), generator=generator)
    places = torch.randint(0, len(names), (count,), generator=generator)
    chosen = zip(indices.tolist(), places.tolist(), strict=True)
    return [training_clip(names[place], index) for index, place in chosen]


def random_clips(count: int, generator: torch.Generator, names: Sequence[str] = SEEN_NAMES) -> npt.NDArray[np.uint8]:
    """Render clips of random conditions, of the seen ones by default, on random training scenes.

    Returns:
        ``(count, F, H, W, 3)`` uint8.
    """
    return render_batch(random_specs(count, generator, names))


@cache
def grammar_codes(per_category: int = TRAINING_CONDITIONS) -> tuple[str, ...]:
    """Code names of the grammar's training conditions, one of each category in turn."""
    return tuple(code_of(semantics) for semantics in all_training_conditions(per_category))


def to_frames(video: torch.Tensor) -> npt.NDArray[np.uint8]:
    """Turn ``(B, 3, F, H, W)`` in -1..1 into ``(B, F, H, W, 3)`` uint8."""
    levels = (video.float().clamp(-1, 1) + 1).mul(127.5).round().to(torch.uint8)
    frames: npt.NDArray[np.uint8] = levels.permute(0, 2, 3, 4, 1).cpu().numpy()
    return frames
