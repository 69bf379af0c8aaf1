"""Specification of rescoring: an honest submission is ranked after it, a forged one is named for what it is."""

from __future__ import annotations

import http.client
import io
import json
import re
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import vapbench as vb
from tests.refusals import refuses
from vapbench.cli import app
from vapbench.core.clip import Clip, Frames
from vapbench.core.video import read_video, write_video
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import file_sha256
from vapbench.files.download import download
from vapbench.files.public_web import public_opener
from vapbench.leaderboard.boards import Leaderboard
from vapbench.leaderboard.check import check_submission
from vapbench.leaderboard.collecting import collect
from vapbench.leaderboard.likeness import ALIKE, Gallery, Known, Likeness, difference, small
from vapbench.leaderboard.pack import pack
from vapbench.leaderboard.rescore import Rescored, rescore, write_badge
from vapbench.leaderboard.roster import Rosters
from vapbench.leaderboard.submission import submission_digest
from vapbench.leaderboard.views import groups_of

METRICS = ["first_frame_psnr", "temporal_flickering"]
ALL = sorted(name for name, case in Rosters().of("mini").cases.items() if "zero-shot" in case.tasks)
CASES = ALL[:4]


@pytest.fixture(scope="module")
def rosters() -> Rosters:
    return Rosters()


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, rosters: Rosters) -> Path:
    """Videos of a method that turns the left half of the truth into its negative, scored and packed."""
    return packed(tmp_path_factory.mktemp("honest"), CASES, rosters)


