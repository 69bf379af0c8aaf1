"""Kill it anywhere, run it again: the result is that of an undisturbed run."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command
from vapbench.files.atomic import file_sha256
from vapbench.results.run import RunFolder

SLOW_METHOD = """
import time
import numpy as np
from vapbench import Clip, Method

class Slow(Method):
    version = 1

    def setup(self, device): ...

    def generate(self, case, seed):
        time.sleep(0.2)
        frame = case.image.first_frame()
        return Clip(np.stack([np.roll(frame, (seed + t) * 2, axis=1) for t in range(13)]), 8)
"""
CARD = "name: slow\ntitle: Slow\nsummary: Rolls the first frame.\nkind: unified\nclass: Slow\n"
# Wall-clock measurements, and what differs between sittings, are no part of a result.
VOLATILE = {"seconds", "peak_mb", "encode_seconds", "ended", "crc"}


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slow")
    (folder / "card.yaml").write_text(CARD)
    (folder / "method.py").write_text(SLOW_METHOD)
    return folder


def started(method: Path, results: Path) -> Command:
    arguments = ("run", "--method", method, "--task", "camera", "--seed", "0", "--seed", "1")
    metrics = ("--metric", "temporal_flickering", "--metric", "motion_smoothness[warp]")
    return Command(*arguments, *metrics, "--results", results, "--device", "cpu")


def rows(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in VOLATILE} for line in lines]


def snapshot(results: Path) -> dict[str, Any]:
    """Rows by file, sorted, and the hash of every video."""
    folder = RunFolder(results / "mini" / "slow")
    files = [folder.generations_path, *sorted((folder.path / "scores").glob("*.jsonl"))]
    content: dict[str, Any] = {path.name: sorted(rows(path), key=lambda row: row["key"]) for path in files}
    content["videos"] = {path.name: file_sha256(path) for path in folder.videos.iterdir()}
    return content


def kill_at_random(method: Path, results: Path, draw: random.Random) -> bool:
    """Start the run, kill it at a random moment of its work; False if it ended before."""
    run = results / "mini" / "slow"

    def progress() -> int:
        return sum(path.stat().st_size for path in run.rglob("*.jsonl"))

    before = progress()
    process = started(method, results)
    # One kill in five comes while the command starts; the others once it writes.
    if draw.random() > 0.2:
        while process.poll() is None and progress() == before:
            time.sleep(0.005)
    time.sleep(draw.uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def finish(method: Path, results: Path) -> None:
    done = started(method, results).finished()
    assert done.returncode == 0, done.stderr


def test_five_kills_leave_no_trace(method: Path, tmp_path: Path) -> None:
    finish(method, tmp_path / "undisturbed")
    draw = random.Random(20251023)
    killed = sum(kill_at_random(method, tmp_path / "killed", draw) for _ in range(5))
    finish(method, tmp_path / "killed")
    assert killed >= 4
    expected, got = snapshot(tmp_path / "undisturbed"), snapshot(tmp_path / "killed")
    assert got == expected
    keys = [row["key"] for row in got["generations.jsonl"]]
    assert len(keys) == len(set(keys)) == 28


@pytest.mark.slow
def test_a_hundred_kills_leave_no_trace(method: Path, tmp_path: Path) -> None:
    finish(method, tmp_path / "undisturbed")
    expected = snapshot(tmp_path / "undisturbed")
    draw = random.Random(1)
    for round_ in range(10):
        results = tmp_path / f"killed-{round_}"
        for _ in range(10):
            kill_at_random(method, results, draw)
        finish(method, results)
        assert snapshot(results) == expected


def test_ctrl_c_finishes_the_case_and_says_how_to_resume(method: Path, tmp_path: Path) -> None:
    process = started(method, tmp_path / "r")
    folder = RunFolder(tmp_path / "r" / "mini" / "slow")
    deadline = time.monotonic() + 300
    while not (folder.generations_path.exists() and len(folder.current()) >= 2):
        assert process.poll() is None and time.monotonic() < deadline, "it never made two clips"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    done = process.finished()
    assert done.returncode == 130
    assert "Resume with: vapbench run --method" in done.stderr.replace("\n", " ")
    current = folder.current()
    assert 2 <= len(current) < 28
    assert all(folder.video_of(row) for row in current)
