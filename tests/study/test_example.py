"""The simulated raters of ``examples/``: plan, server and analysis together, over HTTP."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.study.conftest import code
from tests.study.served import make_study
from vapbench.study.ballots import load_ballots

SCRIPT = Path(__file__).parents[2] / "examples" / "simulated_raters.py"


def test_simulated_raters_vote_as_they_were_told(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", cases=6, trials=6, votes_per_cell=6, raters=6, gold=3)
    command = [sys.executable, str(SCRIPT), str(folder.path), "--raters", "6"]
    command += ["--strength", "method-0=4", "--strength", "method-1=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "method-0" in done.stdout.splitlines()[1]
    votes = [vote for vote in load_ballots(folder).votes if vote.role == "main"]
    assert len(votes) >= 24
    chosen = Counter(vote.chosen for vote in votes)
    assert chosen[code(0)] > 0.7 * len(votes)


def test_a_method_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study")
    command = [sys.executable, str(SCRIPT), str(folder.path), "--strength", "vap=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "vap is no method of the study. Methods: method-0, method-1"
