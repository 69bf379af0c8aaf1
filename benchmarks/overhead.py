"""Print what the harness adds to a bare loop over the same pipeline, at a second or more a case.

The bare loop generates and encodes, one after the other. The harness does the same and also hashes, keeps rows and
can resume; it hides encoding behind the next case. Both run in this process with the model loaded, in turns, and each
goes first in every other round. The model computes on one thread: where it takes every core of a CPU, as no accelerator
does, there is nothing left to hide encoding on, and timings scatter by more than the claim.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from vapbench.cases import Case
from vapbench.methods import ResolvedMethod, resolve
from vapbench.plan import plan_run
from vapbench.runner import Settings
from vapbench.store import Failure, Status
from vapbench.video import write_video
from vapbench.workflow import choose, execute

TINY = Path(__file__).parents[1] / "tests/data/parity/vap/cogvideox_pipeline/pipeline"
# The whole task: what a run costs once (manifest, git, package versions) is shared by its cases.
ROUNDS, CASES = 2, 14
# Steps are set so that a case takes a second or more on two cores.
METHOD = f"vap:weights={TINY},steps=24,height=64,width=96,dtype=float32"


class Silent:
    """A watcher that says nothing."""

    def begin(self, what: str, total: int) -> None:
        """Say nothing."""

    def step(self, label: str, status: Status) -> None:
        """Say nothing."""

    def failed(self, label: str, failure: Failure, hint: str) -> None:
        """Fail loudly: a failed case would be a fast one."""
        raise RuntimeError(f"{label}: {failure.message}")

    def tell(self, message: str) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""


def bare_loop(resolved: ResolvedMethod, cases: Sequence[Case], folder: Path) -> None:
    """Generate and encode, nothing else."""
    for case in cases:
        write_video(folder / f"{case.id}.mp4", resolved.method.generate(case, 0))  # type: ignore[arg-type]


def harness_loop(resolved: ResolvedMethod, cases: Sequence[Case], folder: Path) -> None:
    """The same through the harness."""
    plan = plan_run("mini", "camera", resolved, cases, [0], folder)
    execute(plan, (), Settings(device="cpu"), Silent())


def main() -> None:
    """Alternate bare loop and harness, and print the median of the rounds' ratios."""
    torch.set_num_threads(1)
    cases = choose("mini", None, "camera", CASES).cases
    resolved = resolve(METHOD)
    method = resolved.method
    method.setup(torch.device("cpu"))
    load = method.setup
    bare: list[float] = []
    harness: list[float] = []
    method.setup = lambda device: None  # type: ignore[method-assign]
    method.generate(cases[0], 0)
    for round_ in range(ROUNDS):
        sides = [(bare, bare_loop), (harness, harness_loop)]
        for times, loop in sides if round_ % 2 else reversed(sides):
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                loop(resolved, cases, Path(folder))
                times.append(time.perf_counter() - began)
    method.setup = load  # type: ignore[method-assign]
    ratios = [ours / theirs for ours, theirs in zip(harness, bare, strict=True)]
    print(f"bare loop  {statistics.median(bare) / CASES:6.3f} s a case")
    print(f"harness    {statistics.median(harness) / CASES:6.3f} s a case")
    print(
        f"overhead   {100 * (statistics.median(ratios) - 1):+6.1f} % (aim: under 3 %; rounds: "
        f"{', '.join(f'{100 * (ratio - 1):+.1f}' for ratio in ratios)})"
    )


if __name__ == "__main__":
    main()
