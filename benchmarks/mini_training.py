"""How long the mini suite's training takes on one core, stage by stage, from a few steps of each.

    python benchmarks/mini_training.py [VERSION]      of the suite, 2 by default; some minutes

Every stage trains at its full size for a few steps, on few clips. Times are of this process's CPU: what else the
machine does hardly counts. Where ``base`` trains for long it is compiled, which these few steps do not repay: it then
takes less. Looking at samples on the way is not counted, nor are the stages of the claims, each of which takes what
``expert`` takes; encoding clips is a line of its own.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "baselines" / "mini"))

import numpy as np
import torch
from mini_recipe.config import ASSEMBLED, FOR_CLAIMS, VERSIONS, MiniConfig
from mini_recipe.diffusion import Sampling
from mini_recipe.semantic import SemanticConfig
from mini_recipe.train import train_mini

from vapbench.results.rows import Status
from vapbench.running.progress import Silent

_STEPS = 20  # shares of the autoencoders' curricula come out even
_CONDITIONS = 8


class _Clock(Silent):
    """Notes the CPU's seconds of every step, in which a look at samples may be counted."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, list[float]] = {}

    def begin(self, what: str, total: int, done: int = 0) -> None:
        self._noted = self.seconds.setdefault(what, [])
        self._last = time.process_time()

    def step(self, label: str, status: Status = "ok", note: str = "") -> None:
        now = time.process_time()
        self._noted.append(now - self._last)
        self._last = now

    def each(self, stage: str) -> float:
        """Seconds of a step: the median; of autoencoders, whose steps differ, the mean of those without a look."""
        noted = self.seconds[stage]
        return float(np.mean(noted[1::2]) if stage.endswith("vae") else np.median(noted))


def main(version: int) -> None:
    """Print a row for each stage."""
    torch.set_num_threads(1)
    planned, clock = VERSIONS[version](), _Clock()
    with tempfile.TemporaryDirectory() as folder:
        train_mini(Path(folder), config=_short(planned), require_gate=False, watching=clock)
    print(f"{'stage':12} {'steps':>7} {'s a step':>9} {'hours':>6}")
    total = 0.0
    for stage in planned.stages:
        if stage in (*ASSEMBLED, *FOR_CLAIMS, "lora"):
            continue
        total += _row(stage, getattr(planned, stage).plan.steps, clock.each(stage))
    adapter = next(name for name in clock.seconds if name.startswith("mini_"))
    total += _row("lora", planned.lora.plan.steps * len(planned.data.benchmark), clock.each(adapter))
    clips = planned.base.clips * len(planned.data.training)
    encoded = sum(clock.seconds["adapters_latents"]) / (_short(planned).lora.clips or 1)
    total += _row("encode", clips, encoded)
    print(f"{'in all':12} {'':7} {'':9} {total:6.1f}")


def _row(name: str, steps: int, each: float) -> float:
    hours = each * steps / 3600
    print(f"{name:12} {steps:7} {each:9.3f} {hours:6.1f}")
    return hours


def _short(config: MiniConfig) -> MiniConfig:
    """The same sizes, few steps, few clips."""
    data = config.data
    shown = {name: specs[:1] for name, specs in data.shown().items()}
    few = replace(
        data,
        training=data.training[:_CONDITIONS],
        benchmark=data.training[:4],
        asked=data.asked[:4],
        judged=data.judged[:_CONDITIONS],
        cases=lambda: data.cases()[:4],
        shown=lambda: shown,
    )
    parts: dict[str, Any] = {}
    for stage in config.stages:
        if stage not in (*ASSEMBLED, *FOR_CLAIMS):
            part: Any = getattr(config, stage)
            parts[stage] = replace(part, plan=replace(part.plan, steps=_STEPS))
    for stage, number in {"text": 2, "image_text": 16, "quality": 2, "base": 4, "vace": 2, "lora": 4}.items():
        clips = "captions" if stage == "text" else "clips"
        parts[stage] = replace(parts[stage], **{clips: number})
    parts["semantic"] = replace(parts["semantic"], clips=2 if isinstance(config.semantic, SemanticConfig) else 64)
    parts["vace"] = replace(parts["vace"], sampling=Sampling(steps=1))
    parts["lora"] = replace(parts["lora"], conditions=1)
    return replace(config, **parts, data=few, gate_scenes=0, sampling=Sampling(steps=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
