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
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from vapbench.files import write_json
from vapbench.models.weights import read_json
from vapbench.suites.mini.cases import benchmark_cases
from vapbench.suites.mini.conditions import CONDITIONS
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.suites.mini.scenes import scene_number
from vapbench.training.cards import finish_folder
from vapbench.training.data import ALL_NAMES, to_video, validation_specs
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan

WEIGHTS = "model.safetensors"
_SHARPNESS = 16.0  # of the softmax over cosines


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


class SemanticEncoder(nn.Module):
    """Clips to unit vectors; clips of one condition lie close together.

    It sees every frame beside its difference to the first frame, at half the resolution.
    """

    def __init__(self, widths: Sequence[int], dimension: int, conditions: Sequence[str]) -> None:
        """Make the layers; ``conditions`` are the classes it is trained on, in the order of :meth:`logits`."""
        super().__init__()
        self.conditions = tuple(conditions)
        self.config = {"widths": list(widths), "dimension": dimension, "conditions": list(conditions)}
        strides = [(1, 2, 2)] + [(2, 2, 2)] * (len(widths) - 2) + [(1, 1, 1)]
        inputs = [6, *widths[:-1]]
        blocks = [_block(i, o, s) for i, o, s in zip(inputs, widths, strides, strict=True)]
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Linear(2 * widths[-1], dimension)
        self.prototypes = nn.Parameter(torch.randn(len(conditions), dimension) * 0.1)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        """Embed videos ``(B, 3, F, H, W)`` in -1..1 as unit vectors ``(B, dimension)``."""
        small = functional.avg_pool3d(video, (1, 2, 2))
        features = self.blocks(torch.cat([small, small - small[:, :, :1]], dim=1))
        pooled = torch.cat([features.mean(dim=(2, 3, 4)), features.amax(dim=(2, 3, 4))], dim=1)
        embedding: torch.Tensor = functional.normalize(self.project(pooled).float(), dim=-1)
        return embedding

    def logits(self, video: torch.Tensor) -> torch.Tensor:
        """Scores ``(B, conditions)`` of the conditions."""
        scores: torch.Tensor = _SHARPNESS * self(video) @ functional.normalize(self.prototypes, dim=-1).T
        return scores

    @torch.no_grad()
    def embed(self, clips: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Embed clips ``(B, F, H, W, 3)`` uint8."""
        device = self.prototypes.device
        return torch.cat([self(to_video(clips[i : i + 32]).to(device)) for i in range(0, len(clips), 32)])

    @torch.no_grad()
    def classify(self, clips: npt.NDArray[np.uint8]) -> list[str]:
        """The condition that each clip ``(B, F, H, W, 3)`` uint8 shows best."""
        device = self.prototypes.device
        scores = torch.cat([self.logits(to_video(clips[i : i + 32]).to(device)) for i in range(0, len(clips), 32)])
        return [self.conditions[place] for place in scores.argmax(dim=1).tolist()]

    def save_pretrained(self, folder: Path) -> None:
        """Write ``config.json`` and float16 weights."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", {"_class_name": type(self).__name__, **self.config})
        save_file({name: value.half().contiguous() for name, value in self.state_dict().items()}, folder / WEIGHTS)

    @classmethod
    def from_pretrained(cls, folder: Path) -> SemanticEncoder:
        """Load what :meth:`save_pretrained` wrote, in float32 and evaluation mode.

        Raises:
            WeightsError: there is no config.
        """
        config = {key: value for key, value in read_json(folder / "config.json").items() if key[0] != "_"}
        model = cls(**config)
        model.load_state_dict({name: value.float() for name, value in load_file(folder / WEIGHTS).items()})
        return model.eval()


def semantic_specs(config: SemanticConfig) -> list[MiniClip]:
    """The training clips: conditions in turn, every clip on a training scene of its own."""
    specs = []
    for index in range(config.clips):
        for place, name in enumerate(config.conditions):
            number = scene_number("train", config.first_scene + index * len(config.conditions) + place)
            specs.append(MiniClip(name, number, variation=number))
    return specs


def train_semantic(output: Path, config: SemanticConfig, run: Run, executor: Executor | None = None) -> None:
    """Train a semantic encoder and save it in ``output``."""
    torch.manual_seed(config.plan.seed)
    specs = semantic_specs(config)
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
    for category in dict.fromkeys(CONDITIONS[spec.condition].category for spec in specs):
        among = [r for r, spec in zip(right, specs, strict=True) if CONDITIONS[spec.condition].category == category]
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


def _block(inputs: int, outputs: int, stride: tuple[int, int, int]) -> nn.Sequential:
    convolution: Any = nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(8, outputs), nn.ReLU())
