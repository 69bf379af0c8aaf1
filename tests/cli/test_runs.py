"""New runs go to ``runs``; the committed rows of a clone are read beside them and never written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from vapbench.cli import app
from vapbench.files.parsing import read_text

ROOT = Path(__file__).parents[2]
ONE = ["--task", "camera", "--limit", "1", "--metric", "first_frame_psnr", "-q"]


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder with its time of change and its bytes."""
    found = [folder, *folder.rglob("*")]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in found}


def vapbench(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code or isinstance(done.exception, Exception), done.output
    if code == 0 and done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The top of a clone with two committed runs, as working folder."""
    for name in ("frozen", "i2v"):
        shutil.copytree(ROOT / "results" / "mini" / name, tmp_path / "results" / "mini" / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vapbench.results.places.clone", lambda: tmp_path)
    before = contents(tmp_path / "results")
    yield tmp_path
    assert contents(tmp_path / "results") == before, "committed rows are never written"


def listed() -> list[str]:
    return [row["name"] for row in json.loads(vapbench("list", "runs", "--json").stdout)]


def test_a_run_stands_for_the_committed_one_of_its_name_with_a_note(clone: Path) -> None:
    assert listed() == ["results/mini/frozen", "results/mini/i2v"]
    vapbench("run", "-m", "frozen", *ONE)
    assert listed() == ["runs/mini/frozen", "results/mini/i2v"]
    said = vapbench("report", "--task", "camera")
    assert "Not shown: results/mini/frozen. Runs of the same name in runs stand for them" in said.stderr
    assert "i2v" in said.stdout and "1/1" in said.stdout
    assert "Not shown" in vapbench("table", "--task", "camera", "--style", "wide").stderr
    # A name is looked up in both; a folder is what it is.
    assert "A = frozen, B = i2v" in vapbench("compare", "frozen", "i2v", "--task", "camera").stdout
    assert "Not shown" not in vapbench("compare", "results/mini/frozen", "i2v", "--task", "camera").stderr
    assert "running" not in vapbench("status", "i2v").stdout
    assert vapbench("report", "--results", "results", "--task", "camera").stderr == ""


def test_files_about_a_committed_run_go_to_runs(clone: Path) -> None:
    assert vapbench("show", "i2v").stdout.strip() == "runs/mini/i2v/show.html"
    assert listed() == ["results/mini/frozen", "results/mini/i2v"]


def test_a_board_is_built_of_both(clone: Path) -> None:
    vapbench("run", "-m", "noise", *ONE)
    vapbench("leaderboard", "build", "--leaderboard", "board", "--no-videos")
    changes = (clone / "board" / "changelog.jsonl").read_text()
    assert all(f'"{name}"' in changes for name in ("noise", "frozen", "i2v"))


def test_runs_are_scored_by_name(clone: Path) -> None:
    vapbench("generate", "-m", "frozen", "--task", "camera", "--limit", "1", "-q")
    scored = vapbench("score", "frozen", "--task", "camera", "--metric", "temporal_flickering", "-q")
    assert "frozen  99.98" in scored.stdout
    error = CliRunner().invoke(app, ["score", "frzen", "--metric", "temporal_flickering"]).exception
    assert "no folder frzen here" in str(error) and "Did you mean frozen?" in str(error)
    error = CliRunner().invoke(app, ["score", "i2v", "--metric", "temporal_flickering"]).exception
    assert "No run 'i2v' of suite mini in runs" in str(error), "committed runs are not written"


def test_elsewhere_only_runs_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "results" / "mini" / "frozen", tmp_path / "results" / "mini" / "frozen")
    assert vapbench("list", "runs").stderr == "No runs here.\n"
    monkeypatch.setenv("VAPBENCH_RESULTS", "results")
    assert listed() == ["results/mini/frozen"]
    assert "No run 'vap' in results." in str(CliRunner().invoke(app, ["compare", "vap", "frozen"]).exception)


def test_the_clone_s_own_results_are_read_from_its_top() -> None:
    command = [sys.executable, "-m", "vapbench", "list", "runs", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert {"results/mini/i2v", "runs/mini/i2v"} & {row["name"] for row in json.loads(done.stdout)}
    ignored = subprocess.run(["git", "check-ignore", "runs/mini/vap/manifest.json"], cwd=ROOT, check=False)
    assert ignored.returncode in (0, 128), "128: not in a clone"


def test_readers_leave_a_run_as_it_is(tmp_path: Path) -> None:
    results = ("--results", str(tmp_path))
    for method in ("frozen", "noise"):
        vapbench("run", "-m", method, *ONE, *results)
    run, other = (str(tmp_path / "mini" / name) for name in ("frozen", "noise"))
    before = contents(tmp_path)
    vapbench("status", run)
    vapbench("status", *results, "--json")
    vapbench("report", *results)
    vapbench("table", *results)
    vapbench("compare", run, other)
    vapbench("list", "runs", *results)
    vapbench("check", str(tmp_path))
    vapbench("run", "-m", "frozen", *ONE, *results, "--dry-run")
    vapbench("run", "-m", "i2v", *ONE, *results, "--dry-run")
    vapbench("score", run, "--metric", "temporal_flickering", "--dry-run")
    vapbench("plan", "-m", "frozen", *results)
    vapbench("run", "-m", "frozen", *ONE, *results)
    assert contents(tmp_path) == before
    page = tmp_path.with_name(f"{tmp_path.name}-page.html")
    vapbench("show", run, "--out", str(page))
    assert contents(tmp_path) == before


def test_a_finished_run_reads_its_manifest_once(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["run", "-m", "frozen", *ONE[:-1]]
    tables = vapbench(*command).stdout
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(str(path))
        return read_text(path)

    monkeypatch.setattr("vapbench.results.run.read_text", counted)
    assert vapbench(*command).stdout == tables
    assert read == ["runs/mini/frozen/manifest.json"]
