"""The repository's own results and board: the rows pass the checks, and the board's changelog is up to date."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.command import vapbench
from vapbench.leaderboard.site import build

ROOT = Path(__file__).parents[2]
REMEDY = "run: make board"


def test_the_committed_rows_pass_the_check() -> None:
    done = vapbench("check", ROOT / "results")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok") > 100


def test_the_committed_rows_make_a_board_and_no_news(tmp_path: Path) -> None:
    home = tmp_path / "leaderboard"
    shutil.copytree(ROOT / "leaderboard", home, ignore=shutil.ignore_patterns("site"))
    made = build(ROOT / "results", home, tmp_path / "site", videos=False)
    assert "vap" in made.index.read_text(encoding="utf-8")
    assert (home / "changelog.jsonl").read_text() == (ROOT / "leaderboard" / "changelog.jsonl").read_text(), REMEDY
