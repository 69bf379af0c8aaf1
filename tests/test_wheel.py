"""What ``pip install vapbench`` gives works without a clone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_lists_and_runs_everything(tmp_path: Path) -> None:
    wheel = ["wheel", str(ROOT), "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", *wheel], check=True, capture_output=True)
    (path,) = tmp_path.glob("*.whl")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(tmp_path / "site"), str(path)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, capture_output=True)

    def vapbench(*arguments: str) -> str:
        command = [sys.executable, "-m", "vapbench", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "ground-truth" in vapbench("list", "methods")
    assert "zero-shot" in vapbench("list", "tasks")
    vapbench("check")
    vapbench("run", "-m", "frozen", "--task", "style", "--limit", "1", "-q")
    vapbench("show", "runs/mini/frozen")
