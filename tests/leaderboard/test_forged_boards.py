"""What a forged submission does to a board: to nobody else's row anything, and to its own what the reader is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.forger import PSNR, Forger
from tests.leaderboard.forgeries import FORGED
from vapbench.leaderboard import collecting
from vapbench.leaderboard.boards import Board, Leaderboard
from vapbench.leaderboard.check import check_submission
from vapbench.leaderboard.collecting import collect
from vapbench.leaderboard.roster import Rosters
from vapbench.leaderboard.site import build
from vapbench.leaderboard.submission import submission_digest
from vapbench.leaderboard.views import apart_of, groups_of
from vapbench.metrics.first_frame_psnr import FirstFramePsnr


def rows_of(board: Board, but: str) -> dict[str, list[Any]]:
    """Every table's columns, and every row but one as it is printed."""
    found: dict[str, list[Any]] = {}
    for table in board.tables:
        lines = [(group.name, line) for group in groups_of(board, table) for line in group.lines if line.label != but]
        found[str(table.task)] = [table.columns, lines]
    return found


def mini(results: Path, home: Path) -> Board:
    (board,) = (board for board in collect([results], Leaderboard(home)).boards if board.suite == "mini")
    return board


@pytest.fixture(scope="module")
def before(results: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    return rows_of(mini(results, tmp_path_factory.mktemp("none")), "mine")


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the check had missed it."""
    monkeypatch.setattr(collecting, "check_submission", lambda *_: [])
    yield


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "name",
    ["turned direction", "title", "scale", "relabelled conditions", "a flat 99", "value of a million", "floor",
     "version nobody released", "invented column", "easy cases alone", "one video for all cases",
     "100,000-character title"],
)  # fmt: skip
def test_even_what_the_check_missed_moves_nobody_elses_row(
    name: str, forger: Forger, results: Path, before: dict[str, list[Any]]
) -> None:
    if name != "100,000-character title":
        FORGED[name][0](forger)
    board = mini(results, forger.path.parents[1])
    assert rows_of(board, "mine") == before
    (group,) = (group for group in groups_of(board, board.tables[-1]) if any(x.label == "mine" for x in group.lines))
    assert group.name == "reported"
    assert all(not number.rank and not number.best for line in group.lines for number in line.numbers)


def test_a_verified_submission_is_ranked_until_a_row_of_it_changes(forger: Forger, results: Path) -> None:
    home = forger.path.parents[1]
    said = {"badge": "recomputed", "submission": submission_digest(forger.path)}
    (home / "badges.json").write_text(json.dumps({"runs": {"mini/mine": said}}))
    measured, *_ = groups_of(board := mini(results, home), board.tables[-1])
    assert [line.label for line in measured.lines if line.label == "mine"]
    assert any(number.rank for line in measured.lines if line.label == "mine" for number in line.numbers)
    assert {entry.anew for entry in board.entries} == {None}, "attested by hand: not 0 of 0 videos"
    forger.first(PSNR, value=59.9)
    measured, *_ = groups_of(board := mini(results, home), board.tables[-1])
    assert "mine" not in [line.label for line in measured.lines]


def test_rows_of_an_older_version_stand_apart_and_in_no_column(
    forger: Forger, results: Path, before: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The honest one was scored before a metric changed: its numbers are shown, and mixed with nobody's."""
    home = forger.path.parents[1]
    newer = shutil.copytree(results, home / "results")
    for path in newer.glob(f"mini/*/{PSNR}"):
        rows = [{**json.loads(line), "version": 2, "crc": None} for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(FirstFramePsnr, "version", 2)
    assert check_submission(forger.path, Rosters([newer])) == []
    board = mini(newer, home)
    lines = [line for group in groups_of(board, board.tables[-1]) for line in group.lines]
    place = [column.metric for column in board.tables[-1].columns].index("first_frame_psnr")
    assert board.tables[-1].columns[place].version == 2
    (mine,) = (line for line in lines if line.label == "mine")
    assert mine.numbers[place].value == "" and mine.numbers[0].value, "not in the newer column, and in the others"
    (apart,) = apart_of(board, board.tables[-1])
    assert (apart.label, apart.column, apart.why) == ("mine", "first_frame_psnr v1", "the board's is version 2")
    assert apart.number.text and not apart.number.rank
    others = {task: lines for task, (_, lines) in rows_of(board, "mine").items()}
    assert others == {task: lines for task, (_, lines) in before.items()}, "everybody else's as before"
    page = (build([newer], home, home / "site", videos=False).index.parent / "index.html").read_text()
    assert "Not comparable with the columns above" in page and "first_frame_psnr v1" in page
