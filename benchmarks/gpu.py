"""Print what scoring and generating cost on one accelerator, as ratios, and write them to docs/lab/gpu.md.

    python benchmarks/gpu.py                       under eight minutes on one card; random weights, nothing is fetched
    python benchmarks/gpu.py --weights DIR         with a VAP-CogVideoX checkpoint that is here already
    python benchmarks/gpu.py --vbench DIR          VBench's own code in the loop's place
    python benchmarks/gpu.py --small --out FILE    small sizes on a CPU, in seconds: shows that it runs, and no more

* scoring: one clip of 49 x 480 x 720 and a folder of 48, ours beside the reference loop (``scoring.py``), ``exact`` and
  ``fast``, and how much of it lies inside the networks;
* generation: the harness beside a bare loop with the same pipeline (``overhead.py``), seconds a step, peak memory, and
  what each ``--offload`` costs.

Each part runs in a process and within a time of its own: what was measured stays when a part fails.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/lab/gpu.md"
PREPARED = "\n## Prepared for a card"
SHARES = {"scoring": 0.55, "generation": 0.45}
"""Of the time: how much each part may take."""


@dataclass(frozen=True)
class Form:
    """How large everything is."""

    size: tuple[int, int, int, float] = (49, 480, 720, 16.0)
    """Frames, height, width, frames a second."""
    rounds: int = 3
    clips: int = 48
    compared: int = 8
    """Of the folder's clips, how many the reference loop scores."""
    steps: int = 4
    method: str = "frames=49,height=480,width=720"
    device: str = "cuda"
    raft: bool = True


SMALL = Form((3, 128, 128, 8.0), 1, 2, 1, 2, "height=64,width=96,dtype=float32", "cpu", raft=False)
"""RAFT is left out: its 20 updates take seconds of a CPU at any size."""


def scoring(form: Form, vbench: Path | None) -> None:
    """Print latency, share inside the networks and throughput of a folder."""
    import torch
    from scoring import measure
    from sides import VBENCH, write_weights

    columns = tuple(name for name in VBENCH if form.raft or name != "dynamic_degree[raft]")
    small, device = form == SMALL, torch.device(form.device)
    frames, height, width, fps = form.size
    print(f"{frames} frames of {height} x {width} at {fps:g} fps; seconds are medians of {form.rounds} turns.")
    with tempfile.TemporaryDirectory() as place:
        write_weights(Path(place), columns, tiny=small)
        measure(
            Path(place),
            columns,
            ("exact", "fast"),
            form.size,
            device,
            rounds=form.rounds,
            clips=form.clips,
            compared=form.compared,
            checkout=vbench,
        )
    if device.type == "cuda":
        print(f"\nPeak memory: {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB.")


def generation(form: Form, weights: Path | None, until: float) -> None:
    """Print what the harness adds, a step's seconds, peak memory, and what offloading costs."""
    from full_weights import write_checkpoint
    from overhead import TINY

    with tempfile.TemporaryDirectory() as place:
        if form == SMALL:
            weights = TINY
        elif weights is None:
            weights = Path(place) / "checkpoint"
            write_checkpoint(weights)
        pipeline = Pipeline(f"vap:weights={weights},{form.method},steps={form.steps}", form.device)
        whole = print_steps(pipeline, form.steps)
        print_harness(pipeline, whole, form.rounds, until)
        if pipeline.device.type == "cuda":
            print_offload(pipeline)
        else:
            print("\nOffloading and peak memory need an accelerator.")


class Pipeline:
    """A method whose pipeline is loaded, and two cases for it."""

    def __init__(self, method: str, device: str) -> None:
        """Load it, and print how long that takes."""
        import torch

        from vapbench.methods import resolve
        from vapbench.running.run import choose

        self.resolved, self.device = resolve(method), torch.device(device)
        self.method: Any = self.resolved.method
        self.cases = choose("mini", None, "camera", 2).cases
        began = time.perf_counter()
        self.method.setup(self.device)
        print(f"Loading takes {time.perf_counter() - began:.1f} s.")
        self.method.setup = lambda device: None

    def clip(self, steps: int) -> tuple[float, Any]:
        """Generate a clip: seconds, and its frames."""
        from sides import wait

        usual, self.method.steps = self.method.steps, steps
        began = time.perf_counter()
        frames = self.method.generate(self.cases[0], 0).frames
        wait(self.device)
        self.method.steps = usual
        return time.perf_counter() - began, frames

    def peak(self) -> str:
        """Largest memory since the last call."""
        import torch

        peak = torch.cuda.max_memory_allocated(self.device) / 1e9
        torch.cuda.reset_peak_memory_stats(self.device)
        return f"{peak:.1f} GB"


def print_steps(pipeline: Pipeline, steps: int) -> float:
    """Print a step's seconds and those of the rest; returns what a clip of 50 steps takes."""
    pipeline.clip(1)
    one, many = pipeline.clip(1)[0], pipeline.clip(steps)[0]
    step = (many - one) / (steps - 1)
    whole = one + 49 * step
    print(
        f"\nA step takes {step:.2f} s and the rest of a clip {one - step:.2f} s: computed, {whole:.0f} s for 50 steps."
    )
    return whole


