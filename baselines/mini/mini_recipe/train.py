"""All stages in order: one call trains the mini suite's checkpoints, and the same call resumes.

<output>/vae  tokenizer  text_encoder  semantic  classifier  image_text  quality  base  expert    cards beside weights
<output>/wan_vae                                                 the structure controls' own autoencoder
<output>/lora/<condition>                                        an adapter of the base per condition
<output>/i2v  vap  vace                                          the pipelines that methods load
<output>/expert_...                                              experts that differ in one thing, for the claims
<output>/single                                                  the base itself, trained to read, for them too
<output>/bundle                                                  what ships of all this
<output>/work/<stage>                                            states, losses, curves, sheets
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    CogVideoXImageToVideoPipeline,
    CogVideoXTransformer3DModel,
)
from transformers import T5EncoderModel, T5Tokenizer

from mini_recipe.adapters import mini_tasks
from mini_recipe.base import train_base
from mini_recipe.bundle import bundle
from mini_recipe.cards import CARD, is_finished, weights_identity
from mini_recipe.clips import validation_specs
from mini_recipe.config import ASSEMBLED, FOR_CLAIMS, STAGES, VERSIONS, MiniConfig
from mini_recipe.diffusion import Denoising, make_scheduler
from mini_recipe.expert import VARIANTS, ExpertConfig, Gates, Variant, train_expert
from mini_recipe.gate import THRESHOLD, Gate, Judge, passes
from mini_recipe.image_text import train_image_text
from mini_recipe.latents import Latents, cached_latents
from mini_recipe.parallel import asked_to_leave, run_side_by_side
from mini_recipe.quality import train_quality
from mini_recipe.readings import fitted
from mini_recipe.regressor import Regressor, RegressorConfig, train_regressor
from mini_recipe.semantic import SemanticConfig, accuracy, train_semantic
from mini_recipe.single import train_single
from mini_recipe.text import train_text
from mini_recipe.vace import train_vace
from mini_recipe.vae import prepare, train_vae
from mini_recipe.wan_vae import prepare_wan_vae, train_wan_vae
from vapbench.checkpoints.tensors import read_json
from vapbench.errors import ErrorKind, UsageError, VapbenchError, did_you_mean
from vapbench.files.atomic import TEMPORARY, digest
from vapbench.methods.lora_files import fingerprint
from vapbench.models import CogVideoXImageToVideoMOTPipeline, load_transformer
from vapbench.models.loading import load_component
from vapbench.models.semantic_encoder import SemanticEncoder
from vapbench.running.context import Progress
from vapbench.running.progress import progress
from vapbench.suites.mini.grammar.parameters import CATEGORIES
from vapbench.training.data import training_specs
from vapbench.training.loop import Run
from vapbench.training.lora import Base, train_adapter

_BUILT_ON = {
    "quality": ("image_text",),
    "base": ("vae", "text"),  # Judges only watch.
    "expert": ("vae", "text", "base"),
    "vace": ("wan_vae", "text"),
    **dict.fromkeys(FOR_CLAIMS, ("vae", "text", "base")),
}
_NEEDS = _BUILT_ON | {
    "base": ("vae", "text", "semantic", "classifier"),
    "i2v": ("base",),
    "lora": ("i2v",),
    "vap": ("expert",),
    "bundle": STAGES[:-1],
}
_MOST_RENDERERS = 12
_ADAPTERS_CLIPS = 200  # of each condition, where no other number is asked for


def _never() -> bool:
    return False


def train_mini(
    output: Path,
    *,
    smoke: bool = False,
    seed: int = 0,
    device: str | torch.device = "cpu",
    until: str = STAGES[-1],
    quiet: bool = False,
    jobs: int = 1,
    only: Sequence[str] = (),
    version: int = 1,
    require_gate: bool = True,
    config: MiniConfig | None = None,
    stopping: Callable[[], bool] = _never,
    watching: Progress | None = None,
) -> bool:
    """Train what is not yet trained, stage by stage, resuming where an earlier call was stopped.

    Args:
        output: folder of the checkpoints, and of the work on them.
        smoke: train tiny models for a few steps, to test the machinery.
        seed: of every stage.
        device: where to train.
        until: the last stage to train.
        quiet: show nothing.
        jobs: stages to train at once, each in a process with its share of the cores; 1 trains in this process.
        only: stages to train, in place of all up to ``until``; what they need has to be there.
        version: of the suite, one of ``VERSIONS``.
        require_gate: refuse to train an expert on a base that misses the gate.
        config: stages other than the version's.
        stopping: asked after every step whether to leave with the state saved.
        watching: told how far it is, in place of the terminal.

    Returns:
        Whether all that was asked for is trained.

    Raises:
        UsageError: there is no such stage or version, or what a stage needs is not there.
        VapbenchError: the base misses the gate.
        IdentityError: the folder holds the beginning of a training with another config.
    """
    if version not in VERSIONS:
        raise UsageError(
            f"The mini suite has versions {' and '.join(map(str, VERSIONS))}, not {version}.",
            ErrorKind.UNKNOWN,
            "version",
        )
    settings = (config or VERSIONS[version]()).seeded(seed)
    settings = settings.smoke() if smoke else settings
    for name in (until, *only):
        if name not in settings.stages:
            raise UsageError(
                f"There is no stage {name!r}.{did_you_mean(name, settings.stages)}", ErrorKind.UNKNOWN, "stage"
            )
    gated = require_gate and not smoke
    stages = settings.stages[: settings.stages.index(until) + 1]
    if only:
        stages = tuple(stage for stage in settings.stages if stage in only)
    training = _Training(output, settings, torch.device(device), watching or progress(quiet, shared=jobs > 1))
    if jobs > 1:
        training = replace(training, stopping=asked_to_leave)
        train = partial(training.stage, executor=None, require_gate=gated)
        return run_side_by_side(stages, _NEEDS, jobs, train, stopping)
    training = replace(training, stopping=stopping)
    with _renderers(1 if smoke else os.cpu_count() or 1) as executor:
        for stage in stages:
            training.stage(stage, executor, gated)
            if stopping():
                return False
    return True


@dataclass(frozen=True)
class _Training:
    """One call's view of the folder."""

    output: Path
    config: MiniConfig
    device: torch.device
    watcher: Progress
    stopping: Callable[[], bool] = _never

    def stage(self, name: str, executor: Executor | None, require_gate: bool) -> None:
        """Train a stage unless its folder holds the result already, and say how long it took."""
        began = time.monotonic()
        self._train(name, executor, require_gate)
        self.watcher.tell(f"{name}: {(time.monotonic() - began) / 60:.1f} min")

    def _train(self, name: str, executor: Executor | None, require_gate: bool) -> None:
        config, data = self.config, self.config.data
        self._check_needs(name)
        if name == "bundle":
            self.watcher.tell(f"bundle: {bundle(self.output):.1f} MB in {self.output / name}")
            return
        if name in ASSEMBLED:
            self._assemble(name)
            return
        if require_gate and name in ("lora", "expert", *FOR_CLAIMS):
            self._check_gate()
        if name == "lora":
            self._adapt(executor)
            return
        stage_config: Any = config.compared if name in FOR_CLAIMS else getattr(config, name)
        folder = self._folder(name)
        parts = {part: weights_identity(self._folder(part)) for part in _BUILT_ON.get(name, ())}
        built_on = {**data.built_on, **parts}
        if name in VARIANTS:
            built_on["variant"] = digest(asdict(VARIANTS[name]))
        if is_finished(folder, stage_config, built_on):
            self.watcher.tell(f"{name}: done before")
            return
        run = Run(self.output / "work" / name, self.device, self.watcher, built_on=built_on, stopping=self.stopping)
        # A CPU has no core to spare for rendering ahead.
        ahead = executor if self.device.type != "cpu" else None
        if name == "vae":
            train_vae(folder, config.vae, run, data, ahead)
        elif name == "text":
            train_text(folder, self.output / "tokenizer", config.text, run, data)
        elif isinstance(stage_config, RegressorConfig):
            train_regressor(folder, stage_config, run, data, executor)
        elif isinstance(stage_config, SemanticConfig):
            train_semantic(folder, stage_config, run, executor)
        elif name == "image_text":
            train_image_text(folder, config.image_text, run, data, executor)
        elif name == "quality":
            train_quality(folder, self._folder("image_text"), config.quality, run, data, executor)
        elif name == "wan_vae":
            train_wan_vae(folder, config.wan_vae, run, data, ahead)
        elif name == "vace":
            captions = self._tokenizer(), self._text_encoder()
            train_vace(folder, config.vace, run, (*captions, self._wan_vae()), data, executor)
        elif name == "base":
            denoising = self._denoising(config.base.noise, config.base.late, executor)
            train_base(folder, config.base, run, denoising, self._gate(executor))
        elif name == "single":
            denoising = self._denoising(config.compared.noise, config.compared.late, executor)
            train_single(folder, self._base(), config.compared, run, denoising, self._gates(executor))
        elif name in VARIANTS:
            self._train_expert(folder, run, config.compared, VARIANTS[name], executor)
        else:
            self._train_expert(folder, run, config.expert, Variant(), executor)

    def _train_expert(
        self, folder: Path, run: Run, config: ExpertConfig, variant: Variant, executor: Executor | None
    ) -> None:
        data, shown = self.config.data, None
        if variant.conditions is not None:
            shown = data.training[: variant.conditions * len(CATEGORIES)]  # One of each category in turn.
        denoising = self._denoising(config.noise, config.late, executor, shown)
        gates = self._gates(executor)
        train_expert(folder, self._base(), config, run, denoising, gates, positions=variant.positions)

    def _check_needs(self, name: str) -> None:
        """Refuse a stage whose parts are not there; adapters and what ships are put together from what there is."""
        for part in _NEEDS.get(name, ()):
            known = part in self.config.stages and part not in ("lora", "bundle")
            if known and not (self._folder(part) / CARD).is_file():
                raise UsageError(
                    f"Stage {name} needs {part}, which {self.output} does not hold yet: train it first.",
                    ErrorKind.MISSING,
                    part,
                )

    def _folder(self, name: str) -> Path:
        return self.output / {"text": "text_encoder"}.get(name, name)

    def _assemble(self, name: str) -> None:
        """Put a pipeline folder together from the stages' folders."""
        target, part = self.output / name, {"i2v": "base", "vap": "expert"}[name]
        temporary = target.with_name(f"{TEMPORARY}{name}")
        shutil.rmtree(temporary, ignore_errors=True)
        classes: dict[str, Any] = {"i2v": CogVideoXImageToVideoPipeline, "vap": CogVideoXImageToVideoMOTPipeline}
        pipeline = classes[name](
            tokenizer=self._tokenizer(),
            text_encoder=self._text_encoder().half(),
            vae=self._vae().half(),
            transformer=self._base().half() if name == "i2v" else load_transformer(self.output / part, torch.float16),
            scheduler=make_scheduler(),
        )
        pipeline.save_pretrained(temporary)
        shutil.copy(self.output / part / CARD, temporary / CARD)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)

    def _adapt(self, executor: Executor | None) -> None:
        """Train an adapter of the base for every condition that the base has seen."""
        pipeline = CogVideoXImageToVideoPipeline(
            self._tokenizer(), self._text_encoder(), self._vae(), self._base().to(self.device), make_scheduler()
        )
        pipeline.set_progress_bar_config(disable=True)
        base = Base(pipeline, fingerprint(self.output / "i2v"), "the mini suite's base")
        # Where the base learns other conditions than adapters do, these have clips of their own.
        shared = self.config.data.benchmark == self.config.data.training
        latents = self._latents(executor) if shared else self._adapters_latents(executor)
        for task in mini_tasks(latents, pipeline, self.config.lora):
            work = self.output / "work" / "lora" / task.condition
            run = Run(work, self.device, self.watcher, stopping=self.stopping)
            train_adapter(self.output / "lora", task, base, self.config.lora, run)
            if self.stopping():
                return

    def _check_gate(self) -> None:
        card = read_json(self.output / "base" / CARD)
        if not passes(card["measured"]["gate"]):
            raise VapbenchError(
                f"The base, told the effect, draws the right one too seldom ({card['measured']['gate']}; "
                f"{THRESHOLD:.0%} are needed), and nothing that steers it can do better. Train the base longer, "
                "or pass require_gate=False.",
                ErrorKind.LIMIT,
                "gate",
            )

    def _vae(self) -> Any:
        vae = load_component(AutoencoderKLCogVideoX, self.output / "vae", torch.float32)
        return prepare(vae).requires_grad_(False).eval().to(self.device)

    def _wan_vae(self) -> Any:
        vae = load_component(AutoencoderKLWan, self.output / "wan_vae", torch.float32)
        return prepare_wan_vae(vae).requires_grad_(False).eval().to(self.device)

    def _text_encoder(self) -> Any:
        encoder = load_component(T5EncoderModel, self.output / "text_encoder", torch.float32)
        return encoder.requires_grad_(False).eval().to(self.device)

    def _tokenizer(self) -> Any:
        tokenizer: Any = load_component(T5Tokenizer, self.output / "tokenizer", torch.float32)
        tokenizer.model_max_length = self.config.data.caption_length
        return tokenizer

    def _base(self) -> Any:
        return load_component(CogVideoXTransformer3DModel, self.output / "base", torch.float32)

    def _latents(self, executor: Executor | None) -> Latents:
        specs = training_specs(self.config.base.clips, names=self.config.data.training)
        path = self.output / "work" / "latents.safetensors"
        return cached_latents(path, self._vae(), specs, self.watcher, executor)

    def _adapters_latents(self, executor: Executor | None) -> Latents:
        names = self.config.data.benchmark[: self.config.lora.conditions]
        specs = training_specs(self.config.lora.clips or _ADAPTERS_CLIPS, names=names)
        path = self.output / "work" / "adapters_latents.safetensors"
        return cached_latents(path, self._vae(), specs, self.watcher, executor)

    def _denoising(
        self, noise: tuple[float, float], late: float, executor: Executor | None, shown: Sequence[str] | None = None
    ) -> Denoising:
        latents = self._latents(executor)
        if shown is not None:
            latents = latents.only(shown)
        return Denoising(latents, self._tokenizer(), self._text_encoder(), self.device, noise, late)

    def _gate(self, executor: Executor | None, names: Sequence[str] = ()) -> Gate:
        """Unseen clips of conditions, of the benchmark's seen ones by default."""
        scenes, names = self.config.gate_scenes, names or self.config.data.benchmark
        # Past the scenes on which the judges were validated.
        specs = validation_specs(scenes, names, first=100) if scenes else validation_specs(1, names[:2])
        judges = self._judges(executor)
        return Gate(specs, self._vae(), self._tokenizer(), self._text_encoder(), judges, self.config.sampling)

    def _gates(self, executor: Executor | None) -> Gates:
        return Gates(self._gate(executor), self._gate(executor, self.config.data.held_out))

    def _judges(self, executor: Executor | None) -> dict[str, Judge]:
        config = self.config.semantic
        if isinstance(config, RegressorConfig):
            regressor = Regressor.from_pretrained(self.output / "semantic", config).to(self.device)
            return {"fitted": partial(fitted, executor=executor), "regressor": regressor.verdict}
        return {
            name: partial(accuracy, SemanticEncoder.from_pretrained(self.output / name).to(self.device))
            for name in ("semantic", "classifier")
        }


@contextmanager
def _renderers(count: int) -> Iterator[Executor | None]:
    """A pool of processes that render, or none where one would do."""
    if count < 2:
        yield None
        return
    with ProcessPoolExecutor(min(count, _MOST_RENDERERS), get_context("spawn")) as pool:
        yield pool
