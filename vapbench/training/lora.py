"""One LoRA per condition on a frozen CogVideoX image-to-video model: the paper's per-condition baseline.

Adapters of rank r on the attention's projections, as in the official recipe (bytedance/Video-As-Prompt @0f30aed,
``single_branch_lora``: r = alpha = 64). The objective is CogVideoX's own: velocity, first frame as the condition,
reference unused. The same code trains the mini suite's adapters.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vapbench.core.clip import Clip
from vapbench.errors import ErrorKind, UsageError, WeightsError
from vapbench.files.atomic import TEMPORARY, digest, file_sha256, write_json
from vapbench.methods.lora_files import CARD, WEIGHTS, AdapterCard, find_adapter, weights_in
from vapbench.models.arithmetic import has_bfloat16
from vapbench.training.attention import quick_attention
from vapbench.training.contact_sheets import save_sheet
from vapbench.training.examples import Examples, Sample, data_sha256
from vapbench.training.loop import HISTORY, Losses, Run, fit, read_lines
from vapbench.training.plan import Plan

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
"""Modules that get an adapter, in every attention of the transformer."""
_POINTS = 50  # of the loss curve that the card keeps


@dataclass(frozen=True)
class LoraConfig:
    """How an adapter is trained; the defaults are those of the full-size model, see :data:`RECIPES`."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=2_000, batch=1, learning_rate=5e-5, warmup=100, cooldown=0.0, weight_decay=1e-4, ema=0.99
        )
    )
    rank: int = 64
    alpha: int = 64
    noise: tuple[float, float] | None = None
    """Mean and deviation of the timestep's logit; None draws timesteps evenly."""
    late: float = 1.0
    """Weight of the last latent frame's loss relative to the first's."""
    untold: float = 0.02
    """Share of captions that are left out."""
    clips: int | None = None
    """Most clips to train on; None is all there are."""
    conditions: int | None = None
    """Most conditions that the mini suite's stage trains; None is all."""
    looks: int = 4
    """How often a sample is drawn while training."""
    sample_steps: int = 50
    guidance: float = 6.0

    def smoke(self) -> LoraConfig:
        """Return the smallest config that runs every line."""
        plan = replace(self.plan, steps=2, batch=2)
        return replace(self, plan=plan, rank=2, alpha=2, clips=2, conditions=2, looks=1, sample_steps=2)


RECIPES = {
    "short": LoraConfig(),
    "official": LoraConfig(
        Plan(steps=60_000, batch=1, learning_rate=1e-5, warmup=1_000, cooldown=0.0, weight_decay=1e-4, ema=0.99)
    ),
}
"""``short`` is ours: the official repository publishes no steps or learning rate for this baseline. ``official`` has
those of its sibling there, the expert on one node, and its warm-up; everything else is the same."""


def mini_lora_config() -> LoraConfig:
    """Return how the mini suite's adapters are trained."""
    plan = Plan(steps=100, batch=8, learning_rate=3e-3, warmup=10, cooldown=0.5, ema=0.95)
    return LoraConfig(
        plan, rank=8, alpha=8, noise=(1.0, 1.0), late=2.0, untold=0.1, clips=200, looks=0, sample_steps=20, guidance=4.0
    )


@dataclass(frozen=True)
class Task:
    """One adapter to train."""

    condition: str
    samples: Sequence[Sample]
    """Its training clips."""
    examples: Callable[[], Examples]
    """Encode them, or read them back."""


@dataclass(frozen=True)
class Base:
    """The frozen model that adapters are trained on."""

    pipeline: Any
    """A ``CogVideoXImageToVideoPipeline`` on the device to train on."""
    fingerprint: str
    """Of its transformer, see :func:`vapbench.methods.lora_files.fingerprint`."""
    source: str
    """Where it came from, for the card."""


