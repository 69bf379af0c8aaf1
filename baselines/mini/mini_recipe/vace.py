"""The structure-control baseline: diffusers' ``WanVACETransformer3DModel``, trained from scratch by flow matching.

It draws a clip from its first frame, its caption and a control video: the clip itself, its depth or its flow.
Everything around the transformer (captions, masks, sampling) is upstream's ``WanVACEPipeline``, which is also
how the result is used: with the control of *another* clip, whose layout it then copies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers import UniPCMultistepScheduler, WanVACEPipeline, WanVACETransformer3DModel
from PIL import Image
from torch import nn

from mini_recipe.cards import finish_folder
from mini_recipe.clips import validation_specs
from mini_recipe.control_latents import ControlLatents, cached_control_latents
from mini_recipe.data import MiniData
from mini_recipe.diffusion import Sampling, quick
from mini_recipe.prompts import Mix, captions_of, told
from mini_recipe.umt5 import as_umt5
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.controls import CONTROL_KINDS, ControlKind, render_control
from vapbench.suites.mini.geometry import SIZE
from vapbench.suites.mini.render import FRAMES, MiniClip
from vapbench.training.attention import quick_attention
from vapbench.training.contact_sheets import save_sheet
from vapbench.training.data import training_specs
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan

_INSPECTIONS = 5  # while training
_GREY = 128  # of no control: nearest to 0 in -1..1


@dataclass(frozen=True)
class VaceConfig:
    """Sizes of the transformer, and how it is trained."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=1_500,
            batch=16,
            learning_rate=1e-3,
            matrix_learning_rate=4e-3,
            warmup=100,
            cooldown=0.5,
            ema=0.995,
        )
    )
    heads: int = 4
    head_dim: int = 28
    layers: int = 4
    control_layers: tuple[int, ...] = (0, 2)
    """Layers that a control block feeds."""
    feed_forward: int = 384
    clips: int = 36
    """Clips of each condition in the latent cache; every one comes with one control."""
    noise: tuple[float, float] = (0.5, 1.2)
    """Mean and deviation of the noise level's logit."""
    uncontrolled: float = 0.15
    """Share of the clips that are drawn without control."""
    mix: Mix = field(default_factory=lambda: Mix(plain=0.0, scene=0.35, benchmark=0.4, empty=0.15, negative=0.1))
    """Captions never tell the effect: the control has to show it."""
    sampling: Sampling = field(default_factory=lambda: Sampling(steps=20, guidance=1.0))


def make_vace(
    config: VaceConfig, latent_channels: int, text_dim: int, compression: int = 8
) -> WanVACETransformer3DModel:
    """Return the untrained transformer: no output, no modulation, and nothing flows in from the control.

    Args:
        config: its sizes.
        latent_channels: of the autoencoder.
        text_dim: channels of an encoded caption.
        compression: pixels across of a latent.
    """
    model = WanVACETransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=config.heads,
        attention_head_dim=config.head_dim,
        in_channels=latent_channels,
        out_channels=latent_channels,
        text_dim=text_dim,
        freq_dim=128,
        ffn_dim=config.feed_forward,
        num_layers=config.layers,
        rope_max_seq_len=64,
        vace_layers=list(config.control_layers),
        vace_in_channels=2 * latent_channels + compression**2,  # and the mask of a latent's pixels
    )
    with torch.no_grad():
        for linear in (model.proj_out, *(block.proj_out for block in model.vace_blocks)):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        nn.init.zeros_(model.condition_embedder.time_proj.weight)
        nn.init.zeros_(model.condition_embedder.time_proj.bias)
        for block in (*model.blocks, *model.vace_blocks):
            gate = 1 / math.sqrt(2 * config.layers)
            # shift, scale, gate of the attention; the same of the feed-forward layer
            block.scale_shift_table.copy_(torch.tensor([0, 0, gate, 0, 0, gate])[:, None])
        model.scale_shift_table.zero_()
    return model


