"""The autoencoder: diffusers' ``AutoencoderKLCogVideoX`` at the size of mini clips.

Eightfold compression in space as the released model, twofold in time: 13 x 64 x 64 pixels become 7 x 8 x 8
latents of 16 channels. (Fourfold would make 4 latent frames, and upstream's decoder turns an even number of
them into 16 frames: it handles 8k + 1 frames, not every 4k + 1.) Training begins with single frames, goes
on with short cuts of clips, and ends with whole clips: what is learnt first is learnt where it is cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKLCogVideoX
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import (
    CogVideoXResnetBlock3D,
    CogVideoXSpatialNorm3D,
)
from torch import nn
from torch.nn import functional

from mini_recipe.ahead import Ahead
from mini_recipe.cards import finish
from mini_recipe.clips import random_clips, to_frames
from mini_recipe.data import MiniData
from vapbench.models.convolutions import convolve_in_planes
from vapbench.models.semantic_encoder import to_video
from vapbench.suites.mini.render import FRAMES, render_batch
from vapbench.training.contact_sheets import save_sheet
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan

TEMPORAL_FACTOR = 2
LATENT_FRAMES = (FRAMES - 1) // TEMPORAL_FACTOR + 1

_INSPECTIONS, _STEPS_UNSEEN = 9, 500
"""How often reconstructions are measured on the way, and after how many steps at the latest."""

Clips = Callable[[int, torch.Generator], npt.NDArray[np.uint8]]
"""Draws so many clips ``(B, F, H, W, 3)`` uint8."""


@dataclass(frozen=True)
class VaeConfig:
    """Sizes and losses."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=4_000,
            batch=1,
            learning_rate=2e-3,
            matrix_learning_rate=3e-2,
            cooldown=0.6,
            weight_decay=0.0,
            ema=0.99,
        )
    )
    channels: tuple[int, ...] = (16, 16, 32, 64)
    latent_channels: int = 16
    layers: int = 1
    curriculum: tuple[tuple[float, int, int], ...] = ((0.0, 1, 8), (0.12, 5, 2), (0.85, 13, 1))
    """From which share of the steps on a batch has how many frames of how many clips."""
    squared: float = 4.0
    """Weight of the squared error of pixels, which gets colours right early."""
    absolute: float = 0.5
    """Weight of the absolute error of pixels."""
    edges: float = 0.25
    """Weight of the absolute error of differences between neighbouring pixels, in space and time."""
    kl: float = 5e-4
    """Weight of the KL divergence per latent value."""


def make_vae(config: VaeConfig) -> AutoencoderKLCogVideoX:
    """Return the untrained autoencoder, with the memory layout that suits convolutions on a CPU."""
    levels = len(config.channels)
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * levels,
        up_block_types=("CogVideoXUpBlock3D",) * levels,
        block_out_channels=config.channels,
        latent_channels=config.latent_channels,
        layers_per_block=config.layers,
        norm_num_groups=1,  # Of few channels, groups would each forget the level of what they hold.
        temporal_compression_ratio=TEMPORAL_FACTOR,
        sample_height=64,
        sample_width=64,
        scaling_factor=1.0,
    )
    for module in vae.modules():
        if isinstance(module, CogVideoXResnetBlock3D):
            nn.init.zeros_(module.conv2.conv.weight)  # Every block begins as the identity.
    return prepare(vae)


def prepare(vae: AutoencoderKLCogVideoX) -> AutoencoderKLCogVideoX:
    """Make an autoencoder fast in place; outputs stay the same but for rounding."""
    for module in vae.modules():
        if isinstance(module, CogVideoXSpatialNorm3D):
            module.forward = MethodType(_spatial_norm, module)
    convolve_in_planes(vae)
    for parameter in vae.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return vae


def train_vae(output: Path, config: VaeConfig, run: Run, data: MiniData, executor: Executor | None = None) -> None:
    """Train the autoencoder and save it in ``output``.

    Args:
        output: folder of the autoencoder.
        config: sizes and plan.
        run: where.
        data: what it is trained on and measured by.
        executor: where to render ahead.
    """
    torch.manual_seed(config.plan.seed)
    vae = make_vae(config).to(run.device)
    shown = shown_clips(data, run.device)
    clips = partial(random_clips, names=data.training)
    if not fit_vae(vae, config, run, clips, list(shown.values())[-1], executor=executor):
        return
    first = next(iter(shown.values()))
    vae.register_to_config(scaling_factor=round(1 / latent_deviation(vae, first), 4))
    report = {name: round(psnr(vae, video), 2) for name, video in shown.items()}
    report["scaling_factor"] = vae.config.scaling_factor
    run.watcher.tell(f"{run.folder.name}: {report}")
    finish(output, "vae", vae, config, run, report)


def shown_clips(data: MiniData, device: torch.device) -> dict[str, torch.Tensor]:
    """The data's clips to be looked at, as videos ``(N, 3, F, H, W)`` on a device."""
    return {name: to_video(render_batch(specs)).to(device) for name, specs in data.shown().items()}


