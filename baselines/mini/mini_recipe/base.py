"""The base image-to-video model: diffusers' ``CogVideoXTransformer3DModel`` at the size of mini latents.

It is told the effect in half of the captions. Told, it draws that effect; untold, one of all at random: the
counterpart of a large pre-trained generator that a reference has only to steer. The inputs are those of
``CogVideoXImageToVideoPipeline``: noisy latents beside the first frame's, which are zero after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import CogVideoXTransformer3DModel
from torch import nn

from mini_recipe.cards import finish
from mini_recipe.diffusion import Denoising, quick, rotary
from mini_recipe.gate import Gate, measure_gate
from mini_recipe.prompts import Mix
from mini_recipe.vae import TEMPORAL_FACTOR
from vapbench.suites.mini.render import FRAMES
from vapbench.training.attention import quick_attention
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan

_INSPECTIONS = 10  # of the gate while training


@dataclass(frozen=True)
class BaseConfig:
    """Sizes of the transformer, and how it is trained."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=8_000,
            batch=16,
            learning_rate=1e-3,
            matrix_learning_rate=4e-3,
            warmup=100,
            cooldown=0.4,
            ema=0.998,
        )
    )
    heads: int = 4
    head_dim: int = 32
    layers: int = 6
    time_dim: int = 96
    patch: int = 2
    clips: int = 200
    """Clips of each condition in the latent cache."""
    noise: tuple[float, float] = (0.7, 1.2)
    """Mean and deviation of the timestep's logit: most steps train at high noise, which decides the effect."""
    late: float = 2.0
    """Weight of the last latent frame's loss relative to the first's, which the input shows anyway."""
    mix: Mix = field(default_factory=Mix)


def make_base(config: BaseConfig, latents: torch.Size, text: tuple[int, int]) -> CogVideoXTransformer3DModel:
    """Return the untrained transformer.

    Args:
        config: its sizes.
        latents: shape of a clip's, ``(T, C, h, w)``.
        text: tokens and channels of an encoded caption.
    """
    _, channels, height, width = latents
    model = CogVideoXTransformer3DModel(
        num_attention_heads=config.heads,
        attention_head_dim=config.head_dim,
        in_channels=2 * channels,
        out_channels=channels,
        time_embed_dim=config.time_dim,
        text_embed_dim=text[1],
        num_layers=config.layers,
        sample_width=width,
        sample_height=height,
        sample_frames=FRAMES,
        patch_size=config.patch,
        temporal_compression_ratio=TEMPORAL_FACTOR,
        max_text_seq_length=text[0],
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=True,
    )
    for block in model.transformer_blocks:
        for norm in (block.norm1, block.norm2):
            _still(norm.linear, 1 / math.sqrt(2 * config.layers))
    nn.init.zeros_(model.proj_out.weight)
    nn.init.zeros_(model.proj_out.bias)
    return model


def train_base(
    output: Path,
    config: BaseConfig,
    run: Run,
    denoising: Denoising,
    gate: Gate,
) -> None:
    """Train the base, measuring the gate on the way, and save it in ``output``."""
    torch.manual_seed(config.plan.seed)
    model = make_base(config, denoising.latents.clips.shape[1:], denoising.text_shape).to(run.device)
    forward, table = quick(model, config.plan), rotary(model.config, run.device)

    def objective(step: int, generator: torch.Generator) -> Losses:
        chosen = torch.randint(0, len(denoising.latents.specs), (config.plan.batch,), generator=generator)
        timesteps = denoising.timesteps(len(chosen), generator)
        inputs, target = denoising.noisy(chosen, timesteps, generator)
        text = denoising.encode(chosen, config.mix.draw(len(chosen), generator))
        with quick_attention(run.device):
            velocity = forward(inputs, text, timesteps.to(run.device), image_rotary_emb=table, return_dict=False)[0]
        return {"loss": denoising.error(velocity, target)}

    def inspect(step: int) -> None:
        result = measure_gate(model, gate, ("plain",), run.folder / f"step-{step:06d}.png")
        run.watcher.tell(f"{run.folder.name}: step {step}, {result}")

    every = max(1, config.plan.steps // _INSPECTIONS)
    if fit(model, objective, config.plan, run, inspect=inspect, inspect_every=every):
        result = measure_gate(model, gate, ("plain", "benchmark"), run.folder / "final.png")
        run.watcher.tell(f"{run.folder.name}: {result}")
        finish(output, "base", model, config, run, {"gate": result})


@torch.no_grad()
def _still(modulation: nn.Linear, gate: float) -> None:
    """Begin without modulation, and with every residual branch open by ``gate``, whatever the timestep."""
    modulation.weight.zero_()
    for place, part in enumerate(modulation.bias.chunk(6)):  # shift, scale, gate of video; the same of text
        part.fill_(gate if place in (2, 5) else 0.0)
