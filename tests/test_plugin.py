"""A real package, installed by pip, adds a method, a metric and a suite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "plugin_package"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("plugin")
    shutil.copytree(SOURCE, work / "source")
    install = [
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--target",
        str(work / "site"),
    ]
    subprocess.run([sys.executable, "-m", "pip", *install, str(work / "source")], check=True, capture_output=True)
    return work / "site"


def vapbench(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"}
    command = [sys.executable, "-m", "vapbench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_what_it_adds_is_listed_and_runs(site: Path, tmp_path: Path) -> None:
    assert "two-squares" in vapbench(site, "list", "suites").stdout
    assert "redness" in vapbench(site, "list", "metrics").stdout
    done = vapbench(site, "run", "--suite", "two-squares", "--method", "blink", "--results", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "two-squares/blink/scores/redness.jsonl").read_text().splitlines()]
    assert [row["case"] for row in rows] == ["square-1", "square-2"]
    assert all(row["status"] == "ok" for row in rows)


def test_what_is_broken_in_it_is_said_in_the_list_and_fails_only_when_used(site: Path, tmp_path: Path) -> None:
    listed = vapbench(site, "list", "methods", "--json")
    (broken,) = [row for row in json.loads(listed.stdout) if row["name"] == "broken"]
    assert "cannot be imported" in broken["title"]
    used = vapbench(site, "run", "--suite", "two-squares", "--method", "broken", "--results", str(tmp_path))
    assert used.returncode == 1
    assert "broken (vapbench-example-plugin) cannot be imported" in used.stderr.replace("\n", " ")
