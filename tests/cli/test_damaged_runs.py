"""One damaged run among others: it is named, and the others are shown."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import vapbench as vb
from vapbench.cli import app

COMMITTED = Path(__file__).parents[2] / "results" / "mini"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two good runs, one whose manifest is cut, one of another schema, and what a copy program left."""
    places = ("mini/good", "mini/other", "mini/cut", "mini/new", "mini/._good", ".cache/good")
    for place in places:
        shutil.copytree(COMMITTED / "frozen", tmp_path / place)
    cut, new = (tmp_path / "mini" / name / "manifest.json" for name in ("cut", "new"))
    cut.write_bytes(cut.read_bytes()[:200])
    new.write_text(json.dumps(json.loads(new.read_text()) | {"schema": 99}))
    # The same rows under another name would be one run.
    rows = (tmp_path / "mini" / "other" / "generations.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "mini" / "other" / "generations.jsonl").write_text("".join(rows[:-1]))
    return tmp_path


@pytest.mark.parametrize("command", [("report", "--task", "camera"), ("list", "runs"), ("status",), ("export",)])
def test_a_damaged_run_is_one_line_and_the_rest_is_shown(
    results: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results)
    done = CliRunner().invoke(app, [*command, "--results", str(results)])
    assert done.exit_code == 0, done.output
    said = done.stderr.replace("\n", "")
    assert f"{results}/mini/cut/manifest.json: not valid JSON" in said
    assert f"{results}/mini/new/manifest.json has schema 99" in said
    assert done.stderr.count("Left out") == 2
    shown = done.stdout + ((results / "scores.csv").read_text() if command == ("export",) else "")
    assert "good" in shown and "other" in shown
    assert "._good" not in shown and ".cache" not in shown


def test_a_score_outside_its_metric_s_range_is_found_by_check(tmp_path: Path) -> None:
    copied = shutil.copytree(COMMITTED / "frozen", tmp_path / "mini" / "frozen")
    assert CliRunner().invoke(app, ["check", str(tmp_path)]).exit_code == 0
    path = copied / "scores" / "first_frame_psnr.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0].update(value=99_999.0)
    rows[0].pop("crc", None)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    done = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert done.exit_code != 0
    said = f"{rows[0]['case']} seed 0: 99999 is outside the range of first_frame_psnr, 0 to 60"
    assert said in done.output.replace("\n", " ")


def test_a_run_that_is_named_is_read_or_refused(results: Path) -> None:
    refused = CliRunner().invoke(app, ["report", "cut", "--results", str(results)])
    assert "not valid JSON" in str(refused.exception)
    assert CliRunner().invoke(app, ["report", "good", "--results", str(results)]).exit_code == 0


def test_load_runs_leaves_a_damaged_run_out_and_warns(results: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        runs = vb.load_runs(results)
    assert [run.path.name for run in runs] == ["good", "other"]
    assert sum("Left out" in record.getMessage() for record in caplog.records) == 2
