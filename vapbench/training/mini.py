"""All stages in order: one call trains the mini suite's checkpoints, and the same call resumes.

<output>/vae  tokenizer  text_encoder  semantic  classifier  base  expert    a card beside the weights of each
<output>/vap                                                                 the pipeline that methods load
<output>/lora/<condition>                                                    an adapter of the base per condition
<output>/work/<stage>                                                        states, losses, curves, sheets
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXImageToVideoPipeline, CogVideoXTransformer3DModel
from transformers import T5EncoderModel, T5Tokenizer

from vapbench.errors import UsageError, VapbenchError, did_you_mean
from vapbench.files import TEMPORARY
from vapbench.methods.adapters import fingerprint
from vapbench.models import CogVideoXImageToVideoMOTPipeline, load_transformer
from vapbench.models.weights import read_json
from vapbench.training.base import BaseConfig, train_base
from vapbench.training.cards import CARD, is_finished, weights_identity
from vapbench.training.data import SEEN_NAMES, training_specs, validation_specs
from vapbench.training.diffusion import Denoising, Sampling, make_scheduler
from vapbench.training.expert import ExpertConfig, train_expert
from vapbench.training.gate import THRESHOLD, Gate, passes
from vapbench.training.latents import Latents, cached_latents
from vapbench.training.loop import Run
from vapbench.training.lora import Base, LoraConfig, mini_lora_config, train_adapter
from vapbench.training.lora_run import mini_tasks
from vapbench.training.progress import Watcher, watcher
from vapbench.training.semantic import SemanticConfig, SemanticEncoder, train_semantic
from vapbench.training.text import TextConfig, train_text
from vapbench.training.vae import VaeConfig, prepare, train_vae

STAGES = ("vae", "text", "semantic", "classifier", "base", "expert", "vap", "lora")
"""In order; each needs those before it."""

_BUILT_ON = {"base": ("vae", "text"), "expert": ("vae", "text", "base")}  # Judges only watch.


@dataclass(frozen=True)
class MiniConfig:
    """What is trained, stage by stage."""

    vae: VaeConfig = field(default_factory=VaeConfig)
    text: TextConfig = field(default_factory=TextConfig)
    semantic: SemanticConfig = field(default_factory=SemanticConfig)
    classifier: SemanticConfig = field(
        default_factory=lambda: SemanticConfig(widths=(32, 32, 64, 96, 128), dimension=64, first_scene=300_000)
    )
    base: BaseConfig = field(default_factory=BaseConfig)
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    lora: LoraConfig = field(default_factory=mini_lora_config)
    gate_scenes: int = 2
    """Held-out scenes of each condition on which base and expert are judged."""
    sampling: Sampling = field(default_factory=Sampling)

    def seeded(self, seed: int) -> MiniConfig:
        """Return the config with another seed in every stage."""
        parts: dict[str, Any] = {}
        for name in ("vae", "text", "semantic", "classifier", "base", "expert", "lora"):
            part: Any = getattr(self, name)
            parts[name] = replace(part, plan=replace(part.plan, seed=seed))
        return replace(self, **parts)

    def smoke(self) -> MiniConfig:
        """Return the smallest config that runs every line: a test of the machinery, of no other use."""
        return MiniConfig(
            vae=replace(
                self.vae,
                plan=_few(self.vae.plan, 3),
                channels=(8, 8, 8, 8),
                latent_channels=4,
                curriculum=((0.0, 1, 2), (0.5, 5, 1)),
            ),
            text=replace(self.text, plan=_few(self.text.plan, 3), width=16, feed_forward=16, captions=4),
            semantic=replace(self.semantic, plan=_few(self.semantic.plan, 2), widths=(8, 8, 8), clips=1),
            classifier=replace(self.classifier, plan=_few(self.classifier.plan, 2), widths=(8, 8), clips=1),
            base=replace(self.base, plan=_few(self.base.plan, 3), heads=2, head_dim=16, layers=2, clips=2),
            expert=replace(self.expert, plan=_few(self.expert.plan, 3)),
            lora=self.lora.smoke(),
            gate_scenes=0,
            sampling=Sampling(steps=2),
        )


def train_mini(
    output: Path,
    *,
    smoke: bool = False,
    seed: int = 0,
    device: str | torch.device = "cpu",
    until: str = STAGES[-1],
    quiet: bool = False,
    workers: int | None = None,
    require_gate: bool = True,
    config: MiniConfig | None = None,
) -> None:
    """Train what is not yet trained, stage by stage, resuming where an earlier call was stopped.

    Args:
        output: folder of the checkpoints, and of the work on them.
        smoke: train tiny models for a few steps, to test the machinery.
        seed: of every stage.
        device: where to train.
        until: the last stage to train, one of ``STAGES``.
        quiet: show nothing.
        workers: processes that render; None is one per core, 0 renders in this process.
        require_gate: refuse to train an expert on a base that misses the gate.
        config: stages other than the default ones.

    Raises:
        UsageError: there is no stage ``until``.
        VapbenchError: the base misses the gate.
        IdentityError: the folder holds the beginning of a training with another config.
    """
    if until not in STAGES:
        raise UsageError(f"There is no stage {until!r}.{did_you_mean(until, STAGES)}")
    settings = (config or MiniConfig()).seeded(seed)
    settings = settings.smoke() if smoke else settings
    training = _Training(output, settings, torch.device(device), watcher(quiet))
    with _renderers(0 if smoke else workers) as executor:
        for stage in STAGES[: STAGES.index(until) + 1]:
            training.stage(stage, executor, require_gate and not smoke)


@dataclass(frozen=True)
class _Training:
    """One call's view of the folder."""

    output: Path
    config: MiniConfig
    device: torch.device
    watcher: Watcher

    def stage(self, name: str, executor: Executor | None, require_gate: bool) -> None:
        """Train a stage unless its folder holds the result already."""
        config = self.config
        if name == "vap":
            self._assemble()
            return
        if name == "lora":
            self._adapt(executor, require_gate)
            return
        stage_config: Any = getattr(config, name)
        folder = self._folder(name)
        built_on = {part: weights_identity(self._folder(part)) for part in _BUILT_ON.get(name, ())}
        if is_finished(folder, stage_config, built_on):
            self.watcher.tell(f"{name}: done before")
            return
        run = Run(self.output / "work" / name, self.device, self.watcher, built_on=built_on)
        if name == "vae":
            train_vae(folder, config.vae, run)
        elif name == "text":
            train_text(folder, self.output / "tokenizer", config.text, run)
        elif name in ("semantic", "classifier"):
            train_semantic(folder, stage_config, run, executor)
        elif name == "base":
            denoising = self._denoising(config.base.noise, config.base.late, executor)
            train_base(folder, config.base, run, denoising, self._gate())
        else:
            if require_gate:
                self._check_gate()
            denoising = self._denoising(config.expert.noise, config.expert.late, executor)
            train_expert(folder, self._base(), config.expert, run, denoising, self._gate())

    def _folder(self, name: str) -> Path:
        return self.output / {"text": "text_encoder"}.get(name, name)

    def _assemble(self) -> None:
        """Put the pipeline folder together from the stages' folders."""
        target = self.output / "vap"
        temporary = target.with_name(f"{TEMPORARY}vap")
        shutil.rmtree(temporary, ignore_errors=True)
        pipeline = CogVideoXImageToVideoMOTPipeline(
            tokenizer=self._tokenizer(),
            text_encoder=self._text_encoder().half(),
            vae=self._vae().half(),
            transformer=load_transformer(self.output / "expert", torch.float16),
            scheduler=make_scheduler(),
        )
        pipeline.save_pretrained(temporary)
        shutil.copy(self.output / "expert" / CARD, temporary / CARD)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)

    def _adapt(self, executor: Executor | None, require_gate: bool) -> None:
        """Train an adapter of the base for every condition that the base has seen."""
        if require_gate:
            self._check_gate()
        pipeline = CogVideoXImageToVideoPipeline(
            self._tokenizer(), self._text_encoder(), self._vae(), self._base().to(self.device), make_scheduler()
        )
        pipeline.set_progress_bar_config(disable=True)
        base = Base(pipeline, fingerprint(self.output / "vap"), "the mini suite's base")
        latents = self._latents(executor)
        for task in mini_tasks(latents, pipeline, self.config.lora):
            work = self.output / "work" / "lora" / task.condition
            train_adapter(self.output / "lora", task, base, self.config.lora, Run(work, self.device, self.watcher))

    def _check_gate(self) -> None:
        card = read_json(self.output / "base" / CARD)
        if not passes(card["measured"]["gate"]):
            raise VapbenchError(
                f"The base, told the effect, draws the right one too seldom ({card['measured']['gate']}; "
                f"{THRESHOLD:.0%} are needed), and nothing that steers it can do better. Train the base longer, "
                "or pass require_gate=False."
            )

    def _vae(self) -> Any:
        vae = AutoencoderKLCogVideoX.from_pretrained(self.output / "vae", torch_dtype=torch.float32)
        return prepare(vae).requires_grad_(False).eval().to(self.device)

    def _text_encoder(self) -> Any:
        encoder = T5EncoderModel.from_pretrained(self.output / "text_encoder", dtype=torch.float32)
        return encoder.requires_grad_(False).eval().to(self.device)

    def _tokenizer(self) -> Any:
        return T5Tokenizer.from_pretrained(self.output / "tokenizer", local_files_only=True)

    def _base(self) -> Any:
        return CogVideoXTransformer3DModel.from_pretrained(self.output / "base", torch_dtype=torch.float32)

    def _latents(self, executor: Executor | None) -> Latents:
        specs = training_specs(self.config.base.clips)
        path = self.output / "work" / "latents.safetensors"
        return cached_latents(path, self._vae(), specs, self.watcher, executor)

    def _denoising(self, noise: tuple[float, float], late: float, executor: Executor | None) -> Denoising:
        latents = self._latents(executor)
        return Denoising(latents, self._tokenizer(), self._text_encoder(), self.device, noise, late)

    def _gate(self) -> Gate:
        scenes = self.config.gate_scenes
        # Past the scenes on which the judges were validated.
        specs = validation_specs(scenes, SEEN_NAMES, first=100) if scenes else validation_specs(1, SEEN_NAMES[:2])
        judges = {
            name: SemanticEncoder.from_pretrained(self.output / name).to(self.device)
            for name in ("semantic", "classifier")
        }
        return Gate(specs, self._vae(), self._tokenizer(), self._text_encoder(), judges, self.config.sampling)


@contextmanager
def _renderers(workers: int | None) -> Iterator[Executor | None]:
    """A pool of processes that render, or none."""
    count = (os.cpu_count() or 1) if workers is None else workers
    if count < 2:
        yield None
        return
    with ProcessPoolExecutor(count) as pool:
        yield pool


def _few(plan: Any, steps: int) -> Any:
    return replace(plan, steps=steps, batch=min(plan.batch, 2))
