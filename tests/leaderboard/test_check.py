"""Specification of submissions: what passes, and what is refused for which reason."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.refusals import refuses
from vapbench.cli import app
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.leaderboard.check import check_submission, check_submissions
from vapbench.leaderboard.pack import pack
from vapbench.leaderboard.roster import Rosters
from vapbench.leaderboard.site import build
from vapbench.leaderboard.submission import read_submission
from vapbench.report.tables.summary import summarise
from vapbench.results.run import RunFolder
from vapbench.validation.declarations import check_target

from .conftest import HOSTILE, Board, cases, held_out


@pytest.fixture
def submission(board: Board) -> Path:
    """A submission as ``pack`` makes it."""
    run = board.runs.write("vap", held_out(0.6))
    out = board.home / "submissions" / "mine"
    pack(run.path, out, submitter="A Lab", contact="bench@example.org", licence="CC-BY-4.0")
    return out


def edit(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def lacking(said: Any) -> None:
    """Without two fields, and with a third that is wrong."""
    del said["title"], said["licence"]
    said["contact"] = "me"


def edit_row(path: Path, **changes: Any) -> None:
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | changes), *rest]) + "\n")


def edit_case(path: Path, **changes: Any) -> None:
    edit(path, lambda manifest: next(iter(manifest["cases"].values())).update(changes))


def bomb() -> bytes:
    """Ten megabytes in ten kilobytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"\0" * (10 << 20))
    return buffer.getvalue()


def test_what_pack_makes_passes_and_stands_on_the_board(board: Board, submission: Path) -> None:
    assert check_submissions(submission) == {submission: []}
    assert check_submissions(submission.parent) == {submission: []}
    text = "".join(path.read_text() for path in submission.rglob("*.json*"))
    assert str(board.runs.root) not in text and '"host"' not in text and '"argv"' not in text
    board.build()
    page = board.page("method/mini/mine-submitted.html")
    assert "self-reported" in page and "A Lab" in page and "CC-BY-4.0" in page


HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "symbolic link": (lambda s: (s / "notes.md").symlink_to("/etc/passwd"), "symbolic link, which may lead outside"),
    "linked folder": (lambda s: (s / "videos").rename(s / "v2") and (s / "videos").symlink_to("/etc"), "symbolic link"),
    "zip bomb": (lambda s: (s / "videos" / "all.zip").write_bytes(bomb()), "archives are never unpacked"),
    "zip bomb as video": (lambda s: (s / "videos" / "a.mp4").write_bytes(bomb()), "archives are never unpacked"),
    "script": (
        lambda s: (s / "run.py").write_text("import os"),
        "a submission holds .avi, .gif, .json, .jsonl, .md, .mkv, .mov, .mp4, .png, .webm, .webp alone",
    ),
    "no video": (lambda s: (s / "videos" / "a.mp4").write_bytes(b"<html>" * 9), "is no MP4 file"),
    "name": (lambda s: (s / "videos" / "a b;rm -rf.mp4").write_bytes(b""), "must be 1 to 160 letters"),
    "deep": (lambda s: (s / "videos" / "more").mkdir(), "only the folders videos/ and scores/"),
    "pipe": (lambda s: os.mkfifo(s / "pipe.md"), "is no regular file"),
    "large": (lambda s: os.truncate(s / "manifest.json", 20 << 20), "more than the 4 MiB"),
    "stray video": (lambda s: (s / "videos" / "b.mp4").write_bytes(b"\0\0\0\x18ftypisom"), "belongs to no row"),
    "other video": (
        lambda s: next((s / "videos").iterdir()).open("ab").write(b"\0"),
        "is not the file that was scored",
    ),
    "no submission": (lambda s: (s / "submission.json").unlink(), "submission.json"),
    "no manifest": (lambda s: (s / "manifest.json").unlink(), "manifest.json"),
    "deep json": (lambda s: (s / "manifest.json").write_text("[" * 200_000), "not valid JSON"),
    "caption": (
        lambda s: edit_case(s / "manifest.json", caption=HOSTILE),
        "holds markup or a script",
    ),
    "title": (lambda s: edit(s / "submission.json", lambda m: m.update(title="<b>best</b>")), "holds markup"),
    "reversed": (lambda s: edit(s / "submission.json", lambda m: m.update(title="a\u202eb")), "U+202E"),
    "absolute path": (
        lambda s: edit_case(s / "manifest.json", reference="/etc/passwd"),
        "is not a path inside the folder",
    ),
    "home": (
        lambda s: edit_case(s / "manifest.json", media="~/data"),
        "is a folder of one machine",
    ),
    "case name": (
        lambda s: edit(s / "manifest.json", lambda m: m["cases"].update({"../../x": {"condition": "a"}})),
        "must be 1 to 160 letters",
    ),
    "video path": (lambda s: edit_row(s / "generations.jsonl", video="../../../etc/passwd"), "without a path"),
    "absolute video": (lambda s: edit_row(s / "generations.jsonl", video="/etc/passwd"), "without a path"),
    "hash": (
        lambda s: edit(s / "submission.json", lambda m: m["outputs"][0].update(sha256="0" * 64)),
        "the hashes in submission.json and generations.jsonl differ",
    ),
    "two outputs": (
        lambda s: edit(s / "submission.json", lambda m: m["outputs"].append(m["outputs"][0])),
        "one per case and seed",
    ),
    "best of two": (
        lambda s: (s / "generations.jsonl").write_text(
            (t := (s / "generations.jsonl").read_text())
            + json.dumps(json.loads(t.splitlines()[0]) | {"sha256": "1" * 64, "key": "k"})
            + "\n"
        ),
        "one is allowed",
    ),
    "case left out": (
        lambda s: (s / "generations.jsonl").write_text(
            "".join(f"{x}\n" for x in (s / "generations.jsonl").read_text().splitlines()[1:])
        ),
        "nothing was generated for",
    ),
    "seed": (lambda s: edit(s / "submission.json", lambda m: m.update(seeds=[7])), "is not among its seeds"),
    "contact": (lambda s: edit(s / "submission.json", lambda m: m.update(contact="call me")), "neither an e-mail"),
    "several": (
        lambda s: edit(s / "submission.json", lacking),
        "title, licence: fields required; contact: is neither an e-mail",
    ),
    "licence": (lambda s: edit(s / "submission.json", lambda m: m.update(licence="")), "licence"),
    "repository": (
        lambda s: edit(
            s / "submission.json", lambda m: m.update(code={"repository": "javascript:alert(1)", "commit": "abcdef1"})
        ),
        "repository",
    ),
    "unknown field": (lambda s: edit(s / "submission.json", lambda m: m.update(rank=1)), "rank"),
    "id": (lambda s: edit(s / "submission.json", lambda m: m.update(id="other")), "they must be equal"),
    "score": (
        lambda s: edit_row(next((s / "scores").iterdir()), value="1e9"),
        "an ok score is a finite number",
    ),
    "infinite score": (lambda s: edit_row(next((s / "scores").iterdir()), value=float("inf")), "finite number"),
    "failed score": (
        lambda s: edit_row(next((s / "scores").iterdir()), status="failed", value=0.0),
        "a missing score is null",
    ),
}


@pytest.mark.parametrize("name", HARM)
def test_it_is_refused_with_a_reason(submission: Path, name: str) -> None:
    harm, reason = HARM[name]
    harm(submission)
    problems = check_submission(submission)
    assert any(reason in problem for problem in problems), problems


def test_a_refused_submission_is_left_out_and_moves_no_number(board: Board, submission: Path, tmp_path: Path) -> None:
    away = submission.rename(tmp_path / "away")
    board.build()
    without = {path.relative_to(board.site): path.read_text() for path in sorted((board.site / "data").iterdir())}
    away.rename(submission)
    (submission / "run<b>.py").write_text("import os")
    built = build(board.results, board.home, board.site)
    assert [it.name for it in built.left_out] == [submission.name] and "run<b>.py" in built.left_out[0].why
    for page in ("index.html", "changes.html"):
        shown = board.page(page)
        assert "Not shown, because" in shown and "run&lt;b&gt;.py" in shown and "run<b>" not in shown
    assert {
        path.relative_to(board.site): path.read_text() for path in sorted((board.site / "data").iterdir())
    } == without
    (submission / "run<b>.py").unlink()
    assert build(board.results, board.home, board.site).left_out == ()
    assert "Not shown, because" not in board.page("index.html")


