"""Several processes score: the rows are those of one, whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import read_until, vapbench
from tests.faulty_metric import Touchy
from tests.refusals import refuses
from tests.running.test_generate import Brightness, Mover, run
from vapbench.core.case import Case
from vapbench.errors import ErrorKind, UsageError
from vapbench.results.rows import ScoreRow
from vapbench.results.run import RunFolder
from vapbench.running.processes import LOSSES_ALLOWED

Make = Callable[..., Case]


def told(rows: dict[str, ScoreRow]) -> dict[str, tuple[Any, ...]]:
    return {key: (row.case, row.seed, row.status, row.value, row.video_sha256, row.parts) for key, row in rows.items()}


def test_rows_are_those_of_one_process(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(number) for number in range(4)]
    several = run(Mover(), cases, tmp_path / "several", metrics=[Touchy(tmp_path)], workers=2)
    one = run(Mover(), cases, tmp_path / "one", metrics=[Touchy(tmp_path)])
    assert told(several.plan.folder.scores("touchy")) == told(one.plan.folder.scores("touchy"))
    assert several.scored == one.scored
    own = f".{os.getpid()}"
    assert {path.suffix for path in tmp_path.glob("*--*.*")} > {own}, "others scored, and then this one"


@pytest.mark.slow
def test_a_killed_process_costs_no_other_video(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(number) for number in range(6)]
    once, always = cases[1].id, cases[3].id
    metric = Touchy(tmp_path, {once: 1, always: 99})
    outcome = run(Mover(), cases, tmp_path / "r", metrics=[metric], workers=2)
    rows = {row.case: row for row in outcome.plan.folder.scores("touchy").values()}
    assert {case for case, row in rows.items() if row.status == "ok"} == {case.id for case in cases} - {always}
    assert rows[always].failure.type == "WorkerLost" and "SIGKILL" in rows[always].failure.message
    assert (outcome.scored.ok, outcome.scored.failed, outcome.scored.total) == (5, 1, 6)
    assert len(list(tmp_path.glob(f"{always}.*"))) == LOSSES_ALLOWED + 1
    assert not list(tmp_path.glob(f"*.{os.getpid()}"))


def test_a_metric_that_cannot_go_to_another_process_is_refused_by_name(tmp_path: Path, make_case: Make) -> None:
    metric = Brightness()
    metric.open = (tmp_path / "log").open("w")  # type: ignore[attr-defined]
    with metric.open, refuses(UsageError, ErrorKind.CONFLICT, "workers", "brightness", "make it in setup"):  # type: ignore[attr-defined]
        run(Mover(), [make_case(0), make_case(1)], tmp_path / "r", metrics=[metric], workers=2)


METRIC = """
import os
import time
from pathlib import Path

from vapbench import Metric

MARKS = Path({marks!r})


class Slow(Metric):
    version, higher_is_better, unit = 1, True, "level"

    def score(self, clip, case):
        (MARKS / f"{{case.id}}.{{os.getpid()}}").touch()
        while len(list(MARKS.glob("*.*"))) > 3 and not (MARKS / "go").exists():
            time.sleep(0.1)
        time.sleep(0.4)
        return float(clip.frames.mean())
"""


@pytest.mark.slow
def test_ctrl_c_and_kills_lose_nothing_and_one_command_at_a_time_writes(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    (tmp_path / "slow.py").write_text(METRIC.format(marks=str(marks)))
    results = ["--device", "cpu", "--results", str(tmp_path / "r")]
    make = ["run", "--method", "frozen", "--task", "camera", "--metric", "temporal_flickering", *results]
    assert vapbench(*make).returncode == 0
    folder = RunFolder(tmp_path / "r" / "mini" / "frozen")
    score = ["score", str(folder.path), "--task", "camera", "--metric", f"{tmp_path / 'slow.py'}:Slow", *results]
    side_by_side = [sys.executable, "-m", "vapbench", *score, "--workers", "2"]

    def begun() -> set[str]:
        """The processes that have begun a case."""
        return {path.suffix.removeprefix(".") for path in marks.glob("*.*")}

    process = subprocess.Popen(side_by_side, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    wait_until(lambda: len(folder.scores("slow")) >= 2)
    refused = vapbench(*score)
    assert refused.returncode == 3 and f"is being written by process {process.pid}" in refused.stderr.replace("\n", " ")
    # Whoever began the last case waits at it.
    before = begun()
    last = max(marks.glob("*.*"), key=lambda mark: mark.stat().st_mtime_ns)
    os.kill(int(last.suffix.removeprefix(".")), signal.SIGKILL)
    wait_until(lambda: not begun() <= before)
    process.send_signal(signal.SIGINT)
    said = read_until("Stopping after this", process.stderr)
    (marks / "go").touch()
    said += process.stderr.read()
    assert process.wait(300) == 130 and "Resume with: vapbench score" in said.replace("\n", " "), said
    kept = folder.scores("slow")
    assert 2 <= len(kept) < 14 and all(row.status == "ok" for row in kept.values())
    assert not any(Path(f"/proc/{pid}").exists() for pid in begun()), "no process stays"
    subprocess.run(side_by_side, check=True, capture_output=True)
    rows = folder.scores("slow")
    assert len(rows) == 14 and kept.items() <= rows.items()
    assert vapbench(*score, "--refresh", "all").returncode == 0
    assert told(folder.scores("slow")) == told(rows)


def wait_until(true: Callable[[], object], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
