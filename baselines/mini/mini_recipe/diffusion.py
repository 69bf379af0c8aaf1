"""Diffusion on latents: the scheduler, the objective and the sampler that base and expert share.

All three are those of the released CogVideoX image-to-video model; what is small here is sizes only.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler
from torch import nn

from mini_recipe.latents import Latents
from mini_recipe.prompts import TELLINGS, Telling, captions_of, told
from mini_recipe.text import tokenise
from mini_recipe.vae import LATENT_FRAMES
from vapbench.models.arithmetic import mixed_precision
from vapbench.models.rope import Rotary, cogvideox_rotary, target_positions
from vapbench.training.plan import Plan

_WORTH_COMPILING = 500


@dataclass(frozen=True)
class Sampling:
    """How clips are sampled where training looks at them."""

    steps: int = 20
    guidance: float = 4.0
    seed: int = 0


def make_scheduler() -> CogVideoXDDIMScheduler:
    """Return the scheduler of the released CogVideoX-5B-I2V: v-prediction, zero terminal SNR, trailing steps."""
    return CogVideoXDDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        snr_shift_scale=1.0,
        timestep_spacing="trailing",
    )


def rotary(config: Any, device: torch.device) -> Rotary:
    """Return the target's table for a transformer's config."""
    return table_at(target_positions(LATENT_FRAMES), config, device)


def table_at(positions: torch.Tensor, config: Any, device: torch.device) -> Rotary:
    """Return the table of temporal positions for a transformer's config."""
    grid = (config.sample_height // config.patch_size, config.sample_width // config.patch_size)
    return cogvideox_rotary(positions, grid, grid, config.attention_head_dim, device)


def quick(model: nn.Module, plan: Plan) -> Any:
    """Compile a model for the many equal steps of a plan: 1.4 times as fast on one core.

    Few steps do not repay the minute that takes, and without a C++ compiler there is nothing to compile with.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    if plan.steps < _WORTH_COMPILING or (on_cpu and shutil.which("g++") is None):
        return model
    return torch.compile(model, dynamic=False)


class Denoising:
    """The denoising objective on cached latents; the base and everything that steers it train on it."""

    def __init__(
        self,
        latents: Latents,
        tokenizer: Any,
        text_encoder: Any,
        device: torch.device,
        noise: tuple[float, float],
        late: float,
    ) -> None:
        """Tokenise the captions of the cached clips.

        Args:
            latents: the clips.
            tokenizer: of the text encoder.
            text_encoder: frozen.
            device: where the transformer is.
            noise: mean and deviation of the timestep's logit.
            late: weight of the last latent frame's loss relative to the first's.
        """
        self.latents, self.device, self.noise = latents, device, noise
        self.text_encoder = text_encoder
        self.alphas = make_scheduler().alphas_cumprod.float()
        captions = captions_of(latents.specs)
        self.ids = {
            telling: tokenise(tokenizer, [told(caption, telling) for caption in captions]) for telling in TELLINGS
        }
        ramp = torch.linspace(1.0, late, latents.clips.shape[1])
        self.weights = (ramp / ramp.mean())[:, None, None, None].to(device)

    @property
    def text_shape(self) -> tuple[int, int]:
        """Tokens and channels of an encoded caption."""
        return self.ids["plain"].shape[1], int(self.text_encoder.config.d_model)

    def encode(self, chosen: torch.Tensor, tellings: Sequence[Telling]) -> torch.Tensor:
        """Encoded captions ``(B, L, D)`` of clips, each told in its way."""
        rows = [self.ids[telling][row] for telling, row in zip(tellings, chosen.tolist(), strict=True)]
        with torch.no_grad():
            embedded: torch.Tensor = self.text_encoder(torch.stack(rows).to(self.device))[0]
        return embedded

    def timesteps(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Timesteps ``(B,)`` in 0..999, logit-normal."""
        mean, deviation = self.noise
        logits = torch.randn(count, generator=generator) * deviation + mean
        return (torch.sigmoid(logits) * 1000).long().clamp(0, 999)

    def noisy(
        self, chosen: torch.Tensor, timesteps: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs ``(B, T, 2C, h, w)`` of the transformer and the velocity ``(B, T, C, h, w)`` to predict."""
        clean = self.latents.clips[chosen].float()
        noise = torch.randn(clean.shape, generator=generator)
        alpha = self.alphas[timesteps].view(-1, 1, 1, 1, 1)
        signal, spread = alpha.sqrt(), (1 - alpha).sqrt()
        first = self.latents.first_frames(chosen, generator)
        inputs = torch.cat([signal * clean + spread * noise, first], dim=2)
        return inputs.to(self.device), (signal * noise - spread * clean).to(self.device)

    def error(self, velocity: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Weighted squared error; of velocity it is CogVideoX's, whose weight 1 / (1 - alpha) undoes the scale."""
        return (self.weights * (velocity.float() - target).square()).mean()


def sample(
    velocity_of: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    text: torch.Tensor,
    first: torch.Tensor,
    sampling: Sampling,
    generator: torch.Generator,
) -> torch.Tensor:
    """Denoise a batch as ``CogVideoXImageToVideoPipeline`` does, guided away from the empty caption.

    Args:
        velocity_of: the transformer, from inputs ``(2B, T, 2C, h, w)``, text ``(2B, L, D)``, timesteps ``(2B,)``.
        text: encoded captions ``(2B, L, D)``, empty ones first.
        first: first-frame latents ``(B, 1, C, h, w)``.
        sampling: steps and guidance.
        generator: on the CPU, for the initial noise.

    Returns:
        Latents ``(B, T, C, h, w)``.
    """
    device, count, scheduler = first.device, len(first), make_scheduler()
    padded = first.new_zeros(count, LATENT_FRAMES, *first.shape[2:])
    padded[:, :1] = first
    latents = torch.randn(padded.shape, generator=generator).to(device)
    scheduler.set_timesteps(sampling.steps, device=device)
    for timestep in scheduler.timesteps:
        inputs = torch.cat([latents, padded], dim=2).repeat(2, 1, 1, 1, 1)
        with mixed_precision(device):
            velocity = velocity_of(inputs, text, timestep.expand(2 * count)).float()
        untold, towards = velocity.chunk(2)
        velocity = untold + sampling.guidance * (towards - untold)
        latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
    return latents