def print_harness(pipeline: Pipeline, whole: float, rounds: int, until: float) -> None:
    """Print what the harness adds to a bare loop over the same cases, in turns while half of the time is left."""
    from overhead import bare_loop, harness_loop

    device, cases = str(pipeline.device), pipeline.cases
    taken: dict[str, list[float]] = {"bare": [], "harness": []}
    half = (time.perf_counter() + until) / 2
    while not taken["bare"] or (len(taken["bare"]) < rounds and time.perf_counter() < half):
        order = tuple(taken) if len(taken["bare"]) % 2 == 0 else tuple(reversed(taken))
        for side in order:
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                if side == "bare":
                    bare_loop(pipeline.resolved, cases, Path(folder))
                else:
                    harness_loop(pipeline.resolved, cases, Path(folder), device)
                taken[side].append((time.perf_counter() - began) / len(cases))
    bare, harness = (sum(times) / len(times) for times in taken.values())
    print(
        f"\nOf {len(cases)} cases with {pipeline.method.steps} steps, {len(taken['bare'])} turns: the harness adds "
        f"{harness - bare:+.2f} s a case to a bare loop's {bare:.2f} s ({100 * (harness / bare - 1):+.1f} %); of a "
        f"clip of 50 steps that is {100 * (harness - bare) / whole:+.1f} % (aim: under 3 %).",
        flush=True,
    )


def print_offload(pipeline: Pipeline) -> None:
    """Print seconds and peak memory of each way to offload, and whether the frames stay the same."""
    import numpy as np
    import torch

    from vapbench.methods.pipelines import place

    steps = pipeline.method.steps
    print(f"\n| `--offload` | a clip of {steps} steps, s | ratio | peak memory | frames |\n|---|--:|--:|--:|---|")
    pipeline.peak()
    plain, expected = pipeline.clip(steps)
    print(f"| none | {plain:.1f} | 1.00 | {pipeline.peak()} | |", flush=True)
    loaded = pipeline.method.pipeline
    for mode in ("model", "sequential"):
        loaded.remove_all_hooks()
        loaded.to("cpu")
        torch.cuda.empty_cache()
        pipeline.peak()
        place(loaded, mode, pipeline.device)
        took, frames = pipeline.clip(steps)
        same = "the same" if np.array_equal(frames, expected) else "**others**"
        print(f"| {mode} | {took:.1f} | {took / plain:.2f} | {pipeline.peak()} | {same} |", flush=True)


def run_part(name: str, arguments: Sequence[str], limit: float) -> str:
    """Run a part in a process of its own, show what it prints, and return it; what is late is ended."""
    command = [sys.executable, __file__, "--part", name, "--limit", str(limit), *arguments]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        timer = threading.Timer(limit, process.kill)
        timer.start()
        began = time.perf_counter()
        for text in process.stdout:
            print(text, end="", flush=True)
            lines.append(text)
        code = process.wait()
        timer.cancel()
    if code:
        why = f"ended after {limit:.0f} s" if time.perf_counter() - began >= limit else f"failed (exit code {code})"
        lines.append(f"\n**Not whole: it {why}.**\n")
        print(lines[-1])
    return "".join(lines)


def heading(form: Form, minutes: float) -> str:
    """What was measured on what."""
    import torch

    on_card = form.device == "cuda"
    card = torch.cuda.get_device_name() if on_card else f"{platform.processor() or platform.machine()}, a CPU"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    said = (
        ""
        if on_card
        else "\nSmall sizes on a CPU: this shows that the script runs. **No figure here is one of a GPU.**\n"
    )
    return (
        "# Speed on a GPU\n\n"
        f"Printed by `python benchmarks/gpu.py`: {card}, {datetime.now(UTC).date()}, torch {torch.__version__}, "
        f"commit {commit.stdout.strip() or 'unknown'}, in {minutes:.1f} minutes. Random weights of the published "
        f"architectures, both sides warm.\n{said}"
    )


def untouched(page: Path) -> str:
    """What stands on the page that no run prints: what was prepared for a card, until somebody has seen it on one."""
    said = page.read_text(encoding="utf-8") if page.is_file() else ""
    return said[said.find(PREPARED) :] if PREPARED in said else ""


def main() -> None:
    """Run both parts and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="small sizes on a CPU")
    parser.add_argument("--minutes", type=float, default=8, help="to take at most")
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="a VAP-CogVideoX checkpoint; default: random weights"
    )
    parser.add_argument("--vbench", type=Path, metavar="DIR", help="a checkout of VBench")
    parser.add_argument("--out", type=Path, default=PAGE, help="where the page goes")
    parser.add_argument("--part", choices=tuple(SHARES), help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    form = SMALL if asked.small else Form()
    if asked.part == "scoring":
        scoring(form, asked.vbench)
        return
    if asked.part == "generation":
        generation(form, asked.weights, time.perf_counter() + asked.limit)
        return
    if asked.small and asked.out == PAGE:
        parser.error("--small measures no GPU: say with --out where its page goes")
    import torch

    if not asked.small and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --small --out FILE shows on a CPU that the script runs")
    passed = [
        part for name in ("weights", "vbench") if (value := getattr(asked, name)) for part in (f"--{name}", str(value))
    ]
    if asked.small:
        passed.append("--small")
    began = time.perf_counter()
    parts = {name: run_part(name, passed, 60 * asked.minutes * share) for name, share in SHARES.items()}
    page = heading(form, (time.perf_counter() - began) / 60)
    for name, text in parts.items():
        page += f"\n## {name.capitalize()}\n\n{text.strip()}\n"
    page += untouched(asked.out)
    asked.out.write_text(page, encoding="utf-8")
    print(f"\nwritten: {asked.out}")


if __name__ == "__main__":
    main()