def packed(root: Path, cases: Sequence[str], rosters: Rosters) -> Path:
    (root / "videos").mkdir()
    for name in cases:
        target = rosters.of("mini").media[name].target
        assert target is not None
        clip = read_video(target.path)
        frames = clip.frames.copy()
        frames[:, :, : frames.shape[2] // 2] = 255 - frames[:, :, : frames.shape[2] // 2]
        write_video(root / "videos" / f"{name}.mp4", Clip(frames, clip.fps))
    scored = vb.score(
        root / "videos",
        suite="mini",
        task="zero-shot",
        metrics=METRICS,
        name="mine",
        results=root / "runs",
        progress=False,
    )
    said: dict[str, Any] = {"submitter": "A Lab", "contact": "bench@example.org", "licence": "CC-BY-4.0"}
    pack(scored.path, root / "mine", **said, roster=rosters.of("mini"))
    return root / "mine"


@pytest.fixture
def home(honest: Path, tmp_path: Path) -> Leaderboard:
    """A leaderboard to which it was sent."""
    shutil.copytree(honest, tmp_path / "board" / "submissions" / "mine")
    return Leaderboard(tmp_path / "board")


@pytest.fixture
def larger(tmp_path: Path, rosters: Rosters) -> Leaderboard:
    """A leaderboard to which one with more videos was sent, so that a sample can be drawn."""
    (tmp_path / "run").mkdir()
    shutil.copytree(packed(tmp_path / "run", ALL, rosters), tmp_path / "board" / "submissions" / "mine")
    return Leaderboard(tmp_path / "board")


def mine(home: Leaderboard) -> Path:
    return home.submissions / "mine"


def rows(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    read = [json.loads(line) for line in path.read_text().splitlines()]
    for row in read:
        change(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in read))


def replace_video(folder: Path, case: str, source: Path) -> None:
    """Another video in place of a case's, with its hash wherever one stands: the check finds nothing."""
    made = [json.loads(line) for line in (folder / "generations.jsonl").read_text().splitlines()]
    (old,) = (row for row in made if row["case"] == case)
    shutil.copyfile(source, folder / "videos" / old["video"])
    new = file_sha256(source)
    for path in [*folder.glob("*.json*"), *(folder / "scores").iterdir()]:
        path.write_text(path.read_text().replace(old["sha256"], new))


def group_of(home: Leaderboard, results: Path) -> str:
    """Among which rows the submission stands."""
    (board,) = (board for board in collect([results], home).boards if board.suite == "mini")
    groups = groups_of(board, board.tables[-1])
    (found,) = (group.name for group in groups if "mine" in [line.label for line in group.lines])
    return found


def command(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": "200"})
    return done.exit_code, " ".join(done.output.split())


def test_the_honest_one_goes_the_whole_way(home: Leaderboard, tmp_path: Path) -> None:
    place = ("--leaderboard", home.path)
    assert command("leaderboard", "check", mine(home))[0] == 0
    assert group_of(home, tmp_path) == "reported", "before anybody looked"
    code, said = command("leaderboard", "rescore", mine(home), *place, "--device", "cpu")
    assert code == 0 and "4 of 4 videos" in said and "all 8 scores agree" in said and "recomputed" in said
    attested = json.loads((home.path / "badges.json").read_text())["runs"]["mini/mine"]
    assert attested["badge"] == "recomputed" and len(attested["submission"]) == 64
    assert group_of(home, tmp_path) == "measured"
    code, _ = command("leaderboard", "build", *place, "--results", tmp_path / "none", "--no-videos")
    page = (home.path / "site" / "method" / "mini" / "mine-submitted.html").read_text()
    assert code == 0 and "recomputed" in page and "4 of 4 videos" in page and "self-reported" not in page


def test_a_row_that_says_another_size_than_its_clip_is_a_difference(home: Leaderboard, rosters: Rosters) -> None:
    """Of videos under a link nobody but rescore sees the size, and tables say whose clips are not of the suite's."""
    away = home.path / "videos"
    shutil.move(mine(home) / "videos", away)
    rows(mine(home) / "generations.jsonl", lambda row: row.update(frames=14, fps=24.0))
    found = rescore(mine(home), rosters, home, sample=1, videos=away, device="cpu")
    assert {(it.what, it.theirs, it.ours) for it in found.differences} == {("frames", "14", "13"), ("fps", "24", "8")}
    assert not found.verified


def test_a_forged_one_is_found_and_stays_below(home: Leaderboard, tmp_path: Path) -> None:
    rows(mine(home) / "scores" / "first_frame_psnr.jsonl", lambda row: row.update(value=row["value"] + 1))
    assert check_submission(mine(home)) == [], "every number of it could be"
    code, said = command("leaderboard", "rescore", mine(home), "--leaderboard", home.path, "--device", "cpu")
    assert code == 3 and f"first_frame_psnr of {CASES[0]}, seed 0: submitted" in said
    assert json.loads((home.path / "badges.json").read_text())["runs"]["mini/mine"]["badge"] == "self-reported"
    assert group_of(home, tmp_path) == "reported"


def found(home: Leaderboard, rosters: Rosters, **options: Any) -> Rescored:
    return rescore(mine(home), rosters, home, device="cpu", **options)


def test_a_failure_that_is_none_is_found(home: Leaderboard, rosters: Rosters) -> None:
    rows(
        mine(home) / "scores" / "first_frame_psnr.jsonl",
        lambda row: (
            row.update(status="failed", value=None, failure={"type": "E", "message": "no"})
            if row["case"] == CASES[3]
            else None
        ),
    )
    (difference_found,) = found(home, rosters).differences
    assert difference_found.theirs == "failed" and difference_found.case == CASES[3]


@pytest.mark.parametrize("role", ["ground truth", "reference"])
def test_a_copy_is_known_however_it_was_encoded(role: str, home: Leaderboard, rosters: Rosters, tmp_path: Path) -> None:
    case = rosters.of("mini").media[CASES[0]]
    video = case.target if role == "ground truth" else case.reference.video
    assert video is not None
    clip = read_video(video.path)
    copied = tmp_path / "copy.mp4"
    write_video(copied, Clip(np.ascontiguousarray(clip.frames[:, :, ::-1] // 2 + 30), clip.fps))
    replace_video(mine(home), CASES[0], copied)
    assert check_submission(mine(home), rosters) == [], "no hash knows it"
    result = found(home, rosters)
    assert f"the {role} of {CASES[0]}" in {copy.what for copy in result.copies} and not result.verified
    write_badge(home, result)
    command("leaderboard", "build", "--leaderboard", home.path, "--results", tmp_path / "none", "--no-videos")
    page = (home.path / "site" / "method" / "mini" / "mine-submitted.html").read_text()
    assert "not ranked: 4 of its 4 videos scored anew, 1 is a copy, and 2 values differ." in page
    assert "nobody has computed" not in page


def test_outputs_that_are_one_another_s_are_known(home: Leaderboard, rosters: Rosters, tmp_path: Path) -> None:
    made = [json.loads(line) for line in (mine(home) / "generations.jsonl").read_text().splitlines()]
    video = next(mine(home) / "videos" / row["video"] for row in made if row["case"] == CASES[1])
    clip = read_video(video)
    again = tmp_path / "again.mp4"
    write_video(again, Clip(np.clip(clip.frames.astype(int) + 3, 0, 255).astype(np.uint8), clip.fps))
    replace_video(mine(home), CASES[3], again)
    (copy,) = found(home, rosters).copies
    assert copy.what == f"that of {CASES[1]}, seed 0" and "of 255 levels apart" in copy.how


def test_another_submission_s_videos_are_known(home: Leaderboard, rosters: Rosters) -> None:
    other = Path(shutil.copytree(mine(home), home.submissions / "other"))
    said = json.loads((other / "submission.json").read_text())
    (other / "submission.json").write_text(json.dumps({**said, "id": "other"}))
    assert found(home, rosters).verified, "nobody has verified the other: its copy takes nothing from this one"
    write_badge(home, Rescored("mini", "other", submission_digest(other), videos=4, of=4, rows=8))
    copies = found(home, rosters).copies
    assert len(copies) == 4 and copies[0].what.startswith("that of other for") and copies[0].how == "the same file"


def test_the_run_that_was_packed_is_no_other(home: Leaderboard, honest: Path) -> None:
    result = found(home, Rosters([honest.parent / "runs"]))
    assert result.verified and not result.noted, "a submitter has it beside the submission"
    # Nor does a copy of it pass unseen: whoever names our run's method and has its files may never have run it.
    assert "same 4 videos are files of our own run mine" in "\n".join(result.lines())
    write_badge(home, result)
    assert home.attested()["mini/mine"].equal == 4


def test_another_run_s_videos_are_only_noted(larger: Leaderboard, tmp_path: Path) -> None:
    other = tmp_path / "run" / "runs"
    (manifest,) = other.glob("mini/*/manifest.json")
    document = json.loads(manifest.read_text())
    document["identity"]["version"] = 7
    manifest.write_text(json.dumps(document))
    result = found(larger, Rosters([other]))
    assert result.verified and len(result.noted) == 12, "whoever runs our weights makes our videos"
    said = list(result.lines())
    assert len([line for line in said if line.startswith("note ")]) == 10 and "     … and 2 more" in said


def test_scores_that_are_all_a_little_better_are_found(larger: Leaderboard, rosters: Rosters) -> None:
    """Each is within the tolerance; together they are no rounding."""
    rows(mine(larger) / "scores" / "temporal_flickering.jsonl", lambda row: row.update(value=row["value"] - 4e-4))
    result = found(larger, rosters)
    assert not result.differences and not result.verified
    assert "on average 4.0e-04 of its range below ours" in "\n".join(result.lines())


def test_a_remark_that_the_metric_does_not_make_is_found(home: Leaderboard, rosters: Rosters) -> None:
    """Tables count such remarks, under everybody's rows."""
    rows(mine(home) / "scores" / "temporal_flickering.jsonl", lambda row: row.update(kind="vap was wrong"))
    assert len(found(home, rosters).differences) == 4


@pytest.mark.slow
def test_a_sample_is_drawn_by_the_submission_s_hash(larger: Leaderboard, rosters: Rosters) -> None:
    drawn = found(larger, rosters, sample=9)
    assert (drawn.videos, drawn.of, drawn.rows) == (9, 12, 18)
    assert drawn == found(larger, rosters, sample=9), "the same submission, the same draw"


def test_a_sample_is_large_enough_to_see_scores_that_are_all_to_one_side(larger: Leaderboard, rosters: Rosters) -> None:
    rows(mine(larger) / "scores" / "temporal_flickering.jsonl", lambda row: row.update(value=row["value"] - 4e-4))
    drawn = found(larger, rosters, sample=3)
    assert drawn.videos == 8 and not drawn.verified


def test_what_is_attested_of_another_run_is_not_written_over(home: Leaderboard) -> None:
    (home.path / "badges.json").write_text('{"runs": {"mini/mine": {"badge": "reproduced", "regenerated": 12}}}')
    with refuses(DataError, ErrorKind.CONFLICT, "badges.json", "mini/mine"):
        write_badge(home, Rescored("mini", "mine", "a" * 64, videos=12, of=12, rows=24))
    assert home.attested()["mini/mine"].regenerated == 12


@pytest.fixture
def served(home: Leaderboard, tmp_path: Path) -> Iterator[Path]:
    """The videos on a server, and only a link to them in the submission."""
    away = (mine(home) / "videos").rename(tmp_path / "away")
    handler = partial(SimpleHTTPRequestHandler, directory=away)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = json.loads((mine(home) / "submission.json").read_text())
        link = f"http://127.0.0.1:{server.server_address[1]}/"
        (mine(home) / "submission.json").write_text(json.dumps({**said, "videos": link}))
        yield away
        server.shutdown()


def test_videos_are_fetched_from_a_link_and_held_to_their_hash(
    served: Path, home: Leaderboard, rosters: Rosters
) -> None:
    first = sorted(served.iterdir())[0]
    first.write_bytes(first.read_bytes() + b"\0")
    with refuses(DataError, ErrorKind.CONFLICT, "sha256"):
        found(home, rosters, local_links=True)
    first.write_bytes(first.read_bytes()[:-1])
    result = found(home, rosters, local_links=True)
    assert result.verified and result.videos == 4


LINKS = {
    "http://127.0.0.1:9/": "127.0.0.1, which is no public address",
    "http://localhost:9/": "which is no public address",
    "http://[::1]:9/": "::1, which is no public address",
    "http://[::ffff:10.0.0.1]/": "10.0.0.1, which is no public address",
    "http://169.254.169.254/latest/": "169.254.169.254, which is no public address",
    "http://192.168.1.1/": "192.168.1.1, which is no public address",
    "https://10.1.2.3/": "10.1.2.3, which is no public address",
    "http://0.0.0.0/": "0.0.0.0, which is no public address",
    "http://2130706433/": "127.0.0.1, which is no public address",
}


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_to_no_private_address(link: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=re.escape(LINKS[link])):
        download(link, tmp_path / "video", opener=public_opener())


def test_a_link_of_a_submission_is_followed_to_public_addresses_alone(
    served: Path, home: Leaderboard, rosters: Rosters
) -> None:
    with refuses(DataError, ErrorKind.UNREACHABLE, "videos", "no public address", "--videos DIR"):
        found(home, rosters)


def test_a_redirect_leads_to_no_private_address_and_to_no_other_scheme(tmp_path: Path) -> None:
    opener = public_opener()
    for place in ("http://127.0.0.1:9/", "ftp://127.0.0.1/", "file:///etc/hostname"):
        response = http.client.HTTPMessage()
        response["Location"] = place
        request = urllib.request.Request("http://example.org/")
        request.timeout = 1
        with pytest.raises((OSError, urllib.error.URLError)):
            opener.error("http", request, io.BytesIO(), 302, "Found", response)


def test_a_slow_server_is_left(
    served: Path, home: Leaderboard, rosters: Rosters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vapbench.leaderboard.submitted_videos.LONGEST_FETCH", -1.0)
    with refuses(DataError, ErrorKind.LIMIT, "seconds", "--videos DIR"):
        found(home, rosters, local_links=True)


def test_rows_alone_cannot_be_scored(home: Leaderboard, rosters: Rosters) -> None:
    shutil.rmtree(mine(home) / "videos")
    with refuses(UsageError, ErrorKind.MISSING, "videos", "--videos DIR"):
        found(home, rosters)


def apart(one: Frames, other: Frames) -> float:
    return difference(small(one), small(other))


def edit(zoom: float = 1.0, right: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    """Zoomed, and moved by a share of the width."""
    matrix = cv2.getRotationMatrix2D((32, 32), 0, zoom)
    matrix[0, 2] += 64 * right
    return lambda frames: np.stack(
        [cv2.warpAffine(frame, matrix, (64, 64), borderMode=cv2.BORDER_REPLICATE) for frame in frames]
    )


EDITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "moved": edit(right=0.15),
    "zoomed and mirrored": lambda frames: edit(1.2)(frames)[:, :, ::-1],
    "recoloured": lambda frames: 255 * (frames[..., [2, 0, 1]] / 255) ** 1.4 * 0.8 + 20,
    "faster": lambda frames: frames[np.linspace(0, 10, len(frames)).round().astype(int)],
    "letterboxed": lambda frames: np.pad(
        np.stack([cv2.resize(frame, (64, 48), interpolation=cv2.INTER_AREA) for frame in frames]),
        ((0, 0), (8, 8), (0, 0), (0, 0)),
    ),
}


def test_a_copy_under_a_stamp_is_known(rosters: Rosters, tmp_path: Path) -> None:
    target = rosters.of("mini").media[CASES[1]].target
    assert target is not None
    frames = read_video(target.path).frames.copy()
    frames[:, 54:] = 20
    frames[:, 57:61, 5:40] = 240
    write_video(tmp_path / "stamped.mp4", Clip(frames, 8.0))
    frames = read_video(tmp_path / "stamped.mp4").frames
    assert apart(frames, read_video(target.path).frames) > ALIKE
    (found,) = Gallery([Known("it", target.sha256, target.path, CASES[1])]).likenesses("a", CASES[1], "0" * 64, frames)
    assert found.certain and "where it is not covered" in found.how


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_copy_is_known(name: str, rosters: Rosters, tmp_path: Path) -> None:
    targets = [target for case in CASES[:4] if (target := rosters.of("mini").media[case].target)]
    clip = read_video(targets[1].path)
    path = tmp_path / "edited.mp4"
    write_video(path, Clip(np.ascontiguousarray(np.clip(EDITS[name](clip.frames), 0, 255).astype(np.uint8)), 8.0))
    frames = read_video(path).frames
    assert min(apart(frames, read_video(target.path).frames) for target in targets) > ALIKE, "as it is, nobody knows it"
    known = [Known(str(n), target.sha256, target.path, CASES[n]) for n, target in enumerate(targets)]
    (found,) = Gallery(known).likenesses("mine", CASES[1], "0" * 64, frames)
    assert found.what == "1" and "left unexplained" in found.how and found.certain
    assert ("mirrored" in found.how) == ("mirrored" in name) and "backwards" not in found.how
    assert not list(Gallery(known).likenesses("mine", CASES[2], "0" * 64, frames)), "two scenes may be an edit apart"
    outputs = [replace(each, case="") for each in known]
    assert not list(Gallery(outputs).likenesses("mine", CASES[1], "0" * 64, frames)), "as are two seeds of one method"


def test_what_comes_near_another_is_noted_with_the_badge(home: Leaderboard, tmp_path: Path) -> None:
    near = Likeness("a.mp4", "the reference of x", "edited: 25% of it is left unexplained", certain=False)
    seen = Rescored("mini", "mine", submission_digest(mine(home)), videos=12, of=12, rows=24, noted=[near, near])
    seen.equal["vap"] = ["b.mp4", "c.mp4"]
    assert seen.verified and "note a.mp4 may be the reference of x" in "\n".join(seen.lines())
    write_badge(home, seen)
    assert group_of(home, tmp_path) == "measured" and home.attested()["mini/mine"].noted == 1
    command("leaderboard", "build", "--leaderboard", home.path, "--results", tmp_path / "none", "--no-videos")
    page = (home.path / "site" / "method" / "mini" / "mine-submitted.html").read_text()
    assert "12 of 12 videos; 1 comes near another video; 2 are files of our own run of this method" in page


def test_likeness(rosters: Rosters, honest: Path, tmp_path: Path) -> None:
    """Changes that leave a video what it is, and a method's own output of the same scene."""
    target = rosters.of("mini").media[CASES[0]].target
    assert target is not None
    truth = read_video(target.path).frames
    frames = truth.astype(int)
    changes = {
        "brighter": frames + 12,
        "flatter": frames * 0.7 + 20,
        "mirrored": frames[:, :, ::-1],
        "backwards": frames[::-1],
        "larger": frames.repeat(2, 1).repeat(2, 2),
        "noisy": frames + np.random.default_rng(0).integers(-8, 9, frames.shape),
    }
    for name, changed in changes.items():
        path = tmp_path / f"{name}.mp4"
        write_video(path, Clip(np.ascontiguousarray(np.clip(changed, 0, 255).astype(np.uint8)), 8.0))
        assert apart(read_video(path).frames, truth) <= ALIKE, name
    (own,) = (honest / "videos").glob(f"{CASES[0]}__*")
    assert apart(read_video(own).frames, truth) > 3 * ALIKE
