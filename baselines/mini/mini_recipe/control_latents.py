"""Clips and what controls them as latents, prepared as ``WanVACEPipeline`` prepares them.

The pipeline splits a conditioning video by its mask: what is known (here frame 0) and what controls the rest,
each with zeros elsewhere, are encoded on their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from mini_recipe.latents import checksums
from vapbench.core.control import flow_to_rgb
from vapbench.files.atomic import digest
from vapbench.metrics.features.flow import DisFlow
from vapbench.models.arithmetic import mixed_precision
from vapbench.models.semantic_encoder import to_video
from vapbench.running.context import Progress
from vapbench.suites.mini.controls import render_control
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.writer import DATA_VERSION
from vapbench.training.examples import cached_tensors

Source = Literal["original", "depth", "flow", "estimated flow"]
"""What controls a clip; a method has no renderer, and estimates the flow of its reference."""

SOURCES: tuple[Source, ...] = ("original", "depth", "flow", "original", "depth", "estimated flow")
"""What controls the clips of a condition, in turn."""

_CHUNK = 16


@dataclass(frozen=True)
class ControlLatents:
    """Latents ``(N, C, T, h, w)``, normalised as the transformer sees them, float16."""

    specs: tuple[MiniClip, ...]
    clips: torch.Tensor
    known: torch.Tensor
    """Of frame 0 alone, zeros after it."""
    controls: torch.Tensor
    """Of each clip's control, zeros before it."""
    neutral: torch.Tensor
    """Of no control, ``(1, C, T, h, w)``."""

    def conditioning(self, chosen: torch.Tensor, controlled: torch.Tensor) -> torch.Tensor:
        """What is known beside what controls, ``(B, 2C, T, h, w)`` float32.

        Args:
            chosen: which clips, ``(B,)``.
            controlled: whether each has its control or none, ``(B,)`` bool.
        """
        controls = torch.where(controlled[:, None, None, None, None], self.controls[chosen], self.neutral)
        return torch.cat([self.known[chosen].float(), controls.float()], dim=1)


def source_of(index: int, conditions: int) -> Source:
    """What controls the ``index``-th training clip of so many conditions: each comes with every source in turn."""
    return SOURCES[index // conditions % len(SOURCES)]


def cached_control_latents(
    path: Path, vae: Any, specs: Sequence[MiniClip], watcher: Progress, executor: Executor | None = None
) -> ControlLatents:
    """Encode clips and their controls, or read what an equal call has encoded.

    Args:
        path: the cache, a safetensors file.
        vae: the trained ``AutoencoderKLWan``.
        specs: the clips.
        watcher: told how far it is.
        executor: where to render.
    """
    identity = digest(
        {
            "vae": checksums(vae),
            "clips": [[spec.condition, spec.scene, spec.variation] for spec in specs],
            "sources": SOURCES,
            "data_version": DATA_VERSION,
        }
    )
    tensors = cached_tensors(path, identity, lambda: _encode_all(path.stem, vae, specs, watcher, executor))
    return ControlLatents(specs=tuple(specs), **tensors)


def split(video: torch.Tensor, control: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Split what conditions a clip into what is known and what controls, both ``(B, 3, F, H, W)`` in -1..1.

    Args:
        video: whose frame 0 is known.
        control: what controls every other frame.
    """
    known, reactive = torch.zeros_like(video), control.clone()
    known[:, :, 0] = video[:, :, 0]
    reactive[:, :, 0] = 0
    return known, reactive


@torch.no_grad()
def encode_normalised(vae: Any, video: torch.Tensor) -> torch.Tensor:
    """Posterior means ``(B, C, T, h, w)`` of ``(B, 3, F, H, W)``, normalised by the autoencoder's statistics."""
    device = next(vae.parameters()).device
    with mixed_precision(device):
        latents = vae.encode(video.to(device)).latent_dist.mode().float().cpu()
    mean, deviation = (
        torch.tensor(values)[:, None, None, None] for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    normalised: torch.Tensor = (latents - mean) / deviation
    return normalised


def _encode_all(
    label: str, vae: Any, specs: Sequence[MiniClip], watcher: Progress, executor: Executor | None
) -> dict[str, torch.Tensor]:
    parts: dict[str, list[torch.Tensor]] = {"clips": [], "known": [], "controls": []}
    conditions = len({spec.condition for spec in specs})
    watcher.begin(label, len(specs))
    for start in range(0, len(specs), _CHUNK):
        chunk = specs[start : start + _CHUNK]
        sources = [source_of(start + place, conditions) for place in range(len(chunk))]
        rendered = map(_render, chunk, sources) if executor is None else executor.map(_render, chunk, sources)
        pairs = np.stack(list(rendered))
        video, control = to_video(pairs[:, 0]), to_video(pairs[:, 1])
        known, reactive = split(video, control)
        for name, part in (("clips", video), ("known", known), ("controls", reactive)):
            parts[name].append(encode_normalised(vae, part).half().contiguous())
        for _ in chunk:
            watcher.step(label)
    watcher.end()
    neutral = encode_normalised(vae, torch.zeros_like(video[:1])).half().contiguous()
    return {name: torch.cat(values) for name, values in parts.items()} | {"neutral": neutral}


def _render(spec: MiniClip, source: Source) -> npt.NDArray[np.uint8]:
    """A clip and its control, ``(2, F, H, W, 3)``."""
    clip = spec.render()
    if source == "estimated flow":
        control = flow_to_rgb(_estimated_flow(clip))
    else:
        control = clip if source == "original" else render_control(spec, source)
    return np.stack([clip, control])


def _estimated_flow(clip: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    estimator = DisFlow()
    grey = [estimator.grey(frame) for frame in clip]
    return np.stack([estimator(first, second) for first, second in pairwise(grey)])
