"""Print how long short commands take: ``--help`` as a multiple of importing typer and rich, others in milliseconds."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15
SIDES = {
    "vapbench --help": [sys.executable, "-m", "vapbench", "--help"],
    "import typer, rich": [sys.executable, "-c", "import typer, rich"],
    "import vapbench": [sys.executable, "-c", "import vapbench"],
    "vapbench table": [sys.executable, "-m", "vapbench", "table"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Alternate them, so that all meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(ROUNDS + 1):
        for name, command in SIDES.items():
            times[name].append(seconds(command))
    # The first round warms the file cache.
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:20} {value * 1000:6.0f} ms (median of {ROUNDS})")
    ratio = medians["vapbench --help"] / medians["import typer, rich"]
    print(f"ratio of the first two {ratio:.2f} (aim: at most 1.5)")
    print("aims: import vapbench 100 ms, vapbench table (of the committed rows) 1000 ms")


if __name__ == "__main__":
    main()
