"""Benchmarks that need an accelerator run in a small form, so that they run where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.mark.slow
def test_the_gpu_benchmark_runs_in_a_small_form_and_never_passes_for_one_of_a_gpu(tmp_path: Path) -> None:
    page = tmp_path / "gpu.md"
    page.write_text("# Old\n\n## Prepared for a card, run on none\n\nBatches.\n")
    done = run("benchmarks/gpu.py", "--small", "--out", str(page))
    assert done.returncode == 0, done.stderr
    said = page.read_text()
    assert "No figure here is one of a GPU" in said and "Not whole" not in said
    for measured in ("| motion_smoothness[amt] |", "A folder of 2 clips, vapbench, fast", "the harness adds"):
        assert measured in said
    assert said.endswith("\n## Prepared for a card, run on none\n\nBatches.\n") and "# Old" not in said
    exact = said.split("vapbench, fast, s")[0]
    assert "Scores differ by 0.0e+00" in exact or "e-08 at most" in exact or "e-07 at most" in exact


def test_the_gpu_page_is_not_written_without_a_gpu() -> None:
    done = run("benchmarks/gpu.py", "--small")
    assert done.returncode == 2
    assert "--small measures no GPU" in done.stderr
