"""Specification of the board against strangers: dates, names, files and words that pass for more than they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.leaderboard.forger import PSNR, Forger, Rows
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.files.atomic import file_sha256
from vapbench.leaderboard.boards import Leaderboard
from vapbench.leaderboard.charts import plot_of
from vapbench.leaderboard.check import check_submission
from vapbench.leaderboard.collecting import collect
from vapbench.leaderboard.roster import Rosters
from vapbench.leaderboard.submission import submission_digest

FLICKER = "scores/temporal_flickering.jsonl"


def session(**fields: str) -> Callable[[Forger], object]:
    return lambda it: it.manifest(lambda m: m["sessions"][-1].update(fields))


def parameter(name: str, value: object) -> Callable[[Forger], object]:
    return lambda it: it.manifest(lambda m: m["identity"]["parameters"].update({name: value}))


def same_key(name: str) -> Callable[[Forger], object]:
    return lambda it: it.rows(name, lambda rows: [row.update(key="a" * 64) for row in rows])


def one_file(*names: str) -> Callable[[Forger], object]:
    """Several rows with hashes of their own, and one file for them."""

    def change(rows: Rows) -> None:
        for row, name in zip(rows, names, strict=False):
            row["video"] = name

    return lambda it: it.rows("generations.jsonl", change)


def put(name: str, text: bytes = b"{}") -> Callable[[Forger], object]:
    def forge(it: Forger) -> None:
        (it.path / name).parent.mkdir(exist_ok=True)
        (it.path / name).write_bytes(text)

    return forge


def nearly_flat(it: Forger) -> None:
    it.rows(FLICKER, lambda rows: [row.update(value=0.99 + 1e-9 * i) for i, row in enumerate(rows)])


DETAILS: dict[str, tuple[Callable[[Forger], object], str]] = {
    # boards sort dates as text
    "week for a date": (session(ended="2026-W03-6"), "no ISO 8601 time such as"),
    "date without hyphens": (session(ended="20260131T101010"), "no ISO 8601 time such as"),
    "row of a week": (lambda it: it.first(PSNR, ended="2026-W03-6"), "no ISO 8601 time such as"),
    "before there were videos": (session(ended="0001-01-01T00:00:00+14:00"), "before there was anything to run"),
    "first of all": (lambda it: it.first("generations.jsonl", ended="1970-01-01T00:00:00Z"), "before there was"),
    # readers know rows by their keys, and find videos by their names
    "one key for all videos": (same_key("generations.jsonl"), "generations.jsonl:2 has the key"),
    "one key for all scores": (same_key(PSNR), "first_frame_psnr.jsonl:2 has the key"),
    "one file for two videos": (one_file("a.mp4", "a.mp4"), "generations.jsonl:2 has the video 'a.mp4' of another row"),
    "one file on some disks": (one_file("a.mp4", "A.mp4"), "has the video 'a.mp4' of another row"),
    "nearly the same for all": (nearly_flat, "no metric says the same of so many videos"),
    # files that no submission has
    "file of data": (put("badges.json"), "'badges.json' is no part of a submission"),
    "rows among the videos": (put("videos/more.jsonl"), "'videos/more.jsonl' is no part of a submission"),
    "note among the scores": (put("scores/README.md", b"# Read me"), "is no part of a submission"),
    "video among the scores": (put("scores/more.mp4", b"\0\0\0\x18ftypmp42"), "is no part of a submission"),
    # words
    "badge with a hyphen": (lambda it: it.said(title="VAP, re-computed"), "the board's own to say"),
    "maintainers": (lambda it: it.said(submitter="The vapbench maintainers"), "the board's own to say"),
    "human study": (lambda it: it.said(licence="Human study"), "the board's own to say"),
    "badge as a parameter": (parameter("badge", "recomputed"), "manifest.json identity"),
    "badge as a parameter's name": (parameter("officially_verified", True), "the board's own to say"),
    "space that shows a line": (lambda it: it.said(title="V\u1680AP"), "U+1680"),
    "mark over what stands before": (lambda it: it.said(title="\u0338VAP"), "U+0338 on no letter"),
    "mark after a space": (lambda it: it.said(note="as \u20d2 shown"), "U+20D2 on no letter"),
}  # fmt: skip


@pytest.mark.parametrize("name", DETAILS)
def test_check_refuses(name: str, forger: Forger, rosters: Rosters) -> None:
    forge, reason = DETAILS[name]
    forge(forger)
    problems = check_submission(forger.path, rosters)
    assert any(reason in problem for problem in problems), problems


@pytest.mark.parametrize(
    "text",
    ["Stra\u00dfe", "Nguy\u1ec5n", "\u0e17\u0e35\u0e48", "\u05d0\u05b8\u05d1", "\u0939\u093f\u0928\u094d\u0926\u0940"],
)
def test_letters_of_any_script_and_their_marks_pass(text: str, forger: Forger, rosters: Rosters) -> None:
    forger.said(title=text)
    assert check_submission(forger.path, rosters) == []


def test_a_row_says_the_size_of_its_clip(forger: Forger, rosters: Rosters) -> None:
    """Tables say whose clips are not of the suite's size, by their rows."""
    (forger.path / "videos").mkdir()
    rows = [json.loads(line) for line in (forger.path / "generations.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        path = forger.path / "videos" / row["video"]
        if number < 2:
            write_video(path, Clip(np.full((3, 32, 48, 3), 90 + number, np.uint8), 8.0))
        else:
            # A box of another name in each: the same frames, and bytes of its own.
            first = forger.path / "videos" / rows[0]["video"]
            box = b"free" + str(number).encode()
            path.write_bytes(first.read_bytes() + (len(box) + 4).to_bytes(4) + box)
        row["sha256"] = file_sha256(path)
    made = {row["case"]: row["sha256"] for row in rows}
    forger.json("submission.json", lambda said: [it.update(sha256=made[it["case"]]) for it in said["outputs"]])
    forger.all_rows(
        lambda them: [
            row.update({k: made[row["case"]] for k in ("sha256", "video_sha256") if k in row}) for row in them
        ]
    )
    assert check_submission(forger.path, rosters) == []
    forger.first("generations.jsonl", frames=13, height=64, width=48)
    assert [it.partition(" has ")[2] for it in check_submission(forger.path, rosters)] == [
        "3 frames, its row says 13",
        "32 rows of pixels, its row says 64",
    ]


def test_times_and_notes_of_a_verified_submission_move_no_figure_and_no_remark(forger: Forger, results: Path) -> None:
    home = forger.path.parents[1]

    def shown() -> tuple[object, list[str]]:
        (board,) = (it for it in collect([results], Leaderboard(home)).boards if it.suite == "mini")
        return plot_of(board, board.tables[-1]), [remark.line for remark in board.tables[-1].remarks]

    shutil.move(forger.path, home / "away")
    before = shown()
    shutil.move(home / "away", forger.path)
    note = {"kind": "vap was run wrongly", "text": "see our page"}
    forger.rows("generations.jsonl", lambda rows: [row.update(seconds=1e-9, notes=[note]) for row in rows])
    said = {"badge": "recomputed", "submission": submission_digest(forger.path)}
    (home / "badges.json").write_text(json.dumps({"runs": {"mini/mine": said}}))
    assert shown() == before