def accelerator(device: torch.device, precision: str) -> Any:
    """Return accelerate's ``Accelerator`` for a plan's precision; accelerate knows one precision per process.

    Raises:
        UsageError: an earlier training of this process had another precision.
    """
    from accelerate import Accelerator

    mixed = "bf16" if precision == "bfloat16" and has_bfloat16(device) else "no"
    try:
        return Accelerator(cpu=device.type == "cpu", mixed_precision=mixed)
    except ValueError as error:
        raise UsageError(
            f"accelerate cannot train in {precision} here ({error}); use a process of its own.",
            ErrorKind.CONFLICT,
            "precision",
        ) from error


def is_trained(output: Path, task: Task, base: Base, config: LoraConfig) -> bool:
    """Whether ``output`` holds this very adapter: same base, clips, captions and config."""
    try:
        found = find_adapter(output, task.condition)
    except WeightsError:
        return False
    if found is None:
        return False
    card = found.card
    wanted = (base.fingerprint, data_sha256(task.samples), _config_digest(config))
    return (card.base, card.data, card.config) == wanted


def train_adapter(output: Path, task: Task, base: Base, config: LoraConfig, run: Run) -> None:
    """Train one adapter and save it in ``output/<condition>``, in float16; what is trained already is kept.

    The base is left as it was found.

    Args:
        output: folder of adapters.
        task: condition and clips.
        base: the model.
        config: how to train.
        run: where to keep states, losses and samples, and who watches; the same call resumes from there.

    Raises:
        UsageError: an adapter that was trained elsewhere has its place.
        IdentityError: ``run.folder`` holds the state of another training.
    """
    _refuse_foreign(output, task.condition)
    if is_trained(output, task, base, config):
        run.watcher.tell(f"{task.condition}: done before")
        return
    examples = task.examples()
    built_on = {"base": base.fingerprint, "data": data_sha256(task.samples)}
    run = run._replace(built_on=built_on, accelerator=accelerator(run.device, config.plan.precision))
    transformer = base.pipeline.transformer
    _add_adapter(transformer, config)
    try:
        objective = _objective(base.pipeline, examples, config, run.device)
        inspect = _sampler(base.pipeline, task, examples, config, run)
        every = config.plan.steps // (config.looks + 1) if config.looks else 0
        if fit(transformer, objective, config.plan, run, inspect=inspect, inspect_every=every):
            inspect(config.plan.steps)
            _save(output, task, base, config, run)
    finally:
        transformer.disable_gradient_checkpointing()
        transformer.delete_adapters("default")


def _refuse_foreign(output: Path, condition: str) -> None:
    folder = output / condition
    try:
        found = find_adapter(output, condition)
        foreign = found is not None and found.card.adopted
    except WeightsError:
        foreign = weights_in(folder) is not None and not (folder / CARD).exists()
    if foreign:
        raise UsageError(
            f"{folder} holds an adapter that was trained elsewhere; give another --out, or move it away.",
            ErrorKind.CONFLICT,
            "out",
        )


def _add_adapter(transformer: Any, config: LoraConfig) -> None:
    from peft import LoraConfig as PeftConfig

    torch.manual_seed(config.plan.seed)
    transformer.requires_grad_(False)
    transformer.add_adapter(
        PeftConfig(r=config.rank, lora_alpha=config.alpha, target_modules=list(TARGETS), init_lora_weights=True)
    )
    for parameter in transformer.parameters():
        if parameter.requires_grad:
            # Small steps on half-precision weights round to none.
            parameter.data = parameter.data.float()
    if next(transformer.parameters()).device.type != "cpu":
        transformer.enable_gradient_checkpointing()


