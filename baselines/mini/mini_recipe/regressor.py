"""A judge of the grammar's clips: a small video network that reads the numbers of a condition off a clip.

It knows nothing of the renderer and of scenes, and so errs in other ways than the reader that fits renders
(:mod:`vapbench.suites.mini.grammar.reading`); where a verdict decides anything, both have to agree. As every judge it
knows conditions of all kinds, held-out ones too, and trains on training scenes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mini_recipe.cards import finish_folder
from mini_recipe.clips import validation_specs
from mini_recipe.data import MiniData
from mini_recipe.readings import Features, told_apart
from mini_recipe.semantic import degrade
from vapbench.files.atomic import write_json
from vapbench.models.semantic_encoder import CONFIG, WEIGHTS, beside_change, layers, to_video
from vapbench.suites.mini.conditions import CATEGORIES, Category
from vapbench.suites.mini.grammar.codes import code_of, semantics_of
from vapbench.suites.mini.grammar.distance import features, typical
from vapbench.suites.mini.grammar.drawing import draw
from vapbench.suites.mini.render import MiniClip, render_batch
from vapbench.suites.mini.scenes import scene_number, seeded
from vapbench.training.loop import Losses, Run, fit
from vapbench.training.plan import Plan

_LEFT = (4, 4, 4)  # of time, rows and columns after the last layer
_AT_ONCE = 32


@dataclass(frozen=True)
class RegressorConfig:
    """Sizes of the network, and how it is trained."""

    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=10_000, batch=32, learning_rate=2e-3, warmup=50, weight_decay=0.02, ema=0.99, cooldown=0.9
        )
    )
    widths: tuple[int, ...] = (24, 48, 96, 96)
    dimension: int = 256
    """Of what the readers of all families share."""
    clips: int = 20_000
    """Training clips, each of a condition of its own."""
    first_scene: int = 200_000
    """Index of the first training scene."""


class Regressor(nn.Module):
    """Clips to what a condition of each family does, in the numbers of :mod:`vapbench.suites.mini.grammar.distance`."""

    def __init__(self, widths: tuple[int, ...], dimension: int) -> None:
        """Make the layers."""
        super().__init__()
        self.config = {"widths": list(widths), "dimension": dimension}
        self.blocks = layers(widths)
        self.pool = nn.AdaptiveAvgPool3d(_LEFT)  # Where and when something is seen matters.
        self.shared = nn.Sequential(nn.Linear(widths[-1] * 64, dimension), nn.ReLU())
        self.heads = nn.ModuleDict({c: nn.Linear(dimension, _length(c)) for c in CATEGORIES})

    def forward(self, video: torch.Tensor) -> dict[str, torch.Tensor]:
        """Read videos ``(B, 3, F, H, W)`` in -1..1: ``(B, numbers)`` for every family."""
        found = self.shared(self.pool(self.blocks(beside_change(video))).flatten(1))
        return {category: head(found) for category, head in self.heads.items()}

    @torch.no_grad()
    def read(self, clips: npt.NDArray[np.uint8], specs: Sequence[MiniClip]) -> list[Features]:
        """Read clips ``(B, F, H, W, 3)`` uint8, each as one of its specification's family."""
        device = next(self.parameters()).device
        read: list[Features] = []
        for start in range(0, len(clips), _AT_ONCE):
            found = self(to_video(clips[start : start + _AT_ONCE]).to(device))
            part = specs[start : start + _AT_ONCE]
            read += [found[family_of(spec)][row].double().cpu().numpy() for row, spec in enumerate(part)]
        return read

    def verdict(self, clips: npt.NDArray[np.uint8], specs: Sequence[MiniClip]) -> dict[str, float]:
        """How near clips ``(B, F, H, W, 3)`` uint8 are to what they were meant to show."""
        return told_apart(self.read(clips, specs), specs)

    def save_pretrained(self, folder: Path) -> None:
        """Write ``config.json`` and float16 weights."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / CONFIG, {"_class_name": type(self).__name__, **self.config})
        save_file({name: value.half().contiguous() for name, value in self.state_dict().items()}, folder / WEIGHTS)

    @classmethod
    def from_pretrained(cls, folder: Path, config: RegressorConfig) -> Regressor:
        """Load what :meth:`save_pretrained` wrote of a config, in float32 and evaluation mode."""
        model = cls(config.widths, config.dimension)
        model.load_state_dict({name: value.float() for name, value in load_file(folder / WEIGHTS).items()})
        return model.eval()


def train_regressor(
    output: Path, config: RegressorConfig, run: Run, data: MiniData, executor: Executor | None = None
) -> None:
    """Train a regressor and save it in ``output``."""
    torch.manual_seed(config.plan.seed)
    specs = drawn_specs(config.clips, config.first_scene)
    clips = render_batch(specs, executor)
    families = np.array([CATEGORIES.index(family_of(spec)) for spec in specs])
    targets = [
        torch.from_numpy(features(semantics_of(spec.condition)) / typical(family_of(spec))).float() for spec in specs
    ]
    model = Regressor(config.widths, config.dimension).to(run.device)

    def objective(step: int, generator: torch.Generator) -> Losses:
        chosen = torch.randint(0, len(specs), (config.plan.batch,), generator=generator).numpy()
        found = model(degrade(to_video(clips[chosen]), generator).to(run.device))
        errors = []
        for place, category in enumerate(CATEGORIES):
            rows = np.flatnonzero(families[chosen] == place)
            if len(rows):
                meant = torch.stack([targets[row] for row in chosen[rows]]).to(run.device)
                apart = found[category][torch.from_numpy(rows)].float() / typical(category) - meant
                errors.append(apart.square().sum(dim=1))
        return {"loss": torch.cat(errors).mean()}

    if not fit(model, objective, config.plan, run):
        return
    checked = validation_specs(4, data.asked)
    report = model.verdict(render_batch(checked, executor), checked)
    run.watcher.tell(f"{run.folder.name}: {report}")
    finish_folder(output, "semantic", model.save_pretrained, config, run, {"validation": report})


def drawn_specs(count: int, first_scene: int) -> list[MiniClip]:
    """Clips of conditions drawn anew for each, families in turn, every clip on a training scene of its own."""
    specs = []
    for index in range(count):
        semantics = draw(CATEGORIES[index % len(CATEGORIES)], seeded("regressor", first_scene + index))
        number = scene_number("train", first_scene + index)
        specs.append(MiniClip(code_of(semantics), number, variation=number))
    return specs


def family_of(spec: MiniClip) -> Category:
    """The family of a clip's condition."""
    return semantics_of(spec.condition).category


def _length(category: Category) -> int:
    return len(features(draw(category, seeded("length"))))