def make_pipeline(
    tokenizer: Any, text_encoder: Any, vae: Any, transformer: WanVACETransformer3DModel
) -> WanVACEPipeline:
    """Return upstream's pipeline of these parts, with the scheduler of the released models.

    Args:
        tokenizer: of the mini suite; the length of its captions is noted in it.
        text_encoder: the mini suite's T5.
        vae: a trained ``AutoencoderKLWan``.
        transformer: the control transformer.
    """
    pipeline = WanVACEPipeline(
        tokenizer=tokenizer,
        text_encoder=as_umt5(text_encoder),
        vae=vae,
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=3.0
        ),
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def train_vace(
    output: Path,
    config: VaceConfig,
    run: Run,
    parts: tuple[Any, Any, Any],
    data: MiniData,
    executor: Executor | None = None,
) -> None:
    """Train the transformer and save the whole pipeline in ``output``.

    Args:
        output: folder of the pipeline.
        config: sizes and schedule.
        run: where.
        parts: tokenizer, text encoder (T5) and autoencoder (Wan), frozen, on ``run.device``.
        data: what it is trained on and measured by.
        executor: where to render the training clips.
    """
    torch.manual_seed(config.plan.seed)
    tokenizer, text_encoder, vae = parts
    specs = training_specs(config.clips, names=data.training)
    latents = cached_control_latents(run.folder / "latents.safetensors", vae, specs, run.watcher, executor)
    compression = 2 ** len(vae.temperal_downsample)
    model = make_vace(config, vae.config.z_dim, text_encoder.config.d_model, compression).to(run.device)
    pipeline = make_pipeline(tokenizer, text_encoder, vae, model)
    matching = FlowMatching(pipeline, latents, config)
    shown = validation_specs(1, data.benchmark[::7], first=200)  # one of each category

    def objective(step: int, generator: torch.Generator) -> Losses:
        with quick_attention(run.device):
            return {"loss": matching.loss(config.plan.batch, generator)}

    def inspect(step: int) -> None:
        with quick_attention(run.device):
            result = measure_control(pipeline, shown, config.sampling, run.folder / f"step-{step:06d}.png")
        run.watcher.tell(f"{run.folder.name}: step {step}, {result}")

    every = max(1, config.plan.steps // _INSPECTIONS)
    if not fit(model, objective, config.plan, run, inspect=inspect, inspect_every=every):
        return
    with torch.no_grad(), quick_attention(run.device):
        result = measure_control(pipeline, shown, config.sampling, run.folder / "final.png")
    run.watcher.tell(f"{run.folder.name}: {result}")
    finish_folder(output, "vace", lambda folder: _save(pipeline, folder), config, run, {"control": result})


class FlowMatching:
    """The objective: the velocity from clean latents to noise, whatever is known and controls."""

    def __init__(self, pipeline: WanVACEPipeline, latents: ControlLatents, config: VaceConfig) -> None:
        """Take the parts; the pipeline's transformer is what is trained."""
        self.pipeline, self.latents, self.config = pipeline, latents, config
        self.forward = quick(pipeline.transformer, config.plan)
        self.captions = captions_of(latents.specs)
        mask = torch.ones(1, 1, FRAMES, SIZE, SIZE)
        mask[:, :, 0] = 0
        self.mask = pipeline.prepare_masks(mask, [[]])
        self.device = next(pipeline.transformer.parameters()).device

    def loss(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Mean squared error of ``count`` clips at drawn noise levels."""
        chosen = torch.randint(0, len(self.latents.specs), (count,), generator=generator)
        controlled = torch.rand(count, generator=generator) >= self.config.uncontrolled
        tellings = self.config.mix.draw(count, generator)
        captions = [told(self.captions[row], way) for row, way in zip(chosen.tolist(), tellings, strict=True)]
        noise_level = self._noise_levels(count, generator)
        clean = self.latents.clips[chosen].float()
        noise = torch.randn(clean.shape, generator=generator)
        share = noise_level[:, None, None, None, None]
        velocity = self.forward(
            hidden_states=((1 - share) * clean + share * noise).to(self.device),
            timestep=(noise_level * 1000).to(self.device),
            encoder_hidden_states=self._encode(captions),
            control_hidden_states=self._conditioning(chosen, controlled),
            return_dict=False,
        )[0]
        error: torch.Tensor = velocity.float() - (noise - clean).to(self.device)
        return error.square().mean()

    def _noise_levels(self, count: int, generator: torch.Generator) -> torch.Tensor:
        mean, deviation = self.config.noise
        return torch.sigmoid(torch.randn(count, generator=generator) * deviation + mean)

    def _conditioning(self, chosen: torch.Tensor, controlled: torch.Tensor) -> torch.Tensor:
        latents = self.latents.conditioning(chosen, controlled)
        mask = self.mask.expand(len(chosen), *self.mask.shape[1:]).to(latents.dtype)
        return torch.cat([latents, mask], dim=1).to(self.device)

    def _encode(self, captions: list[str]) -> torch.Tensor:
        embedded: torch.Tensor = self.pipeline.encode_prompt(
            captions,
            do_classifier_free_guidance=False,
            max_sequence_length=self.pipeline.tokenizer.model_max_length,
        )[0]
        return embedded


def control_inputs(
    first: npt.NDArray[np.uint8], control: npt.NDArray[np.uint8]
) -> tuple[list[Image.Image], list[Image.Image]]:
    """The pipeline's ``video`` and ``mask``: the first frame is known, the control stands for all others.

    Args:
        first: ``(H, W, 3)`` uint8.
        control: ``(F, H, W, 3)`` uint8, of as many frames as the clip to draw.
    """
    video = [Image.fromarray(frame) for frame in (first, *control[1:])]
    size = video[0].size
    return video, [Image.new("L", size, 0), *(Image.new("L", size, 255) for _ in video[1:])]


@torch.no_grad()
def draw(
    pipeline: WanVACEPipeline,
    first: npt.NDArray[np.uint8],
    control: npt.NDArray[np.uint8],
    prompt: str,
    sampling: Sampling,
) -> npt.NDArray[np.uint8]:
    """Draw a clip ``(F, H, W, 3)`` uint8 from its first frame, a control and a caption."""
    video, mask = control_inputs(first, control)
    frames: npt.NDArray[np.float32] = pipeline(
        prompt=prompt,
        video=video,
        mask=mask,
        height=first.shape[0],
        width=first.shape[1],
        num_frames=len(control),
        num_inference_steps=sampling.steps,
        guidance_scale=sampling.guidance,
        max_sequence_length=pipeline.tokenizer.model_max_length,
        generator=torch.Generator().manual_seed(sampling.seed),
    ).frames[0]
    return np.rint(frames * 255).astype(np.uint8)


def measure_control(
    pipeline: WanVACEPipeline, specs: Sequence[MiniClip], sampling: Sampling, sheet: Path
) -> dict[str, dict[str, float]]:
    """Draw clips under controls of their own, and compare them with the clips.

    Args:
        pipeline: with a transformer in training or trained.
        specs: clips that no stage trained on.
        sampling: how to draw.
        sheet: where to save, under every clip, control and drawing, kind after kind; without control last.

    Returns:
        By kind of control, mean PSNR in dB of the drawn clips (``clip``) and of their first frames
        (``first_frame``); ``frozen`` repeats the first frame instead of drawing.
    """
    rows: list[npt.NDArray[np.uint8]] = []
    result: dict[str, dict[str, float]] = {}
    truths = [spec.render() for spec in specs]
    kinds: tuple[ControlKind | None, ...] = (*CONTROL_KINDS, None)
    for kind in kinds:
        drawn = []
        for spec, truth in zip(specs, truths, strict=True):
            control = render_control(spec, kind) if kind else np.full_like(truth, _GREY)
            drawn.append(draw(pipeline, truth[0], control, clip_captions(spec).benchmark, sampling))
            rows += [truth, control, drawn[-1]]
        result[kind or "none"] = {
            "clip": _mean_psnr(drawn, truths),
            "first_frame": _mean_psnr([clip[:1] for clip in drawn], [truth[:1] for truth in truths]),
        }
    result["frozen"] = {"clip": _mean_psnr([np.repeat(truth[:1], len(truth), axis=0) for truth in truths], truths)}
    save_sheet(sheet, np.stack(rows))
    return result


def _mean_psnr(drawn: Sequence[npt.NDArray[np.uint8]], truths: Sequence[npt.NDArray[np.uint8]]) -> float:
    errors = [np.square(one.astype(float) - other).mean() for one, other in zip(drawn, truths, strict=True)]
    return round(float(np.mean([10 * math.log10(255**2 / max(error, 1e-3)) for error in errors])), 2)


def _save(pipeline: WanVACEPipeline, folder: Path) -> None:
    """Save the pipeline in half precision, as every checkpoint of the suite."""
    modules = (pipeline.text_encoder, pipeline.vae, pipeline.transformer)
    for module in modules:
        module.half()
    pipeline.save_pretrained(folder)
    for module in modules:
        module.float()
