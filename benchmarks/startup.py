"""Print how long short commands take: ``--help`` as a multiple of importing typer and rich, others in milliseconds.

Of the clock, and of processors: the latter hold beside other work as well.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time

ROUNDS = 15
SIDES = {
    "vapbench --help": [sys.executable, "-m", "vapbench", "--help"],
    "import typer, rich": [sys.executable, "-c", "import typer, rich"],
    "import vapbench": [sys.executable, "-c", "import vapbench"],
    "nothing": [sys.executable, "-c", "pass"],
    "vapbench table": [sys.executable, "-m", "vapbench", "table"],
}


def spent(command: list[str]) -> tuple[float, float]:
    """Seconds of one process, by the clock and of processors."""
    # Where an environment forbids to keep compiled code, every start would compile the package.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=kept)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Alternate them, so that all meet the same machine."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES}
    for _ in range(ROUNDS + 1):
        for name, command in SIDES.items():
            times[name].append(spent(command))
    # The first round warms the file cache.
    clock, processor = (
        {name: statistics.median(one[place] for one in kept[1:]) for name, kept in times.items()} for place in (0, 1)
    )
    for name in SIDES:
        print(
            f"{name:20} {clock[name] * 1000:6.0f} ms, of processors {processor[name] * 1000:6.0f} (medians of {ROUNDS})"
        )
    ratios = [side["vapbench --help"] / side["import typer, rich"] for side in (clock, processor)]
    print(f"ratio of the first two {ratios[0]:.2f}, of processors {ratios[1]:.2f} (aim: at most 1.5)")
    print("aims: import vapbench 100 ms beyond nothing, vapbench table (of the committed rows) 1000 ms")


if __name__ == "__main__":
    main()
