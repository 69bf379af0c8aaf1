"""The quality head: a linear rating of frames on the frozen image encoder.

It learns from pairs alone (Bradley & Terry 1952): a clean render is better than the same or another frame that is
blurred, noisy, blocky or ghosted, and a slightly degraded frame is better than a badly degraded one.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from mini_recipe.cards import finish_folder
from mini_recipe.clips import judge_specs, validation_specs
from mini_recipe.data import MiniData
from mini_recipe.degradations import FAULTS, degrade
from mini_recipe.image_text import frames_of
from vapbench.metrics.features.clip import ClipEncoder, ClipWeights, prepare
from vapbench.metrics.features.precision import exact_float32
from vapbench.metrics.mini import HEAD
from vapbench.suites.mini.geometry import SIZE
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan

_FRAMES_AT_ONCE = 256
_MILD, _BAD = (0.15, 0.5), (0.6, 1.0)


@dataclass(frozen=True)
class QualityConfig:
    """What the head is trained on, and how."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=1_000, batch=512, learning_rate=0.1, warmup=20, weight_decay=1e-3, ema=0.98, precision="float32"
        )
    )
    clips: int = 20
    """Training clips of each condition."""
    frames: int = 2
    """Frames of each clip."""
    first_scene: int = 500_000
    """Index of the first training scene."""


@dataclass(frozen=True)
class Rated:
    """Features of the same frames, clean and with every fault."""

    clean: torch.Tensor
    """``(N, D)``."""
    mild: torch.Tensor
    """``(faults, N, D)``: each fault, slightly."""
    bad: torch.Tensor
    """``(faults, N, D)``: each fault, badly."""


def train_quality(
    output: Path, image_text: Path, config: QualityConfig, run: Run, data: MiniData, executor: Executor | None
) -> None:
    """Train a quality head on the encoder in ``image_text``, and save it in ``output``."""
    torch.manual_seed(config.plan.seed)
    encoder = ClipWeights.of("mini", image_text).load(run.device)
    specs = judge_specs(config.clips, config.first_scene, data.judged)
    rated = rate_frames(encoder, frames_of(specs, config.frames, executor).flatten(0, 1), seed=config.plan.seed)
    head = nn.Linear(rated.clean.shape[1], 1).to(run.device)

    def objective(step: int, generator: torch.Generator) -> Losses:
        return {"loss": functional.softplus(-_margins(head, rated, config.plan.batch, generator)).mean()}

    if not fit(head, objective, config.plan, run):
        return
    _centre(head, rated)

    def save(folder: Path) -> None:
        save_file({name: value.half().contiguous() for name, value in head.state_dict().items()}, folder / HEAD)

    held_out = frames_of(validation_specs(4, data.asked), config.frames, executor).flatten(0, 1)
    report = ranking_accuracy(head, rate_frames(encoder, held_out, seed=config.plan.seed + 1))
    run.watcher.tell(f"{run.folder.name}: {report}")
    finish_folder(output, "quality", save, config, run, report)


def rate_frames(encoder: ClipEncoder, frames: torch.Tensor, seed: int) -> Rated:
    """Degrade frames ``(N, 3, H, W)`` uint8 in every way and encode them all."""
    generator = torch.Generator().manual_seed(seed)

    def features(images: torch.Tensor) -> torch.Tensor:
        parts = []
        with exact_float32(encoder.device):
            for start in range(0, len(images), _FRAMES_AT_ONCE):
                batch = prepare(images[start : start + _FRAMES_AT_ONCE].to(encoder.device), SIZE)
                parts.append(encoder.model.encode_image(batch, normalize=True))
        return torch.cat(parts)

    mild, bad = (
        torch.stack([features(degrade(frames, fault, strengths, generator)) for fault in FAULTS])
        for strengths in (_MILD, _BAD)
    )
    return Rated(features(frames), mild, bad)


def ranking_accuracy(head: nn.Module, rated: Rated) -> dict[str, float]:
    """Share of pairs that the head ranks right.

    ``<fault>``: clean above the same frame badly degraded; ``mild``: above it slightly degraded; ``degrees``: the
    slight degree above the bad one; ``across``: clean above another frame badly degraded.
    """
    with torch.no_grad():
        clean, mild, bad = (head(features)[..., 0] for features in (rated.clean, rated.mild, rated.bad))
    right = {fault: clean > bad[place] for place, fault in enumerate(FAULTS)}
    right |= {"mild": clean > mild, "degrees": mild > bad, "across": clean > bad.roll(1, dims=1)}
    return {name: round(float(found.float().mean()), 4) for name, found in right.items()}


def _margins(head: nn.Module, rated: Rated, count: int, generator: torch.Generator) -> torch.Tensor:
    """Ratings of the better minus the worse of random pairs; half of the pairs are of one frame, half across frames."""
    first, other, fault, kind = (
        torch.randint(0, high, (count,), generator=generator).to(rated.clean.device)
        for high in (len(rated.clean), len(rated.clean), len(FAULTS), 6)
    )
    second = torch.where(kind % 2 == 0, first, other)
    mild = kind[:, None] // 2 == 0
    graded = kind[:, None] // 2 == 2
    better = torch.where(graded, rated.mild[fault, first], rated.clean[first])
    worse = torch.where(mild, rated.mild[fault, second], rated.bad[fault, second])
    margins: torch.Tensor = (head(better) - head(worse))[:, 0]
    return margins


@torch.no_grad()
def _centre(head: Any, rated: Rated) -> None:
    """Pairs leave the zero open; it goes half-way between clean and badly degraded frames."""
    ratings = [float(head(features).mean()) for features in (rated.clean, rated.bad)]
    head.bias -= sum(ratings) / 2
