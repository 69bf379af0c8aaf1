"""Print how long the board of 100 methods, 200 cases and 10 metrics takes to build, and how large its index is."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import CASES, METHODS, METRICS, write_run

AIM_SECONDS, AIM_BYTES = 10.0, 300_000


def fingerprint(site: Path) -> str:
    """Hash over every file's name and bytes."""
    whole = hashlib.sha256()
    for path in sorted(site.rglob("*")):
        if path.is_file():
            whole.update(path.relative_to(site).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def main() -> None:
    """Time the whole command, start of Python included, into an empty folder and over the site it made."""
    with tempfile.TemporaryDirectory() as root:
        rng = random.Random(0)
        for number in range(METHODS):
            name = f"method-{number:03}"
            write_run(Path(root) / "results" / "mini" / name, name, rng)
        board = Path(root) / "leaderboard"
        command = [sys.executable, "-m", "vapbench", "leaderboard", "build", "--leaderboard", str(board)]
        times, prints = [], set()
        print(f"leaderboard, {METHODS} methods x {CASES} cases x {METRICS} metrics:")
        for _ in range(2):
            began = time.perf_counter()
            subprocess.run([*command, "--results", f"{root}/results"], check=True, capture_output=True)
            times.append(time.perf_counter() - began)
            print(f"  build: {times[-1]:.2f} s, with {sum(os.times()[2:4]):.2f} s of processor so far", flush=True)
            prints.add(fingerprint(board / "site"))
        size = (board / "site" / "index.html").stat().st_size
        total = sum(path.stat().st_size for path in (board / "site").rglob("*") if path.is_file())
    print(f"  built in {times[0]:.2f} s, again in {times[1]:.2f} s (aim: {AIM_SECONDS:g})")
    print(f"  index {size / 1000:.0f} kB (aim: {AIM_BYTES / 1000:g}), site {total / 1e6:.1f} MB")
    print(f"  rebuild byte-identical: {'yes' if len(prints) == 1 else 'NO'}")


if __name__ == "__main__":
    main()
