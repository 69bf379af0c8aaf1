"""Clips as latents: encoded once, kept in half precision, drawn from ever after."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vapbench.files.atomic import digest
from vapbench.models.arithmetic import mixed_precision
from vapbench.models.semantic_encoder import to_video
from vapbench.running.context import Progress
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.suites.mini.writer import DATA_VERSION
from vapbench.training.examples import cached_tensors

_CHUNK = 16


@dataclass(frozen=True)
class Latents:
    """Latents of clips, scaled as transformers see them, in the transformers' layout."""

    specs: tuple[MiniClip, ...]
    clips: torch.Tensor
    """Posterior means of whole clips, float16 ``(N, T, C, h, w)``."""
    stills: torch.Tensor
    """Posterior means of the first frames alone, float16 ``(N, C, h, w)``."""
    deviation: torch.Tensor
    """The posterior's mean standard deviation by channel, ``(C,)``."""

    def only(self, conditions: Sequence[str]) -> Latents:
        """The clips of some conditions."""
        rows = [row for row, spec in enumerate(self.specs) if spec.condition in set(conditions)]
        specs = tuple(self.specs[row] for row in rows)
        return Latents(specs, self.clips[rows], self.stills[rows], self.deviation)

    def first_frames(self, chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """First-frame latents drawn as the pipelines draw them, padded with zeros, ``(B, T, C, h, w)``."""
        still = self.stills[chosen].float()
        noise = torch.randn(still.shape, generator=generator)
        still = still + self.deviation[:, None, None] * noise
        padded = still.new_zeros(len(chosen), *self.clips.shape[1:])
        padded[:, 0] = still
        return padded


def cached_latents(
    path: Path, vae: Any, specs: Sequence[MiniClip], watcher: Progress, executor: Executor | None = None
) -> Latents:
    """Encode clips, or read what an equal call has encoded.

    Args:
        path: the cache, a safetensors file.
        vae: the trained autoencoder.
        specs: the clips.
        watcher: told how far it is.
        executor: where to render.
    """
    identity = digest(
        {
            "vae": checksums(vae),
            "clips": [[spec.condition, spec.scene, spec.variation] for spec in specs],
            "data_version": DATA_VERSION,
        }
    )
    tensors = cached_tensors(path, identity, lambda: _encode_all(path.stem, vae, specs, watcher, executor))
    return Latents(specs=tuple(specs), **tensors)


def checksums(module: Any) -> list[float]:
    """Sums of a module's parameters, which tell trained weights apart."""
    return [float(parameter.double().abs().sum()) for parameter in module.parameters()]


@torch.no_grad()
def encode(vae: Any, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Posterior mean and standard deviation ``(B, T, C, h, w)`` of ``(B, 3, F, H, W)``, scaled."""
    device = next(vae.parameters()).device
    with mixed_precision(device):
        posterior = vae.encode(video.to(device)).latent_dist
    scale = float(vae.config.scaling_factor)
    mean, deviation = posterior.mean.float() * scale, posterior.std.float() * scale
    return mean.transpose(1, 2).cpu(), deviation.transpose(1, 2).cpu()


@torch.no_grad()
def decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Videos ``(B, 3, F, H, W)`` in -1..1 of scaled latents ``(B, T, C, h, w)``."""
    device = next(vae.parameters()).device
    scaled = latents.to(device).transpose(1, 2).float() / float(vae.config.scaling_factor)
    with mixed_precision(device):
        video = vae.decode(scaled.contiguous(memory_format=torch.channels_last_3d)).sample
    frames: torch.Tensor = video.float().clamp(-1, 1)
    return frames


def _encode_all(
    label: str, vae: Any, specs: Sequence[MiniClip], watcher: Progress, executor: Executor | None
) -> dict[str, torch.Tensor]:
    clips, stills, deviations = [], [], []
    watcher.begin(label, len(specs))
    for start in range(0, len(specs), _CHUNK):
        chunk = specs[start : start + _CHUNK]
        video = to_video(render_batch(chunk, executor))
        mean, deviation = encode(vae, video)
        clips.append(mean.half().contiguous())
        stills.append(encode(vae, video[:, :, :1])[0][:, 0].half().contiguous())
        deviations.append(deviation.mean(dim=(0, 1, 3, 4)))
        for _ in chunk:
            watcher.step(label)
    watcher.end()
    tensors = {"clips": torch.cat(clips), "stills": torch.cat(stills)}
    tensors["deviation"] = torch.stack(deviations).mean(dim=0)
    return tensors
