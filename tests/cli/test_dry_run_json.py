"""``--dry-run --json`` prints one JSON document, nothing else, and does nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vapbench.cli import app


def told(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_what_runs_would_do(tmp_path: Path) -> None:
    words = ("run", "-m", "vap", "-m", "frozen", "--task", "camera", "--limit", "3", "--seed", "0", "--seed", "1")
    columns = ("--metric", "first_frame_psnr", "--metric", "text_alignment[clip]")
    paid = ("--metric", "semantic_alignment[judge]")
    found = told(*words, *columns, *paid, "--results", str(tmp_path / "r"))
    vap, frozen = found["runs"]
    assert (vap["run"], vap["cases"], vap["videos"], vap["to_make"]) == (str(tmp_path / "r/mini/vap"), 3, 6, 6)
    assert (vap["parameters"]["steps"], vap["weights_are_here"], vap["clip"]["frames"]) == (20, True, 13)
    assert (frozen["method"], frozen["videos"], frozen["weights"]) == ("frozen", 3, None)
    lacks = {column["column"]: column["lacks"] for column in found["columns"]}
    assert lacks["first_frame_psnr"] == [] and lacks["text_alignment[clip]"] == ["clip-vit-l-14"]
    assert {each["run"]: each["cost"]["calls"] for each in found["paid"]} == {"vap": 18, "frozen": 9}
    assert not (tmp_path / "r").exists()


def test_a_protocol_without_its_data(tmp_path: Path) -> None:
    (vap,) = told("run", "-m", "vap", "--suite", "vap-data", "--results", str(tmp_path))["runs"]
    assert vap["run"] is None and vap["size"]["download_gb"] > 20 and vap["videos"] > 0


@pytest.mark.parametrize("command", ["generate", "run"])
def test_every_command_that_makes_videos(command: str, tmp_path: Path) -> None:
    (frozen,) = told(command, "-m", "frozen", "--limit", "1", "--results", str(tmp_path))["runs"]
    assert frozen["to_make"] == 1


def test_what_was_generated_as_json(tmp_path: Path) -> None:
    words = ["generate", "-m", "frozen", "--limit", "1", "--results", str(tmp_path), "--json", "-q"]
    made = json.loads(CliRunner().invoke(app, words).stdout)
    assert made == [{"run": str(tmp_path / "mini" / "frozen"), "made": 1, "videos": 1}]
