"""Specification of a board with pictures in a clone that keeps rows alone."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from vapbench.files.atomic import file_sha256
from vapbench.leaderboard.redraw import first_of_each_task, plan_of, redraw
from vapbench.leaderboard.site import build
from vapbench.results.run import RunFolder, runs_below
from vapbench.running.progress import Silent
from vapbench.suites import load_suites
from vapbench.suites.tasks import tasks_with

COMMITTED = Path(__file__).parents[2] / "results"


@pytest.fixture
def results(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows of two floors, which take no time to make again."""
    monkeypatch.setenv("VAPBENCH_CACHE", str(cache))
    for name in ("frozen", "noise"):
        shutil.copytree(COMMITTED / "mini" / name, tmp_path / "results" / "mini" / name)
    return tmp_path / "results"


def test_the_weights_that_ship_make_every_committed_row_again(tmp_path: Path) -> None:
    """By key: method, parameters, weights, captions, media and seed are those of the rows."""
    suite = load_suites()["mini"]
    cases = list(suite.cases(None))
    runs = runs_below([COMMITTED], "mini")
    assert len(runs) > 10
    for run in runs:
        keys = {row.key for row in run.current() if row.status == "ok"}
        assert {job.key for job in plan_of(run, suite, cases, tmp_path).jobs} == keys, run.path.name


def test_a_few_cases_of_each_task_are_enough_and_each_is_of_another_condition() -> None:
    cases = list(load_suites()["mini"].cases(None))
    for few in (1, 2):
        chosen = first_of_each_task(cases, few)
        tasks = [task for case in chosen for task in tasks_with(case.condition, case.category) if task != "all"]
        assert sorted(tasks) == sorted(["camera", "concept", "motion", "style", "zero-shot"] * few)
        assert len({case.condition for case in chosen}) == len(chosen)


def test_clips_made_again_are_on_the_pages_of_cases_and_methods(results: Path, tmp_path: Path) -> None:
    home = tmp_path / "board"
    found = redraw([results], home / "clips", 1, Silent())
    assert (found.clips, found.runs, found.skipped) == (10, 2, {})
    made = {path: path.stat().st_mtime_ns for path in (home / "clips").rglob("*.mp4")}
    assert redraw([results], home / "clips", 1, Silent()).clips == 10
    assert made == {path: path.stat().st_mtime_ns for path in (home / "clips").rglob("*.mp4")}, "kept, not made anew"

    # The encoder of this machine may make other bytes than that of the rows: of one run they shall be equal, of the
    # other they are not.
    path = results / "mini" / "noise" / "generations.jsonl"
    again = {row.key: row.sha256 for row in RunFolder(home / "clips" / "mini" / "noise").current()}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    here = [{**row, "sha256": again.get(row["key"], row["sha256"]), "crc": None} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in here))
    rows = [json.loads(line) for line in (results / "mini" / "frozen" / "generations.jsonl").read_text().splitlines()]
    other = "".join(json.dumps({**row, "sha256": "a" * 64, "crc": None}) + "\n" for row in rows)
    (results / "mini" / "frozen" / "generations.jsonl").write_text(other)
    site = build(results, home, tmp_path / "site").index.parent
    case = (site / "case" / "mini" / "mini_bolumo--scene-1000--scene-2000.html").read_text()
    assert case.count("<video") == 4 and "No video kept here" not in case
    assert "1 of the clips above were made again" in case
    method = (site / "method" / "mini" / "noise.html").read_text()
    assert method.count("<video") == 5 and "5 of 66" in method and "made again for this page" not in method
    metric = (site / "metric" / "mini" / "semantic_alignment-embedding-v1.html").read_text()
    assert "0 to 100, as shown here" in metric and "<code>first_frame_psnr</code>" in metric
    assert "With every method's clips" in (site / "gallery" / "mini.html").read_text().replace("&#39;", "'")
    shown = set(re.findall(r"media/(\w+)\.mp4", case))
    assert shown > {file_sha256(path)[:24] for path in made if path.name.startswith("mini_bolumo--scene-1000")}
    assert not (build(results, home, tmp_path / "plain", videos=False).index.parent / "media").exists()


def test_rows_of_other_weights_are_left_as_they_are(results: Path, tmp_path: Path) -> None:
    path = results / "mini" / "frozen" / "generations.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**row, "key": "f" * 63 + "0", "crc": None}) + "\n" for row in rows))
    found = redraw([results], tmp_path / "clips", 1, Silent())
    assert list(found.skipped) == ["mini/frozen"] and "weights" in found.skipped["mini/frozen"]
    assert found.runs == 1 and not (tmp_path / "clips" / "mini" / "frozen").exists()
