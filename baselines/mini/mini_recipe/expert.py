"""The VAP expert: it reads a reference clip and steers the frozen base (arXiv 2510.20888).

The model is ``CogVideoXTransformer3DMOTModel``, the expert begins as a copy of the base, and only its twins
train. References are other clips of the target's condition, on other scenes; captions give the effect by its
code name at most, so the reference is the only way to know it.

With empty and negative captions the reference shows any condition at all, so the model learns to ignore it
then: the pipelines' guidance over captions becomes guidance over the reference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mini_recipe.cards import finish
from mini_recipe.clips import to_frames
from mini_recipe.diffusion import Denoising, quick, rotary, sample, table_at
from mini_recipe.gate import Gate
from mini_recipe.latents import decode, encode
from mini_recipe.prompts import Mix, captions_of, told
from mini_recipe.text import tokenise
from mini_recipe.vae import LATENT_FRAMES
from vapbench.models import CogVideoXTransformer3DMOTModel
from vapbench.models.experts import SUFFIX
from vapbench.models.rope import ReferenceRope, Rotary, reference_positions
from vapbench.models.semantic_encoder import to_video
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.training.attention import quick_attention
from vapbench.training.contact_sheets import save_sheet
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan

_INSPECTIONS = 6
_BATCH = 27


@dataclass(frozen=True)
class ExpertConfig:
    """How the expert is trained; its sizes are the base's."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=3_600,
            batch=16,
            learning_rate=1e-3,
            matrix_learning_rate=5e-3,
            warmup=100,
            cooldown=0.5,
            ema=0.995,
        )
    )
    noise: tuple[float, float] = (1.0, 1.0)
    late: float = 2.0
    mix: Mix = field(default_factory=lambda: Mix(plain=0.0, scene=0.2, benchmark=0.68, empty=0.06, negative=0.06))


@dataclass(frozen=True)
class Variant:
    """What an expert is trained with."""

    positions: ReferenceRope = "before"
    """Where the reference is on the target's time axis."""
    conditions: int | None = None
    """Conditions of each category that it is trained on, the first of all; None is all."""


VARIANTS: Mapping[str, Variant] = {
    "expert_shared": Variant(positions="shared", conditions=160),
    "expert_far": Variant(positions="far", conditions=160),
    "expert_20": Variant(conditions=20),
    "expert_40": Variant(conditions=40),
    "expert_80": Variant(conditions=80),
    "expert_160": Variant(conditions=160),
}
"""By stage; each differs from ``expert_160`` in one thing, and so shows what that thing does."""


class Gates(NamedTuple):
    """What a model that reads references is judged by."""

    seen: Gate
    """Unseen clips of conditions of training, looked at on the way too."""
    held_out: Gate
    """Clips of held-out conditions, looked at in the end."""