def test_what_is_no_submission_says_its_kind_and_field(submission: Path, tmp_path: Path) -> None:
    with refuses(UsageError, ErrorKind.MISSING, "folder", "leaderboard pack"):
        check_submissions(tmp_path / "nowhere")
    manifest = submission / "submission.json"
    edit(manifest, lambda m: m.pop("title"))
    with refuses(DataError, ErrorKind.MISSING, "title", "title: field required"):
        read_submission(submission)
    manifest.write_text("{")
    with refuses(DataError, ErrorKind.DAMAGED, "submission.json", manifest):
        read_submission(submission)
    manifest.unlink()
    with refuses(DataError, ErrorKind.MISSING, "submission.json", manifest):
        read_submission(submission)
    with refuses(DataError, ErrorKind.UNKNOWN, "suite", "minni", "vapbench list suites"):
        Rosters().of("minni")
    with refuses(DataError, ErrorKind.MISSING, "data", "vap-data", "--data"):
        Rosters().of("vap-data")


def test_the_command_warns_and_fails_only_where_it_is_told_to(board: Board, submission: Path) -> None:
    (submission / "run.py").write_text("import os")
    command = ["leaderboard", "build", "--results", str(board.results), "--leaderboard", str(board.home), "--no-videos"]
    lenient, strict = (CliRunner().invoke(app, [*command, *more]) for more in ([], ["--strict"]))
    assert (lenient.exit_code, strict.exit_code) == (0, 3)
    assert f"Not shown: {submission.name}, because" in lenient.stderr and "leaderboard check" in lenient.stderr
    assert (board.site / "index.html").is_file()


def test_a_submission_that_stops_passing_is_noted_in_the_changelog(board: Board, submission: Path) -> None:
    board.build()
    (submission / "run.py").write_text("import os")
    board.build()
    last = json.loads((board.home / "changelog.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["run"], last["why"]) == ("withdrawn", submission.name, "it no longer passes the check")


def test_a_submission_cannot_take_the_name_and_the_badge_of_another_run(board: Board, submission: Path) -> None:
    (board.home / "badges.json").write_text('{"runs": {"mini/vap": {"badge": "reproduced", "regenerated": 12}}}')
    board.build()
    namesake = submission.rename(submission.with_name("vap"))
    edit(namesake / "submission.json", lambda said: said.update(id="vap"))
    assert check_submission(namesake) == []
    (left_out,) = build(board.results, board.home, board.site).left_out
    assert left_out.name == "vap" and "has the name of vap" in left_out.why
    assert left_out.namesake
    words = ["leaderboard", "build", "--results", str(board.results), "--leaderboard", str(board.home), "--no-videos"]
    assert "--results results" in " ".join(CliRunner().invoke(app, words).output.split()), "it may be the run it is of"


def test_a_score_too_large_to_be_squared_is_refused_and_keeps_no_table_from_others(
    board: Board, submission: Path
) -> None:
    rows = submission / "scores" / "temporal_flickering.jsonl"
    edit_row(rows, value=1e200)
    assert any("outside the range of temporal_flickering" in problem for problem in check_submission(submission))
    (cell,) = summarise([RunFolder(submission)], "zero-shot")[0].cells[0]
    assert (cell.n, cell.missing) == (11, 1), "a row that cannot be is no row"


def test_results_are_held_to_the_same_rules(board: Board) -> None:
    run = board.runs.write("vap", cases(0.6))
    assert all(finding.ok for finding in check_target(str(run.path)))
    edit(run.manifest_path, lambda m: m["cases"]["case-0"].update(caption=HOSTILE))
    assert any("markup" in finding.problem for finding in check_target(str(run.path)))
    edit(run.manifest_path, lambda m: m["cases"]["case-0"].update(caption="Plain."))
    edit_row(run.scores_path("temporal_flickering"), status="failed", value=0.0)
    assert any("never a number" in finding.problem for finding in check_target(str(run.path)))


def test_pack_refuses_what_it_cannot_vouch_for(board: Board, submission: Path) -> None:
    run = board.results / "mini" / "vap"
    said: dict[str, Any] = {"submitter": "A Lab", "contact": "bench@example.org", "licence": "CC-BY-4.0"}
    with refuses(UsageError, ErrorKind.CONFLICT, "out"):
        pack(run, submission, **said)
    with refuses(UsageError, ErrorKind.INVALID, "licence"):
        pack(run, board.home / "submissions" / "x", **{**said, "licence": ""})
    video = next((run / "videos").iterdir())
    video.write_bytes(b"another")
    with refuses(DataError, ErrorKind.CONFLICT, "videos", "--no-videos"):
        pack(run, board.home / "submissions" / "x", **said)
    video.unlink()
    with refuses(DataError, ErrorKind.MISSING, "videos", "git keeps rows", "--no-videos"):
        pack(run, board.home / "submissions" / "x", **said)
    pack(run, board.home / "submissions" / "x", **said, videos=False)
    assert check_submission(board.home / "submissions" / "x") == []
