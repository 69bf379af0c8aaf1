"""Print how long the second run of a finished command takes, beside the first."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

TINY = Path(__file__).parents[1] / "tests/data/parity/vap/cogvideox_pipeline/pipeline"
METHODS = ("ground-truth", "frozen", f"vap:weights={TINY},steps=4,height=64,width=96,dtype=float32")


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Run the same command twice."""
    with tempfile.TemporaryDirectory() as results:
        methods = [part for method in METHODS for part in ("--method", method)]
        command = [sys.executable, "-m", "vapbench", "run", *methods, "--task", "camera", "--results", results]
        first, second = seconds(command), seconds(command)
        trace = subprocess.run(
            [sys.executable, "-X", "importtime", *command[1:]], check=True, capture_output=True, text=True
        )
    print(f"first run   {first:6.1f} s")
    print(f"second run  {second:6.1f} s (claim: under 3 s)")
    print(f"ratio       {second / first:6.2f}")
    loaded = any(line.rpartition("|")[2].strip() == "torch" for line in trace.stderr.splitlines())
    print(f"torch imported by the second run: {'yes' if loaded else 'no'} (claim: no)")


if __name__ == "__main__":
    main()
