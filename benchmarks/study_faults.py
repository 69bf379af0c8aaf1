"""What a served study survives: kills of the server under load, and one answer sent many times at once."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.study.served import make_study, serving
from tests.study.test_faults import kill_and_restart
from tests.study.test_server import same_answer_at_once
from vapbench.study.analysis.ballots import load_ballots


def main() -> None:
    """Print what happened beside each target; a promise that was broken ends with the assertion it broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--times", type=int, default=20, help="equal answers sent at once")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        acknowledged, stored = kill_and_restart(Path(name), arguments.kills)
        print(
            f"{arguments.kills} SIGKILLs under load in {time.perf_counter() - began:.0f} s: {acknowledged:,} votes were"
        )
        print(f"acknowledged, each is stored once; {stored:,} stored, chain and file intact, every rater finished")
    with tempfile.TemporaryDirectory() as name:
        folder = make_study(Path(name) / "study")
        with serving(folder) as served:
            codes = same_answer_at_once(served, arguments.times)
        print(f"{arguments.times} equal answers at once: {len(load_ballots(folder).votes)} row, statuses {dict(codes)}")


if __name__ == "__main__":
    main()
