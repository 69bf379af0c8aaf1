"""The semantic encoder: a small video network that tells conditions apart.

It is the judge of the suite, so it knows all conditions, held-out ones too, and trains on training scenes
only. A second network of another shape, trained on other scenes, checks it where a verdict decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from mini_recipe.cards import finish_folder
from mini_recipe.clips import ALL_NAMES, judge_specs, validation_specs
from vapbench.models.semantic_encoder import SemanticEncoder, to_video
from vapbench.suites.mini.cases import benchmark_cases
from vapbench.suites.mini.conditions import condition
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan


@dataclass(frozen=True)
class SemanticConfig:
    """Sizes of the network, and how it is trained."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=500, batch=32, learning_rate=3e-3, warmup=50, weight_decay=0.02, ema=0.98, cooldown=0.9
        )
    )
    widths: tuple[int, ...] = (24, 48, 96, 128)
    dimension: int = 128
    """Of the embedding."""
    clips: int = 100
    """Training clips of each condition."""
    first_scene: int = 200_000
    """Index of the first training scene."""
    conditions: tuple[str, ...] = ALL_NAMES


def train_semantic(output: Path, config: SemanticConfig, run: Run, executor: Executor | None = None) -> None:
    """Train a semantic encoder and save it in ``output``."""
    torch.manual_seed(config.plan.seed)
    specs = judge_specs(config.clips, config.first_scene, config.conditions)
    clips = render_batch(specs, executor)
    labels = torch.tensor([config.conditions.index(spec.condition) for spec in specs])
    model = SemanticEncoder(config.widths, config.dimension, config.conditions).to(run.device)

    def objective(step: int, generator: torch.Generator) -> Losses:
        chosen = torch.randint(0, len(specs), (config.plan.batch,), generator=generator)
        video = degrade(to_video(clips[chosen.numpy()]), generator).to(run.device)
        scores = model.logits(video).float()
        return {"loss": functional.cross_entropy(scores, labels[chosen].to(run.device), label_smoothing=0.05)}

    if not fit(model, objective, config.plan, run):
        return
    checked = validation_specs(4, config.conditions)
    report: dict[str, Any] = {"validation_accuracy": accuracy(model, render_batch(checked, executor), checked)}
    report["benchmark_retrieval"] = round(retrieval(model, executor), 4)
    run.watcher.tell(f"{run.folder.name}: {report}")
    finish_folder(output, "semantic", model.save_pretrained, config, run, report)


def accuracy(model: SemanticEncoder, clips: npt.NDArray[np.uint8], specs: Sequence[MiniClip]) -> dict[str, float]:
    """Share of clips whose condition is told, for all and for each category."""
    right = [found == spec.condition for found, spec in zip(model.classify(clips), specs, strict=True)]
    shares = {"all": float(np.mean(right))}
    for category in dict.fromkeys(condition(spec.condition).category for spec in specs):
        among = [r for r, spec in zip(right, specs, strict=True) if condition(spec.condition).category == category]
        shares[category] = float(np.mean(among))
    return {name: round(share, 4) for name, share in shares.items()}


def retrieval(model: SemanticEncoder, executor: Executor | None = None) -> float:
    """Share of benchmark cases whose ground truth lies nearest to a reference of its own condition, of all cases'."""
    cases = benchmark_cases()
    targets = model.embed(render_batch([case.target for case in cases], executor))
    references = model.embed(render_batch([case.reference for case in cases], executor))
    nearest = (targets @ references.T).argmax(dim=1).tolist()
    return float(
        np.mean([cases[place].condition == case.condition for place, case in zip(nearest, cases, strict=True)])
    )


def degrade(video: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Blur, noise and brightness as generated clips have them, so that the judge reads through them.

    Args:
        video: ``(B, 3, F, H, W)`` in -1..1.
        generator: on the CPU.
    """
    count = len(video)
    blurred = video
    for _ in range(2):
        blurred = functional.avg_pool3d(blurred, (1, 3, 3), stride=1, padding=(0, 1, 1), count_include_pad=False)
    share, gain, offset, noise = torch.rand(4, count, 1, 1, 1, 1, generator=generator)
    video = torch.lerp(video, blurred, share)
    video = video * (0.85 + 0.3 * gain) + 0.2 * (offset - 0.5)
    degraded: torch.Tensor = video + 0.1 * noise * torch.randn(video.shape, generator=generator)
    return degraded
