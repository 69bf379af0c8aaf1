"""Print what the harness adds to a bare loop over the same pipeline, at a second a case.

The bare loop generates and encodes, one after the other. The harness does the same and also hashes, keeps rows and
can resume; it hides encoding behind the next case. Both run in this process with the model loaded, in turns, and each
goes first in every other round.

Two forms of the same pipeline, VAP with the tests' tiny weights:

* accelerator: it takes two denoising steps and then waits until the case has lasted a second, as a process waits for
  its accelerator. Full-size runs look like this.
* CPU: it takes as many steps as last about a second, on one thread. Whatever else the machine does is in the figure.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.methods import ResolvedMethod, resolve
from vapbench.results.rows import Failure, Status
from vapbench.running.context import Settings
from vapbench.running.plan import plan_run
from vapbench.running.run import choose, execute

TINY = Path(__file__).parents[1] / "tests/data/parity/vap/cogvideox_pipeline/pipeline"
# The whole task: what a run costs once (manifest, git, package versions) is shared by its cases.
CASES = 14
SECONDS = 1.0
METHOD = f"vap:weights={TINY},height=64,width=96,dtype=float32"
FORMS = {"accelerator": (f"{METHOD},steps=2", SECONDS, 4), "CPU": (f"{METHOD},steps=24", 0.0, 4)}
"""Method, least seconds of a case, and rounds."""


class Silent:
    """A watcher that says nothing."""

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Say nothing."""

    def step(self, label: str, status: Status = "ok", note: str = "") -> None:
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


def harness_loop(resolved: ResolvedMethod, cases: Sequence[Case], folder: Path, device: str = "cpu") -> None:
    """The same through the harness."""
    plan = plan_run("mini", "camera", resolved, cases, [0], folder)
    execute(plan, (), Settings(device=device), Silent())


def main() -> None:
    """Print the median of the rounds' ratios for both forms."""
    torch.set_num_threads(1)
    cases = choose("mini", None, "camera", CASES).cases
    for form, (method, seconds, rounds) in FORMS.items():
        bare, harness = measure(method, seconds, rounds, cases)
        ratios = [ours / theirs for ours, theirs in zip(harness, bare, strict=True)]
        print(
            f"{form:12s} bare loop {statistics.median(bare) / len(cases):6.3f} s a case, "
            f"harness {statistics.median(harness) / len(cases):6.3f} s a case: "
            f"{100 * (statistics.median(ratios) - 1):+.1f} % (aim: under 3 %; rounds: "
            f"{', '.join(f'{100 * (ratio - 1):+.1f}' for ratio in ratios)})",
            flush=True,
        )


def measure(text: str, seconds: float, rounds: int, cases: Sequence[Case]) -> tuple[list[float], list[float]]:
    """Alternate bare loop and harness, and return the seconds of each round."""
    resolved = resolve(text)
    method = resolved.method
    method.setup(torch.device("cpu"))
    load, generate = method.setup, method.generate

    def lasting(case: Case, seed: int) -> Clip | Path:
        began = time.perf_counter()
        made = generate(case, seed)
        time.sleep(max(0.0, began + seconds - time.perf_counter()))
        return made

    method.setup = lambda device: None  # type: ignore[method-assign]
    method.generate = lasting  # type: ignore[method-assign]
    method.generate(cases[0], 0)
    bare: list[float] = []
    harness: list[float] = []
    for round_ in range(rounds):
        sides = [(bare, bare_loop), (harness, harness_loop)]
        for times, loop in sides if round_ % 2 else reversed(sides):
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                loop(resolved, cases, Path(folder))
                times.append(time.perf_counter() - began)
    method.setup = load  # type: ignore[method-assign]
    return bare, harness


if __name__ == "__main__":
    main()
