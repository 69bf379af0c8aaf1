"""Print how long ``vapbench --help`` takes, as a multiple of importing typer and rich."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15
SIDES = {
    "vapbench --help": [sys.executable, "-m", "vapbench", "--help"],
    "import typer, rich": [sys.executable, "-c", "import typer, rich"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Alternate the two, so that both meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(ROUNDS + 1):
        for name, command in SIDES.items():
            times[name].append(seconds(command))
    # The first round warms the file cache.
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:20} {value * 1000:6.0f} ms (median of {ROUNDS})")
    ours, base = medians.values()
    print(f"ratio {ours / base:.2f} (claim: at most 1.5)")


if __name__ == "__main__":
    main()
