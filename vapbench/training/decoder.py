"""The autoencoder's decoder, trained on alone: its encoder, and so every latent, stays what the other stages learnt.

Whole clips, not the short cuts of which most of the autoencoder's training consists, and latents disturbed as a
sampler leaves them, so that small errors of a latent are not painted as texture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vapbench.suites.mini.render import render_batch
from vapbench.training.cards import finish
from vapbench.training.data import to_video, validation_specs
from vapbench.training.latents import Latents
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan
from vapbench.training.vae import VaeConfig, pixel_losses, psnr, save_comparison

_INSPECTIONS = 6


@dataclass(frozen=True)
class DecoderConfig:
    """How the decoder is trained; its sizes and losses are the autoencoder's."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=2_000,
            batch=1,
            learning_rate=1e-3,
            matrix_learning_rate=1.5e-2,
            cooldown=0.8,
            weight_decay=0.0,
            ema=0.99,
        )
    )
    disturbance: float = 0.3
    """Largest standard deviation of the noise on latents, in deviations of the latents."""


def train_decoder(output: Path, vae: Any, losses: VaeConfig, config: DecoderConfig, run: Run, latents: Latents) -> None:
    """Train the decoder of ``vae`` on cached latents, and save the whole autoencoder in ``output``.

    Args:
        output: folder of the result.
        vae: the trained autoencoder.
        losses: the autoencoder's config, for the weights of the losses.
        config: how to train.
        run: where.
        latents: of the clips to train on, which are rendered again.
    """
    torch.manual_seed(config.plan.seed)
    vae = vae.to(run.device)
    vae.decoder.requires_grad_(True)
    scale = float(vae.config.scaling_factor)
    shown = to_video(render_batch(validation_specs(1)[:33:3])).to(run.device)

    def objective(step: int, generator: torch.Generator) -> Losses:
        chosen = torch.randint(0, len(latents.specs), (config.plan.batch,), generator=generator)
        video = to_video(render_batch([latents.specs[row] for row in chosen.tolist()])).to(run.device)
        clean = latents.clips[chosen].float()
        spread = config.disturbance * torch.rand(len(chosen), 1, 1, 1, 1, generator=generator)
        noisy = clean + spread * torch.randn(clean.shape, generator=generator)
        decoded = vae.decode(noisy.to(run.device).transpose(1, 2) / scale).sample.float()
        return pixel_losses(decoded - video, losses)

    def inspect(step: int) -> None:
        run.watcher.tell(f"{run.folder.name}: step {step}, validation PSNR {psnr(vae, shown):.2f} dB")
        save_comparison(run.folder / f"step-{step:05d}.png", vae, shown[:6])

    every = max(1, config.plan.steps // _INSPECTIONS)
    if fit(vae, objective, config.plan, run, inspect=inspect, inspect_every=every):
        with torch.no_grad():
            inspect(config.plan.steps)
            report = {"validation_psnr": round(psnr(vae, shown), 2)}
        finish(output, "decoder", vae, config, run, report)
