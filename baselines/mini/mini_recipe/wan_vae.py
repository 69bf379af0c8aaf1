"""The autoencoder of the structure-control baseline: diffusers' ``AutoencoderKLWan`` at the size of mini clips.

Eightfold compression in space and fourfold in time, as the released model: 13 x 64 x 64 pixels become
4 x 8 x 8 latents of 16 channels. It encodes what controls generation as well as clips, so some of the videos
it learns from are depth maps and flow colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanResidualBlock
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import nn

from mini_recipe.cards import finish
from mini_recipe.clips import random_specs
from mini_recipe.data import MiniData
from mini_recipe.vae import VaeConfig, fit_vae, psnr, shown_clips
from vapbench.models.convolutions import convolve_in_planes
from vapbench.models.semantic_encoder import to_video
from vapbench.suites.mini.controls import CONTROL_KINDS, render_control
from vapbench.suites.mini.render import FRAMES, render_batch
from vapbench.training.data import training_specs
from vapbench.training.loop import Run
from vapbench.training.plan import Plan

TEMPORAL_FACTOR = 4
LATENT_FRAMES = (FRAMES - 1) // TEMPORAL_FACTOR + 1

_STRUCTURE_SHARE = 0.2  # of the training videos are depth or flow


def wan_vae_config() -> VaeConfig:
    """Return the default sizes and schedule."""
    return VaeConfig(
        plan=Plan(
            steps=2_000,
            batch=1,
            learning_rate=2e-3,
            matrix_learning_rate=3e-2,
            cooldown=0.6,
            weight_decay=0.0,
            ema=0.99,
        ),
        channels=(16, 32, 32, 48),
        curriculum=((0.0, 1, 8), (0.25, 5, 2), (0.75, 13, 1)),
    )


def make_wan_vae(config: VaeConfig) -> AutoencoderKLWan:
    """Return the untrained autoencoder, fast on a CPU.

    ``config.channels`` are multiples of the first.
    """
    base, levels = config.channels[0], len(config.channels)
    vae = AutoencoderKLWan(
        base_dim=base,
        z_dim=config.latent_channels,
        dim_mult=[width // base for width in config.channels],
        num_res_blocks=config.layers,
        # Time shrinks where frames are large, which is cheaper than the released model's order.
        temperal_downsample=[place < 2 for place in range(levels - 1)],
        latents_mean=[0.0] * config.latent_channels,
        latents_std=[1.0] * config.latent_channels,
    )
    for module in vae.modules():
        if isinstance(module, WanResidualBlock):
            nn.init.zeros_(module.conv2.weight)  # Every block begins as the identity.
    return prepare_wan_vae(vae)


def prepare_wan_vae(vae: AutoencoderKLWan) -> AutoencoderKLWan:
    """Make an autoencoder fast in place: channels-last weights, and two pieces of a video where upstream takes four.

    Outputs stay the same but for rounding, except that decoded values are not clamped to -1..1, where gradients would
    vanish.
    """
    vae._encode = MethodType(_encode, vae)
    vae._decode = MethodType(_decode, vae)
    convolve_in_planes(vae)
    for parameter in vae.parameters():
        if parameter.ndim in (4, 5):
            layout = torch.channels_last if parameter.ndim == 4 else torch.channels_last_3d
            parameter.data = parameter.data.contiguous(memory_format=layout)
    return vae


def train_wan_vae(output: Path, config: VaeConfig, run: Run, data: MiniData, executor: Executor | None = None) -> None:
    """Train the autoencoder, measure its latents and save it in ``output``; arguments as of :func:`train_vae`."""
    torch.manual_seed(config.plan.seed)
    vae = make_wan_vae(config).to(run.device)
    shown = shown_clips(data, run.device)
    videos = partial(_videos, data.training)
    if not fit_vae(vae, config, run, videos, list(shown.values())[-1], executor=executor):
        return
    measured = to_video(render_batch(training_specs(2, names=data.benchmark)))
    mean, deviation = latent_statistics(vae, measured.to(run.device))
    vae.register_to_config(latents_mean=mean, latents_std=deviation)
    report = {name: round(psnr(vae, video), 2) for name, video in shown.items()}
    run.watcher.tell(f"{run.folder.name}: {report}")
    finish(output, "wan_vae", vae, config, run, report)


@torch.no_grad()
def latent_statistics(vae: Any, video: torch.Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each latent channel of clips ``(B, 3, F, H, W)``."""
    latents = torch.cat([vae.encode(part).latent_dist.mode() for part in video.split(8)])
    axes = (0, 2, 3, 4)
    return latents.mean(axes).tolist(), latents.std(axes).tolist()


def _videos(names: Sequence[str], count: int, generator: torch.Generator) -> npt.NDArray[np.uint8]:
    """Clips of conditions on training scenes, some of them as depth or flow."""
    shares = torch.tensor([0.0 if kind == "original" else 1.0 for kind in CONTROL_KINDS])
    shares *= _STRUCTURE_SHARE / shares.sum()
    shares[CONTROL_KINDS.index("original")] = 1 - _STRUCTURE_SHARE
    kinds = torch.multinomial(shares, count, replacement=True, generator=generator).tolist()
    specs = random_specs(count, generator, names)
    return np.stack([render_control(spec, CONTROL_KINDS[kind]) for spec, kind in zip(specs, kinds, strict=True)])


def _encode(self: Any, x: torch.Tensor) -> torch.Tensor:
    """The first frame, then all others at once: every layer is causal and remembers what came before."""
    memory: list[Any] = [None] * self._cached_conv_counts["encoder"]
    parts = [self.encoder(part, feat_cache=memory, feat_idx=[0]) for part in _pieces(x)]
    encoded: torch.Tensor = self.quant_conv(torch.cat(parts, dim=2))
    return encoded


def _decode(self: Any, z: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
    memory: list[Any] = [None] * self._cached_conv_counts["decoder"]
    parts = [
        self.decoder(part, feat_cache=memory, feat_idx=[0], first_chunk=place == 0)
        for place, part in enumerate(_pieces(self.post_quant_conv(z)))
    ]
    video = torch.cat(parts, dim=2)
    return DecoderOutput(sample=video) if return_dict else (video,)


def _pieces(video: torch.Tensor) -> list[torch.Tensor]:
    return [part for part in (video[:, :, :1], video[:, :, 1:]) if part.shape[2]]