def base_sha256(transformer: nn.Module) -> str:
    """SHA-256 of the tensors a transformer has from its base, by name; the same before and after the expert trains."""
    state = transformer.state_dict()
    digest = hashlib.sha256()
    for name in sorted(name for name in state if SUFFIX not in name):
        digest.update(name.encode())
        # Some buffers are float64 before they are saved; the values are the same.
        digest.update(state[name].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def make_expert(base: Any) -> Any:
    """Return the Mixture-of-Transformers on a base, with an expert in every block, of which alone trains."""
    model = CogVideoXTransformer3DMOTModel.from_base(base, range(base.config.num_layers))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(SUFFIX in name)
    return model


def reference_rotary(config: Any, device: torch.device, positions: ReferenceRope = "before") -> Rotary:
    """Return the table of one reference."""
    return table_at(reference_positions(LATENT_FRAMES, placement=positions), config, device)


def train_expert(
    output: Path,
    base: Any,
    config: ExpertConfig,
    run: Run,
    denoising: Denoising,
    gates: Gates,
    *,
    positions: ReferenceRope = "before",
) -> None:
    """Train the expert on a frozen base, and save the whole transformer in ``output``.

    Args:
        output: folder of the transformer.
        base: it stays as it is.
        config: how.
        run: where.
        denoising: the clips, and what is asked of the model.
        gates: what it is judged by.
        positions: where the reference is on the target's time axis.
    """
    torch.manual_seed(config.plan.seed)
    model = make_expert(base).to(run.device)
    before = base_sha256(model)
    report: dict[str, Any] | None = fit_reader(model, config, run, denoising, gates, positions)
    if report is None:
        return
    if base_sha256(model) != before:
        raise AssertionError("the base changed while the expert was trained")
    report["base_sha256"] = before
    run.watcher.tell(f"{run.folder.name}: {report}")
    finish(output, "expert", model, config, run, report)


def fit_reader(
    model: Any,
    config: ExpertConfig,
    run: Run,
    denoising: Denoising,
    gates: Gates,
    positions: ReferenceRope = "before",
) -> dict[str, Any] | None:
    """Train what of a model requires gradients to draw what a reference shows.

    Args:
        model: a Mixture-of-Transformers on ``run.device``.
        config: how.
        run: where.
        denoising: the clips, and what is asked of the model.
        gates: what it is judged by.
        positions: where the reference is on the target's time axis.

    Returns:
        How often its clips show the reference's condition, one of training and one held out, by judge; None if it was
        interrupted.
    """
    forward = quick(model, config.plan)
    tables = rotary(model.config, run.device), reference_rotary(model.config, run.device, positions)
    pairs = _Pairs(denoising.latents.specs)
    references = _reference_inputs(denoising)

    def objective(step: int, generator: torch.Generator) -> Losses:
        chosen = torch.randint(0, len(pairs.specs), (config.plan.batch,), generator=generator)
        tellings = config.mix.draw(len(chosen), generator)
        ignored = [telling in ("empty", "negative") for telling in tellings]
        partners = pairs.draw(chosen, ignored, generator)
        timesteps = denoising.timesteps(len(chosen), generator)
        inputs, target = denoising.noisy(chosen, timesteps, generator)
        text, other = (denoising.encode(rows, tellings) for rows in (chosen, partners))
        with quick_attention(run.device):
            velocity = forward(
                inputs,
                text,
                timesteps.to(run.device),
                image_rotary_emb=tables[0],
                reference_hidden_states=references(partners).to(run.device),
                reference_encoder_hidden_states=other,
                reference_rotary_emb=tables[1],
                return_dict=False,
            )[0]
        return {"loss": denoising.error(velocity, target)}

    def measure(gate: Gate, sheet: Path) -> dict[str, dict[str, float]]:
        clips, shown = steer(model, gate, positions)
        rows = np.stack([shown[:14], clips[:14]], axis=1).reshape(-1, *clips.shape[1:])
        save_sheet(sheet, rows)
        return {name: judge(clips, gate.specs) for name, judge in gate.judges.items()}

    def inspect(step: int) -> None:
        run.watcher.tell(f"{run.folder.name}: step {step}, {measure(gates.seen, run.folder / f'step-{step:06d}.png')}")

    every = max(1, config.plan.steps // _INSPECTIONS)
    if not fit(model, objective, config.plan, run, inspect=inspect, inspect_every=every):
        return None
    return {
        "accuracy": measure(gates.seen, run.folder / "final.png"),
        "accuracy_on_held_out_conditions": measure(gates.held_out, run.folder / "final-held-out.png"),
    }


@torch.no_grad()
def steer(
    model: Any, gate: Gate, positions: ReferenceRope = "before"
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Generate the gate's clips from benchmark captions and a reference each.

    Returns:
        The generated clips and their references, each ``(N, F, H, W, 3)`` uint8.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(gate.sampling.seed)
    tables = rotary(model.config, device), reference_rotary(model.config, device, positions)
    # The next scene but one of the split, so that no clip of the gate is a reference.
    shift = 10 * len(gate.specs)
    others = [MiniClip(spec.condition, spec.scene + shift, spec.scene + shift) for spec in gate.specs]
    clips, shown = [], []
    for start in range(0, len(gate.specs), _BATCH):
        specs, references = gate.specs[start : start + _BATCH], others[start : start + _BATCH]
        mean, deviation = encode(gate.vae, to_video(render_batch(specs)[:, :1]))
        first = mean + deviation * torch.randn(mean.shape, generator=generator)
        frames = render_batch(references)
        latents = _whole(gate.vae, frames).to(device)
        text, other = (_both_captions(gate, part, device) for part in (specs, references))

        def velocity(
            inputs: torch.Tensor,
            text: torch.Tensor,
            timesteps: torch.Tensor,
            latents: torch.Tensor = latents,
            other: torch.Tensor = other,
        ) -> torch.Tensor:
            predicted: torch.Tensor = model(
                inputs,
                text,
                timesteps,
                image_rotary_emb=tables[0],
                reference_hidden_states=latents.repeat(2, 1, 1, 1, 1),
                reference_encoder_hidden_states=other,
                reference_rotary_emb=tables[1],
                return_dict=False,
            )[0]
            return predicted

        with quick_attention(device):
            result = sample(velocity, text, first.to(device), gate.sampling, generator)
        clips.append(to_frames(decode(gate.vae, result)))
        shown.append(frames)
    return np.concatenate(clips), np.concatenate(shown)


def _both_captions(gate: Gate, specs: Sequence[MiniClip], device: torch.device) -> torch.Tensor:
    captions = [told(caption, "benchmark") for caption in captions_of(specs)]
    embedded: torch.Tensor = gate.text_encoder(tokenise(gate.tokenizer, [""] * len(specs) + captions).to(device))[0]
    return embedded


def _whole(vae: Any, frames: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Reference input ``(B, T, 2C, h, w)``: latents of the clip beside those of its first frame."""
    video = to_video(frames)
    clip, still = encode(vae, video)[0], encode(vae, video[:, :, :1])[0]
    padded = torch.zeros_like(clip)
    padded[:, :1] = still
    return torch.cat([clip, padded], dim=2)


def _reference_inputs(denoising: Denoising) -> Any:
    latents = denoising.latents

    def inputs(chosen: torch.Tensor) -> torch.Tensor:
        clip = latents.clips[chosen].float()
        padded = torch.zeros_like(clip)
        padded[:, 0] = latents.stills[chosen].float()
        return torch.cat([clip, padded], dim=2)

    return inputs


class _Pairs:
    """Partners of clips: others of the same condition, or any."""

    def __init__(self, specs: Sequence[MiniClip]) -> None:
        self.specs = specs
        self.by_condition: dict[str, list[int]] = {}
        for row, spec in enumerate(specs):
            self.by_condition.setdefault(spec.condition, []).append(row)

    def draw(self, chosen: torch.Tensor, ignored: Sequence[bool], generator: torch.Generator) -> torch.Tensor:
        partners = []
        for row, any_condition in zip(chosen.tolist(), ignored, strict=True):
            among = range(len(self.specs)) if any_condition else self.by_condition[self.specs[row].condition]
            place = int(torch.randint(0, len(among) - 1, (1,), generator=generator))
            # One fewer is drawn, and the clip itself is stepped over: nothing is its own reference.
            partners.append(among[place] if among[place] != row else among[-1])
        return torch.tensor(partners)
