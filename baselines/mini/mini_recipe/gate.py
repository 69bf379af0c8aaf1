"""The gate: told the effect in plain words, does the base draw it?

Nothing that steers the base can do better than the base that is told. It is measured on validation scenes,
with guidance, by judges that read the generated clips. Told by code name only, it should stay near chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mini_recipe.clips import to_frames
from mini_recipe.diffusion import Sampling, rotary, sample
from mini_recipe.latents import decode, encode
from mini_recipe.prompts import Telling, captions_of, told
from mini_recipe.text import tokenise
from vapbench.models.semantic_encoder import to_video
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.training.attention import quick_attention
from vapbench.training.contact_sheets import save_sheet

THRESHOLD = 0.8
"""Share of held-out scenes in which the told base must draw the right effect, every judge agreeing."""
_BATCH = 27

Judge = Callable[[npt.NDArray[np.uint8], Sequence[MiniClip]], dict[str, float]]
"""How often generated clips show what they were meant to: ``all`` of them, and by category, shares of 1."""

Accuracies = dict[str, dict[str, float]]
"""By ``telling/judge``: accuracy overall and for each category."""


@dataclass(frozen=True)
class Gate:
    """What the gate needs beside the base."""

    specs: Sequence[MiniClip]
    """Held-out clips; their first frames and captions are used."""
    vae: Any
    tokenizer: Any
    text_encoder: Any
    judges: dict[str, Judge]
    """By name; each gives its own verdict."""
    sampling: Sampling = field(default_factory=Sampling)


def measure_gate(model: Any, gate: Gate, tellings: Sequence[Telling], sheet: Path | None = None) -> Accuracies:
    """Measure how often each way of telling the base leads to the right effect.

    Args:
        model: a base transformer in evaluation mode.
        gate: see there.
        tellings: ways to caption; ``plain`` is the gate proper.
        sheet: where to save some clips of the first way.
    """
    results: Accuracies = {}
    for telling in tellings:
        clips = generate(model, gate, telling)
        for name, judge in gate.judges.items():
            results[f"{telling}/{name}"] = judge(clips, gate.specs)
        if sheet is not None and telling == tellings[0]:
            save_sheet(sheet, clips[:_BATCH])
    return results


def passes(results: Accuracies) -> bool:
    """Whether every judge finds the told base right often enough."""
    return all(found["all"] >= THRESHOLD for name, found in results.items() if name.startswith("plain/"))


@torch.no_grad()
def generate(model: Any, gate: Gate, telling: Telling) -> npt.NDArray[np.uint8]:
    """Generate a clip for each of the gate's, ``(N, F, H, W, 3)`` uint8."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(gate.sampling.seed)
    table = rotary(model.config, device)

    def velocity(inputs: torch.Tensor, text: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        predicted: torch.Tensor = model(inputs, text, timesteps, image_rotary_emb=table, return_dict=False)[0]
        return predicted

    parts = []
    for start in range(0, len(gate.specs), _BATCH):
        specs = gate.specs[start : start + _BATCH]
        mean, deviation = encode(gate.vae, to_video(render_batch(specs)[:, :1]))
        first = mean + deviation * torch.randn(mean.shape, generator=generator)
        captions = [told(caption, telling) for caption in captions_of(specs)]
        ids = tokenise(gate.tokenizer, [""] * len(specs) + captions).to(device)
        text = gate.text_encoder(ids)[0]
        with quick_attention(device):
            latents = sample(velocity, text, first.to(device), gate.sampling, generator)
        parts.append(to_frames(decode(gate.vae, latents)))
    return np.concatenate(parts)
