"""Specification of the board against strangers: what forged submissions do, which is nothing to anybody else's row."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.leaderboard.forger import PSNR, Forger
from tests.leaderboard.forgeries import FORGED, SEMANTIC, made_up_case, set_all
from vapbench.cli import app
from vapbench.leaderboard.admitted import admit
from vapbench.leaderboard.boards import Leaderboard
from vapbench.leaderboard.check import check_submission
from vapbench.leaderboard.collecting import collect
from vapbench.leaderboard.roster import Rosters
from vapbench.leaderboard.rows import read_rows
from vapbench.leaderboard.submission import read_submission
from vapbench.results.run import RunFolder


def test_the_honest_one_passes(forger: Forger, rosters: Rosters) -> None:
    assert check_submission(forger.path, rosters) == []


@pytest.mark.parametrize("name", FORGED)
def test_check_refuses(name: str, forger: Forger, rosters: Rosters) -> None:
    forge, reason = FORGED[name]
    forge(forger)
    problems = check_submission(forger.path, rosters)
    assert any(reason in problem for problem in problems), problems
    assert all(len(problem) < 600 and "\n" not in problem for problem in problems)


@pytest.mark.parametrize("name", ["i2v", "I2V", "Lora", "Iora", "l2v", "lo-ra"])
def test_nobody_takes_a_name_that_reads_as_another_run_s(name: str, forger: Forger, results: Path) -> None:
    forger.said(id=name)
    forger.path.rename(forger.path.with_name(name))
    found = collect([results], Leaderboard(forger.path.parents[1]))
    assert [(it.name, "has the name of" in it.why) for it in found.left_out] == [(name, True)]
    assert not any(entry.submission for board in found.boards for entry in board.entries)


def test_the_suite_s_cases_come_from_our_runs_where_its_data_is_not_here(
    forger: Forger, results: Path, tmp_path: Path
) -> None:
    full = tmp_path / "full"
    shutil.copytree(results / "mini" / "i2v", full / "vap-data" / "i2v")
    forger.manifest(lambda m: m["identity"].update(suite="vap-data"))
    problems = check_submission(forger.path, Rosters([full]))
    assert problems == [], "the columns and cases that our own run has"
    made_up_case(forger)
    assert "none of the" in check_submission(forger.path, Rosters([full]))[0]


def test_a_title_in_another_script_says_so(forger: Forger, rosters: Rosters) -> None:
    """All of its letters may be Cyrillic and look Latin: a reader is told."""
    forger.said(title="\u0412\u0410\u0420")
    assert check_submission(forger.path, rosters) == []
    shown = admit(RunFolder(forger.path), read_submission(forger.path), rosters.of("mini")).manifest.card.title
    assert shown == "\u0412\u0410\u0420 [in Cyrillic letters]"


def test_a_column_without_a_range_has_a_largest_score_too(forger: Forger, rosters: Rosters) -> None:
    forger.first(PSNR, value=1e200)
    mini = rosters.of("mini")
    columns = {key: replace(it, shown=it.shown.model_copy(update={"range": None})) for key, it in mini.columns.items()}
    found: list[str] = []
    read_rows(forger.path, replace(mini, columns=columns), found)
    assert found == ["first_frame_psnr.jsonl:1: 1e+200 is larger than can be averaged"]


def test_weights_that_are_not_here_are_known_from_our_rows(
    forger: Forger, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vapbench.leaderboard.roster.absent_of", lambda *_: ["weights.safetensors"])
    assert check_submission(forger.path, Rosters([results])) == []
    set_all(SEMANTIC, weights="b" * 64)(forger)
    assert any("scored with other weights" in problem for problem in check_submission(forger.path, Rosters([results])))


def test_what_is_printed_drives_no_terminal_and_begins_no_line_of_a_log(forger: Forger) -> None:
    forger.said(**{"\x1b[2J\n::error::" + "x" * 5000: 1})
    printed = CliRunner().invoke(app, ["leaderboard", "check", str(forger.path)]).output
    assert "submission.json" in printed and "\x1b" not in printed and "\n::" not in printed and len(printed) < 1500
