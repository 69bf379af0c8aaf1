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

# Commands one after another in a process of these streams, which has begun once: each ends with a plus sign.
ONE_BY_ONE = """
import sys
from vapbench.cli import main

words = sys.argv[1:]
while words:
    end = words.index("+")
    sys.argv, words = ["vapbench", *words[:end]], words[end + 1 :]
    code = 0
    try:
        main()
    except SystemExit as stopped:
        code = stopped.code or 0
    for stream in (sys.stdout, sys.stderr):
        print(end=f"\\x1e{code}\\x1e", file=stream, flush=True)
"""


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

    # A file name that is text, as an argument, and one that is none.
    names = ("写.py:é", b"\xff.py:M".decode("utf-8", "surrogateescape"))
    commands = [
        ["report", "--results", ".", "--task", "camera"],
        ["status", "--results", str(results), "--json"],
        *(["run", "-m", "frozen", "--metric", name] for name in names),
    ]
    if stream == "ascii":
        commands.append(["run", "-m", "noise", "--task", "camera", "--limit", "1", "--metric", "first_frame_psnr"])
    words = [word for command in commands for word in (*command, "+")]
    done = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE, *words], cwd=results, env=variables, capture_output=True, check=True
    )
    assert b"Traceback" not in done.stderr
    printed, said = done.stdout.split(b"\x1e"), done.stderr.split(b"\x1e")
    assert [int(code) for code in said[1::2]] == [0, 0, 2, 2, 0][: len(commands)], done.stderr
    table = printed[0]
    assert b"First frame PSNR" in table
    if stream in ("ascii", "C"):
        assert b"mini - camera - 14 cases x 1 seed" in table and b"PSNR ^" in table
    run, _ = json.loads(printed[2])
    if stream != "C":
        assert run["run"].startswith(str(results)), "JSON has escapes of its own, and loses nothing"
    assert b"no such file" in said[4] and b"no such file" in said[6]
    if stream == "ascii":
        assert b"noise - generate: 1/1" in said[8]
