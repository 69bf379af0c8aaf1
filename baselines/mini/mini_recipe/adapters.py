"""A LoRA for each condition of the mini suite, from clips that are encoded already."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from mini_recipe.latents import Latents
from vapbench.training.examples import Examples, encode_captions
from vapbench.training.lora import LoraConfig, Task
from vapbench.training.lora_run import mini_sample


def mini_tasks(latents: Latents, pipeline: Any, config: LoraConfig) -> list[Task]:
    """A task for every mini condition that the cached clips show."""
    tasks = []
    for name in list(dict.fromkeys(spec.condition for spec in latents.specs))[: config.conditions]:
        rows = [row for row, spec in enumerate(latents.specs) if spec.condition == name][: config.clips]
        samples = [mini_sample(latents.specs[row]) for row in rows]
        captions = [sample.caption for sample in samples]
        tasks.append(Task(name, samples, partial(_examples_of, latents, rows, captions, pipeline)))
    return tasks


def _examples_of(latents: Latents, rows: Sequence[int], captions: Sequence[str], pipeline: Any) -> Examples:
    """Examples from clips that are encoded already: those of ``rows``, with a caption each."""
    chosen = torch.tensor(rows)
    texts = encode_captions(pipeline, captions)
    empty = encode_captions(pipeline, [""])[0]
    return Examples(latents.clips[chosen], latents.stills[chosen], latents.deviation, texts, empty)
