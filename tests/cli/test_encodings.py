"""Output to streams of any encoding: nothing ends in an error, and what is replaced can be read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STREAMS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "strict": {"PYTHONIOENCODING": "utf-8:strict"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("r") / "写 é"
    for name in ("frozen", "noise"):
        shutil.copytree(ROOT / "results" / "mini" / name, folder / "mini" / name)
    return folder


@pytest.mark.parametrize("stream", STREAMS)
def test_every_kind_of_output(stream: str, results: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables |= {"PYTHONPATH": str(ROOT), "COLUMNS": "200", **STREAMS[stream]}

    def vapbench(*words: str, code: int = 0) -> tuple[bytes, bytes]:
        command = [sys.executable, "-m", "vapbench", *words]
        done = subprocess.run(command, cwd=results, env=variables, capture_output=True, check=False)
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
        return done.stdout, done.stderr

    table, _ = vapbench("report", "--results", ".", "--task", "camera")
    assert b"First frame PSNR" in table
    if stream in ("ascii", "C"):
        assert b"mini - camera - 14 cases x 1 seed" in table and b"PSNR ^" in table
    (run, _) = json.loads(vapbench("status", "--results", str(results), "--json")[0])
    if stream != "C":
        assert run["run"].startswith(str(results)), "JSON has escapes of its own, and loses nothing"
    # A file name that is no text, as an argument, and one that is.
    for name in ("写.py:é", b"\xff.py:M".decode("utf-8", "surrogateescape")):
        assert b"no such file" in vapbench("run", "-m", "frozen", "--metric", name, code=2)[1]
    if stream == "ascii":
        said = vapbench("run", "-m", "noise", "--task", "camera", "--limit", "1", "--metric", "first_frame_psnr")[1]
        assert b"noise - generate: 1/1" in said