def fit_vae(
    vae: Any,
    config: VaeConfig,
    run: Run,
    clips: Clips,
    shown: torch.Tensor,
    *,
    executor: Executor | None = None,
) -> bool:
    """Train a video autoencoder, with its reconstructions on the way.

    Args:
        vae: any of diffusers' with a Gaussian posterior, on ``run.device``.
        config: losses and curriculum; the sizes are the autoencoder's own.
        run: where.
        clips: draws clips to train on.
        shown: clips to reconstruct, ``(B, 3, F, H, W)`` in -1..1 on ``run.device``.
        executor: where to draw clips ahead; ``clips`` is then pickled.

    Returns:
        Whether training is complete.
    """
    batches = Ahead(partial(_batch, config, clips), config.plan.seed, config.plan.steps, executor)

    def objective(step: int, generator: torch.Generator) -> Losses:
        video = to_video(batches(step, generator), run.device)
        return reconstruction_losses(vae, video, config, generator)

    def inspect(step: int) -> None:
        quality = psnr(vae, shown)
        run.watcher.tell(f"{run.folder.name}: step {step}, validation PSNR {quality:.2f} dB")
        save_comparison(run.folder / f"step-{step:05d}.png", vae, shown[:6])

    every = max(1, min(_STEPS_UNSEEN, config.plan.steps // _INSPECTIONS))
    complete = fit(vae, objective, config.plan, run, inspect=inspect, inspect_every=every)
    if complete:
        inspect(config.plan.steps)
    return complete


def reconstruction_losses(vae: Any, video: torch.Tensor, config: VaeConfig, generator: torch.Generator) -> Losses:
    """Return errors of pixels and of their differences, and KL, for a video ``(B, 3, F, H, W)`` in -1..1."""
    posterior = vae.encode(video).latent_dist
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    decoded = vae.decode((mean + (0.5 * logvar).exp() * noise).to(posterior.mean.dtype)).sample.float()
    errors = decoded - video
    squared, absolute = errors.square().mean(), errors.abs().mean()
    edges = torch.stack([errors.diff(dim=axis).abs().mean() for axis in (2, 3, 4) if video.shape[axis] > 1]).sum()
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    loss = config.squared * squared + config.absolute * absolute + config.edges * edges + config.kl * kl
    return {"loss": loss, "squared": squared, "absolute": absolute, "edges": edges, "kl": kl}


@torch.no_grad()
def psnr(vae: Any, video: torch.Tensor) -> float:
    """Peak signal-to-noise ratio of reconstructed clips in dB, averaged over clips."""
    errors = []
    for clip in video.split(4):
        decoded = vae.decode(vae.encode(clip).latent_dist.mode()).sample.clamp(-1, 1)
        errors.append((decoded - clip).square().mean(dim=(1, 2, 3, 4)) / 4)
    return float((-10 * torch.cat(errors).log10()).mean())


@torch.no_grad()
def latent_deviation(vae: Any, video: torch.Tensor) -> float:
    """Standard deviation of the latents of clips, over all their values."""
    return float(torch.cat([vae.encode(clip).latent_dist.mode() for clip in video.split(4)]).std())


@torch.no_grad()
def save_comparison(path: Path, vae: Any, video: torch.Tensor) -> None:
    """Save a contact sheet: under every clip its reconstruction."""
    decoded = vae.decode(vae.encode(video).latent_dist.mode()).sample
    pairs = torch.stack([video, decoded], dim=1).flatten(0, 1)
    save_sheet(path, to_frames(pairs))


def _batch(config: VaeConfig, clips: Clips, step: int, generator: torch.Generator) -> npt.NDArray[np.uint8]:
    passed = [entry for entry in config.curriculum if step >= entry[0] * config.plan.steps]
    _, length, count = passed[-1]
    video = clips(count * config.plan.batch, generator)
    starts = torch.randint(0, FRAMES - length + 1, (len(video),), generator=generator).tolist()
    return np.stack([clip[start : start + length] for clip, start in zip(video, starts, strict=True)])


def _spatial_norm(
    self: Any, f: torch.Tensor, zq: torch.Tensor, conv_cache: Any = None
) -> tuple[torch.Tensor, dict[str, Any]]:
    # Pointwise convolutions commute with nearest-neighbour interpolation, so they run on the small latents,
    # where upstream enlarges the latents first and convolves every pixel.
    weight = torch.cat([self.conv_y.conv.weight, self.conv_b.conv.weight])
    bias = torch.cat([self.conv_y.conv.bias, self.conv_b.conv.bias])
    small = functional.conv3d(zq, weight, bias)
    frames, rows, columns = f.shape[-3:]
    if frames > 1 and frames % 2 == 1:
        parts = (small[:, :, :1], (1, rows, columns)), (small[:, :, 1:], (frames - 1, rows, columns))
        large = torch.cat([functional.interpolate(part, size=size) for part, size in parts], dim=2)
    else:
        large = functional.interpolate(small, size=(frames, rows, columns))
    scale, shift = large.chunk(2, dim=1)
    return torch.addcmul(shift, self.norm_layer(f), scale), {}
