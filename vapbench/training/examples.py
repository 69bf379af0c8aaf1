"""What an adapter trains on: clips of one condition as latents, with their captions encoded, kept on disk.

Clips come from VAP-Data's training split or from the mini suite's training scenes; what is encoded looks the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from vapbench.core.clip import Frames
from vapbench.files.atomic import atomic_path, digest
from vapbench.running.context import Progress

_CAPTIONS_AT_ONCE = 32


@dataclass(frozen=True)
class Sample:
    """A training clip that is not yet decoded."""

    content: str
    """What it is: a hash and the size it is decoded to, or a name and version from which it can be rendered."""
    caption: str
    frames: Callable[[], Frames]
    """Decode or render it: ``(F, H, W, 3)`` uint8 at the size to train at."""


@dataclass(frozen=True)
class Examples:
    """Clips of one condition, as a CogVideoX transformer sees them."""

    clips: torch.Tensor
    """Posterior means of whole clips, scaled, float16 ``(N, T, C, h, w)``."""
    stills: torch.Tensor
    """Posterior means of the first frames alone, float16 ``(N, C, h, w)``."""
    deviation: torch.Tensor
    """The posterior's mean standard deviation by channel, ``(C,)``."""
    texts: torch.Tensor
    """Encoded captions, float16 ``(N, L, D)``."""
    empty: torch.Tensor
    """The encoded empty caption, float16 ``(L, D)``."""

    def __len__(self) -> int:
        return len(self.clips)


def data_sha256(samples: Sequence[Sample]) -> str:
    """Hash of what is trained on: every clip and caption."""
    return digest([[sample.content, sample.caption] for sample in samples])


def cached_tensors(path: Path, identity: str, make: Callable[[], dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Read the tensors that an equal call has made, or make and keep them.

    Args:
        path: the cache, a safetensors file.
        identity: hash of everything they depend on.
        make: makes them.
    """
    if not _holds(path, identity):
        with atomic_path(path) as temporary:
            save_file(make(), temporary, metadata={"identity": identity})
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def encoded_examples(path: Path, pipeline: Any, base: str, samples: Sequence[Sample], watcher: Progress) -> Examples:
    """Encode clips and captions, or read what an equal call has encoded.

    Args:
        path: the cache, a safetensors file.
        pipeline: with the autoencoder and the text encoder, on the device to encode on.
        base: fingerprint of the pipeline: another one encodes otherwise.
        samples: the clips.
        watcher: told how far it is.
    """

    def make() -> dict[str, torch.Tensor]:
        clips, stills, deviation = _encode_videos(path.parent.name, pipeline, samples, watcher)
        texts = encode_captions(pipeline, [sample.caption for sample in samples])
        empty = encode_captions(pipeline, [""])[0].clone()
        return {"clips": clips, "stills": stills, "deviation": deviation, "texts": texts, "empty": empty}

    return Examples(**cached_tensors(path, digest([base, data_sha256(samples)]), make))


@torch.no_grad()
def encode_captions(pipeline: Any, captions: Sequence[str]) -> torch.Tensor:
    """Captions by the pipeline's text encoder, float16 ``(N, L, D)``; the many that are equal are encoded once."""
    distinct = sorted(set(captions))
    length = pipeline.transformer.config.max_text_seq_length
    parts = [
        pipeline.encode_prompt(
            distinct[start : start + _CAPTIONS_AT_ONCE],
            do_classifier_free_guidance=False,
            max_sequence_length=length,
        )[0].cpu()
        for start in range(0, len(distinct), _CAPTIONS_AT_ONCE)
    ]
    encoded = torch.cat(parts).half()
    return encoded[[distinct.index(caption) for caption in captions]]


@torch.no_grad()
def _encode_videos(
    name: str, pipeline: Any, samples: Sequence[Sample], watcher: Progress
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    vae = pipeline.vae
    scale = float(vae.config.scaling_factor)
    clips, stills, deviations = [], [], []
    watcher.begin(f"{name}: encoding", len(samples))
    for sample in samples:
        video = torch.from_numpy(sample.frames()).permute(3, 0, 1, 2)[None].float().div(127.5).sub(1)
        video = video.to(vae.device, vae.dtype)
        whole, still = vae.encode(video).latent_dist, vae.encode(video[:, :, :1]).latent_dist
        clips.append((whole.mean.float() * scale).transpose(1, 2)[0].cpu().half())
        stills.append((still.mean.float() * scale)[0, :, 0].cpu().half())
        deviations.append((still.std.float() * scale).mean(dim=(0, 2, 3, 4)).cpu())
        watcher.step(name)
    watcher.end()
    return torch.stack(clips), torch.stack(stills), torch.stack(deviations).mean(dim=0)


def _holds(path: Path, identity: str) -> bool:
    if not path.is_file():
        return False
    with safe_open(path, framework="pt") as file:
        return bool((file.metadata() or {}).get("identity") == identity)
