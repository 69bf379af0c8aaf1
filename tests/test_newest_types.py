"""The check of our types against the releases that newer Pythons get: it sees what broke once."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "newest_types.py"
KEPT = ROOT / "build" / "newest-types" / "3.14" / "wanted"


def put_back(source: str) -> str:
    """Give the call of ``av.open`` the argument that PyAV 18 had and PyAV 19 has not."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    last = next(call.keywords[-1].value for call in calls if ast.unparse(call.func) == "av.open" and call.keywords)
    lines = source.splitlines(keepends=True)
    assert last.end_lineno is not None and last.end_col_offset is not None
    line = lines[last.end_lineno - 1]
    lines[last.end_lineno - 1] = (
        f'{line[: last.end_col_offset]}, metadata_errors="replace"{line[last.end_col_offset :]}'
    )
    return "".join(lines)


# mypy reads the whole package for it; ``make test`` runs the check itself.
@pytest.mark.slow
@pytest.mark.skipif(not KEPT.is_file(), reason="no newest releases were fetched; with a network: make newest-types")
def test_an_argument_that_the_newest_release_dropped_is_found(tmp_path: Path) -> None:
    for package in ("vapbench", "baselines/mini"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("bundled", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    video = tmp_path / "vapbench" / "core" / "video.py"
    video.write_text(put_back(video.read_text("utf-8")), "utf-8")
    command = [sys.executable, str(SCRIPT), "3.14", "--source", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "vapbench/core/video.py" in done.stdout and '"metadata_errors"' in done.stdout


def test_no_network_is_said_and_fails_nothing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": "/dev/null", "PIP_NO_CACHE_DIR": "1"}
    command = [sys.executable, str(tmp_path / ".ci" / SCRIPT.name), "3.14"]
    done = subprocess.run(command, env=nowhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "newest types for Python 3.14: NOT CHECKED: the package index did not answer" in done.stdout