def _objective(
    pipeline: Any, examples: Examples, config: LoraConfig, device: torch.device
) -> Callable[[int, torch.Generator], Losses]:
    """CogVideoX's denoising loss on the examples; its weight 1 / (1 - alpha) on clean latents is velocity's error."""
    transformer = pipeline.transformer
    alphas = pipeline.scheduler.alphas_cumprod.float()
    frames, _, rows, columns = examples.clips.shape[1:]
    factor = pipeline.vae_scale_factor_spatial
    table = None
    if transformer.config.use_rotary_positional_embeddings:
        table = pipeline._prepare_rotary_positional_embeddings(rows * factor, columns * factor, frames, device)
    ramp = torch.linspace(1.0, config.late, frames)
    weights = (ramp / ramp.mean())[:, None, None, None].to(device)

    def objective(step: int, generator: torch.Generator) -> Losses:
        count = config.plan.batch
        chosen = torch.randint(0, len(examples), (count,), generator=generator)
        timesteps = _timesteps(config.noise, count, generator)
        clean, still = examples.clips[chosen].float(), examples.stills[chosen].float()
        noise = torch.randn(clean.shape, generator=generator)
        alpha = alphas[timesteps].view(-1, 1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        first = torch.zeros_like(clean)
        first[:, 0] = still + examples.deviation[:, None, None] * torch.randn(still.shape, generator=generator)
        untold = torch.rand(count, generator=generator) < config.untold
        text = torch.where(untold[:, None, None], examples.empty, examples.texts[chosen])
        with quick_attention(device):
            predicted = transformer(
                torch.cat([noisy, first], dim=2).to(device, transformer.dtype),
                text.to(device, transformer.dtype),
                timesteps.to(device),
                image_rotary_emb=table,
                return_dict=False,
            )[0]
        return {"loss": (weights * (predicted.float() - velocity.to(device)).square()).mean()}

    return objective


def _timesteps(noise: tuple[float, float] | None, count: int, generator: torch.Generator) -> torch.Tensor:
    if noise is None:
        return torch.randint(0, 1000, (count,), generator=generator)
    mean, deviation = noise
    logits = torch.randn(count, generator=generator) * deviation + mean
    return (torch.sigmoid(logits) * 1000).long().clamp(0, 999)


def _sampler(pipeline: Any, task: Task, examples: Examples, config: LoraConfig, run: Run) -> Callable[[int], None]:
    """What draws a sample beside the training clip it begins like."""

    @torch.no_grad()
    def draw(step: int) -> None:
        shown = task.samples[0].frames()
        text, empty = (part[None].to(run.device, pipeline.dtype) for part in (examples.texts[0], examples.empty))
        made = pipeline(
            image=Image.fromarray(shown[0]),
            prompt_embeds=text,
            negative_prompt_embeds=empty,
            height=shown.shape[1],
            width=shown.shape[2],
            num_frames=len(shown),
            num_inference_steps=config.sample_steps,
            guidance_scale=config.guidance,
            generator=torch.Generator().manual_seed(config.plan.seed),
            output_type="np",
        ).frames[0]
        clip = Clip.from_float(made[-len(shown) :], 1.0, f"{task.condition} at step {step}")
        save_sheet(run.folder / f"step-{step:06d}.png", np.stack([shown, clip.frames]))

    return draw


def _save(output: Path, task: Task, base: Base, config: LoraConfig, run: Run) -> None:
    """Write weights and card; the folder appears whole."""
    from peft import get_peft_model_state_dict

    transformer = base.pipeline.transformer
    layers = {name: tensor.half() for name, tensor in get_peft_model_state_dict(transformer).items()}
    folder = output / task.condition
    temporary = output / f"{TEMPORARY}{task.condition}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    base.pipeline.save_lora_weights(
        temporary,
        transformer_lora_layers=layers,
        transformer_lora_adapter_metadata=transformer.peft_config["default"].to_dict(),
    )
    history = list(read_lines(run.folder / HISTORY))
    card = AdapterCard(
        condition=task.condition,
        base=base.fingerprint,
        base_weights=base.source,
        data=data_sha256(task.samples),
        clips=len(task.samples),
        steps=config.plan.steps,
        seed=config.plan.seed,
        rank=config.rank,
        alpha=config.alpha,
        config=_config_digest(config),
        loss=tuple((row["step"], row["loss"]) for row in history[:: max(1, len(history) // _POINTS)]),
        packages={name: importlib.metadata.version(name) for name in ("torch", "diffusers", "peft")},
        sha256=file_sha256(temporary / WEIGHTS),
    )
    write_json(temporary / CARD, card.model_dump())
    if folder.exists():
        shutil.rmtree(folder)
    temporary.rename(folder)


def _config_digest(config: LoraConfig) -> str:
    return digest(asdict(config))
