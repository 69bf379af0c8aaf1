"""How far a run is, told from its folder while it runs, when it ended, and when it died."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.running.test_generate import Brightness, Mover, run
from vapbench.cli import app
from vapbench.core.case import Case
from vapbench.core.events import JsonHandler
from vapbench.files.lock import Owner, owner_file
from vapbench.results.rows import Failure, GenerationRow
from vapbench.results.run import RunFolder
from vapbench.results.status import ago, status_of
from vapbench.results.writer import RunWriter

Make = Callable[..., Case]
PLANNED = {f"c{n}": {"condition": "a", "category": None, "tasks": ["all"], "seeds": [0, 1]} for n in range(5)}
SHOWN = {"brightness": {"needs": []}}


def row(number: int, ended: datetime, **changes: Any) -> GenerationRow:
    made = GenerationRow(
        f"k{number}", f"c{number // 2}", "a", None, number % 2, "ok", "v.mp4", "0" * 64, 2.0, 512.0,
        encode_seconds=0.5, ended=ended.isoformat(timespec="milliseconds"),
    )  # fmt: skip
    return replace(made, **changes)


def begin(writer: RunWriter) -> None:
    writer.begin({"suite": "mini", "name": "vap"}, PLANNED, {"argv": ["vapbench"]}, SHOWN)


def fail(kind: str, message: str) -> dict[str, Any]:
    return {"status": "failed", "video": None, "sha256": None, "attempts": (Failure(kind, message),)}


def test_a_run_is_watched_while_it_runs(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "mini" / "vap")
    with RunWriter(folder) as writer:
        begin(writer)
        first = datetime.now(UTC) + timedelta(seconds=1)
        for number in range(3):
            writer.append(row(number, first + timedelta(seconds=10 * number)))
        writer.append(row(3, first + timedelta(seconds=30), **fail("OutOfMemoryError", "CUDA out of memory\nmore")))
        status = status_of(folder)
        generate, brightness = status.stages
        assert status.state == "running"
        assert (generate.done, generate.total, generate.failed) == (4, 10, 1)
        assert (generate.seconds, generate.encode_seconds, generate.peak_mb) == (2.0, 0.5, 512.0)
        assert generate.left == pytest.approx(60), "six to go, ten seconds from one row to the next"
        assert (brightness.done, brightness.total, brightness.left) == (0, 9, None)
        (failure,) = status.failures
        assert (failure.stage, failure.type, failure.count) == ("generate", "OutOfMemoryError", 1)
        assert failure.example == "c1 seed 1: CUDA out of memory"
        shown = CliRunner().invoke(app, ["status", str(folder.path)]).output
    assert f"running: process {os.getpid()} on " in shown
    assert "about 60 s left" in shown
    assert "generate    4/10  1 failed  2 s each  0.5 s to encode  512 MB" in shown
    assert "1 x OutOfMemoryError in generate, last c1 seed 1" in shown


def test_rows_of_earlier_sittings_say_nothing_of_the_pace(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "mini" / "vap")
    with RunWriter(folder) as writer:
        begin(writer)
        for number in range(3):
            writer.append(row(number, datetime(2019, 1, 1, tzinfo=UTC) + timedelta(hours=number)))
        assert status_of(folder).stages[0].left is None


def test_rows_from_elsewhere_neither_end_it_nor_drive_the_terminal(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "mini" / "vap")
    now = datetime.now(UTC) + timedelta(seconds=1)
    with RunWriter(folder) as writer:
        begin(writer)
        # Later than the session began, as text: no time, no day, no zone.
        for number, ended in enumerate(("soon", "9999-99-99T00:00:00+00:00", "9999-01-01T00:00:00")):
            writer.append(replace(row(number, now, **fail("\x1b[2JError", "x\x1b]0;title\x07")), ended=ended))
        shown = CliRunner().invoke(app, ["status", str(folder.path)])
    assert shown.exit_code == 0, shown.exception
    assert "3/10  3 failed" in shown.output
    assert status_of(folder).stages[0].left is None
    assert "\x1b" not in shown.output


def test_a_finished_run_a_stopped_one_and_a_dead_one_are_told_apart(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(number) for number in range(2)]
    outcome = run(Mover({cases[0].id: lambda: None}), cases, tmp_path / "r", metrics=[Brightness()])
    folder = outcome.plan.folder
    status = status_of(folder)
    assert (status.state, status.left) == ("finished", None)
    assert [(stage.name, stage.done, stage.total) for stage in status.stages] == [
        ("generate", 2, 2),
        ("brightness", 1, 1),
    ]
    folder.scores_path("brightness").unlink()
    some = status_of(folder)
    assert some.state == "stopped"
    assert some.said.endswith("the last command did all it was asked; the run has more to do")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    owner_file(folder.path).write_text(json.dumps(asdict(replace(Owner.this_process(), pid=gone.pid))))
    dead = status_of(folder)
    assert dead.state == "died"
    assert re.search(r"did not come to its end; last row \d s ago; the same command resumes", dead.said)
    owner_file(folder.path).write_text(json.dumps(asdict(replace(Owner.this_process(), host="node-7", machine="x"))))
    elsewhere = status_of(folder)
    assert elsewhere.state == "running"
    assert "on node-7" in elsewhere.said and "its machine cannot be asked from here" in elsewhere.said


def test_the_age_of_the_last_row_is_told_in_a_word() -> None:
    assert [ago(seconds) for seconds in (-9, 7, 300, 8000, 400000)] == [
        *("0 s ago", "7 s ago", "5 min ago", "2 h ago", "5 days ago")
    ]


def test_status_as_json_of_a_whole_results_folder(tmp_path: Path) -> None:
    for name in ("vap", "i2v"):
        with RunWriter(RunFolder(tmp_path / "mini" / name)) as writer:
            begin(writer)
            writer.end({}, "cpu")
    done = CliRunner().invoke(app, ["status", "--results", str(tmp_path), "--json"])
    found = json.loads(done.stdout)
    assert [(Path(item["run"]).name, item["state"], item["stages"][0]["total"]) for item in found] == [
        ("i2v", "stopped", 10),
        ("vap", "stopped", 10),
    ]
    assert CliRunner().invoke(app, ["status", str(tmp_path / "none")]).exit_code != 0


def test_a_shard_that_has_not_begun_does_not_hide_the_others(tmp_path: Path) -> None:
    shards = [tmp_path / "shard-1of2", tmp_path / "shard-2of2"]
    shards[1].mkdir()
    with RunWriter(RunFolder(shards[0] / "mini" / "vap")) as writer:
        begin(writer)
    done = CliRunner().invoke(app, ["status", *map(str, shards)])
    assert done.exit_code == 0 and "shard-1of2" in done.stdout


def test_the_log_has_a_line_for_everything_that_happens(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "run.jsonl"
    arguments = ["run", "-m", "frozen", "--task", "camera", "--limit", "2", "--metric", "temporal_flickering"]
    done = CliRunner().invoke(app, [*arguments, "--results", str(tmp_path / "r"), "--log-json", str(log), "-q"])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    # Which files a suite was read from is said as well.
    lines = [line for line in lines if line["event"] != "message"]
    assert [line["event"] for line in lines] == ["begin", "generation", "generation", "score", "score", "end"]
    assert all({"time", "level", "event", "message"} <= line.keys() for line in lines)
    generation, score = lines[1], lines[3]
    assert generation["status"] == score["status"] == "ok"
    assert generation["seconds"] >= 0
    assert generation["encode_seconds"] > 0
    assert score["metric"] == "temporal_flickering"
    assert isinstance(score["value"], float)
    assert score["peak_mb"] > 0
    assert lines[-1]["generated"]["ok"] == 2


def test_the_log_takes_names_that_are_no_text(tmp_path: Path) -> None:
    handler = JsonHandler(tmp_path / "run.jsonl")
    handler.emit(logging.LogRecord("vapbench", logging.WARNING, "", 0, "%s: no such file", ("\udcff.mp4",), None))
    assert json.loads((tmp_path / "run.jsonl").read_text())["message"] == "\udcff.mp4: no such file"


def test_times_and_memory_are_recorded_and_no_part_of_what_a_row_is(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(0)]
    keys = []
    for results in ("a", "b"):
        folder = run(Mover(), cases, tmp_path / results, metrics=[Brightness()]).plan.folder
        (made,), (score,) = folder.current(), folder.scores("brightness").values()
        assert None not in (made.seconds, made.encode_seconds, made.peak_mb, score.seconds, score.peak_mb)
        assert made.ended <= score.ended
        keys.append((made.key, made.sha256, score.key, score.value))
    assert keys[0] == keys[1]
