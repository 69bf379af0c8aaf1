"""``vapbench score DIR`` on folders as people have them."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests.conftest import moving_clip
from tests.videos import turned
from vapbench.cli import app
from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.results.rows import GenerationRow
from vapbench.results.run import RunFolder
from vapbench.suites import find_suite

FOLDERS = Path(__file__).parents[1] / "data" / "folders"


def vapbench(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def score(folder: Path, *arguments: object) -> Result:
    results = folder.parent / "results"
    return vapbench("score", folder, "--results", results, "--metric", "temporal_flickering", *arguments)


def rows(folder: Path, name: str = "outs", suite: str = "mini") -> list[GenerationRow]:
    return RunFolder(folder.parent / "results" / suite / name).current()


def value(result: Result) -> float:
    """The first value of the printed table."""
    found = re.search(r"\d+\.\d\d", result.stdout.split("n\n")[1])
    assert found
    return float(found[0])


@pytest.fixture(scope="module")
def cases() -> Sequence[Case]:
    return find_suite("mini").cases(None)[:6]


@pytest.fixture
def outs(tmp_path: Path, cases: Sequence[Case]) -> Path:
    """A folder with a good video for each of six cases."""
    folder = tmp_path / "outs"
    folder.mkdir()
    for number, case in enumerate(cases):
        write_video(folder / f"{case.id}.mp4", moving_clip(number, 13, 64, 64))
    return folder


def test_other_frame_rates_and_sizes_are_told_before_and_noted_on_every_row(tmp_path: Path) -> None:
    wanted = {
        "a": (97.43, "", ""),
        "b": (99.19, "39 frames, 24 fps instead of 13 frames, 8 fps", "39x64x64 at 24 fps"),
        "c": (None, "5 frames, 128x128 instead of 13 frames, 64x64", "5x128x128 at 8 fps"),
    }
    for name, (flickering, told, noted) in wanted.items():
        folder = Path(shutil.copytree(FOLDERS / name, tmp_path / name))
        done = score(folder, "--limit", 6)
        assert done.exit_code == 0, done.output
        assert f"{name}: 6 of 6 cases found\n" in done.stderr
        assert done.stderr.count(told) >= 6
        if flickering:
            assert value(done) == flickering
        note = f"the clip is {noted}; the suite asks for 13x64x64 at 8 fps" if noted else ""
        assert {row.note for row in rows(folder, name)} == {note}


def test_videos_of_any_suffix_and_case_are_found_and_links_followed(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDERS / "up", tmp_path / "up"))
    done = score(folder, "--limit", 3)
    assert done.exit_code == 0
    assert "up: 3 of 3 cases found" in done.stderr
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "run1").symlink_to(folder)
    linked = score(tmp_path / "link", "--limit", 3)
    assert "link: 3 of 3 cases found" in linked.stderr
    assert value(linked) == value(done)


def test_a_gallery_copied_from_a_mac_has_its_own_cases_alone(tmp_path: Path) -> None:
    gallery = FOLDERS / "gal"
    assert list(gallery.rglob("._*"))
    run = ("run", "--method", "frozen", "--suite", "gallery", "--data", gallery, "--results", tmp_path)
    done = vapbench(*run, "--metric", "temporal_flickering")
    assert done.exit_code == 0, done.output
    assert "2/2" in done.stdout


@pytest.mark.parametrize("form", ["{}.webm", "{}.M4V", "{}.MP4", "{}/out.mov", "{}__s0__0a1b2c3d.mkv", "中 文/{}.mp4"])
def test_folders_of_one_form(outs: Path, form: str) -> None:
    for video in list(outs.glob("*.mp4")):
        to = outs / form.format(video.stem)
        to.parent.mkdir(exist_ok=True)
        video.rename(to)
    done = score(outs, "--limit", 6)
    assert done.exit_code == 0, done.output
    assert "outs: 6 of 6 cases found\n" in done.stderr
    assert "6/6" in done.stdout


def test_bad_files_are_failed_rows_all_told_and_the_rest_is_scored(outs: Path, cases: Sequence[Case]) -> None:
    empty, cut, text, twice = (outs / f"{case.id}.mp4" for case in cases[:4])
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:2000])
    text.write_bytes(b"text" * 999)
    shutil.copy(twice, twice.with_suffix(".mov"))
    before = {path.name: path.stat().st_mtime_ns for path in outs.iterdir()}
    done = score(outs, "--limit", 6)
    assert done.exit_code == 1, done.output
    for path in (empty, cut, text, twice):
        assert path.name in done.stderr
    status = {row.case: row.status for row in rows(outs)}
    assert [status[case.id] for case in cases] == ["failed"] * 4 + ["ok"] * 2
    assert "2/6" in done.stdout
    assert {path.name: path.stat().st_mtime_ns for path in outs.iterdir()} == before
    assert score(outs, "--limit", 6, "-q").exit_code == 1, "as long as a file is bad"
    # A mended file is taken in by the same command.
    for number, path in enumerate((empty, cut, text)):
        write_video(path, moving_clip(number, 13, 64, 64))
    twice.unlink()
    again = score(outs, "--limit", 6)
    assert again.exit_code == 0, again.output
    assert "6/6" in again.stdout


def test_an_explicit_limit_of_failures_is_one(outs: Path, cases: Sequence[Case]) -> None:
    (outs / f"{cases[0].id}.mp4").write_bytes(b"")
    assert score(outs, "--limit", 6).exit_code == 1
    allowed = score(outs, "--limit", 6, "--max-failures", "1")
    assert allowed.exit_code == 0
    assert "5/6" in allowed.stdout


def test_a_moved_folder_resumes_and_changed_videos_alone_are_taken_anew(outs: Path, cases: Sequence[Case]) -> None:
    assert score(outs, "--limit", 6).exit_code == 0
    made = {row.case: row.ended for row in rows(outs)}
    moved = outs.parent / "elsewhere" / "outs"
    moved.parent.mkdir()
    outs.rename(moved)
    (moved.parent / "results").symlink_to(outs.parent / "results")
    assert score(moved, "--limit", 6).exit_code == 0
    assert {row.case: row.ended for row in rows(outs)} == made
    write_video(moved / f"{cases[0].id}.mp4", moving_clip(50, 13, 64, 64))
    assert score(moved, "--limit", 6).exit_code == 0
    changed = [case for case, ended in {row.case: row.ended for row in rows(outs)}.items() if ended != made[case]]
    assert changed == [cases[0].id]


def test_another_folder_of_the_same_name_is_refused(outs: Path, cases: Sequence[Case]) -> None:
    assert score(outs, "--limit", 6).exit_code == 0
    other = outs.parent / "other" / "outs"
    other.mkdir(parents=True)
    (other.parent / "results").symlink_to(outs.parent / "results")
    for number, case in enumerate(cases):
        write_video(other / f"{case.id}.mp4", moving_clip(90 + number, 13, 64, 64))
    refused = score(other, "--limit", 6)
    assert "holds the scores of other videos" in str(refused.exception)
    named = score(other, "--limit", 6, "--name", "theirs")
    assert named.exit_code == 0, named.output
    # All made again in the same place: the same folder.
    for number, case in enumerate(cases):
        write_video(outs / f"{case.id}.mp4", moving_clip(70 + number, 13, 64, 64))
    assert score(outs, "--limit", 6).exit_code == 0


def test_a_dry_run_says_all_of_it_and_does_nothing(outs: Path, cases: Sequence[Case]) -> None:
    (outs / f"{cases[0].id}.mp4").write_bytes(b"")
    (outs / f"{cases[1].id}.mp4").rename(outs / f"my_{cases[1].id}.mp4")
    told = score(outs, "--limit", 6, "--metric", "text_alignment", "--dry-run")
    assert told.exit_code == 0
    assert f"outs: 5 of 6 cases found; missing: {cases[1].id}\n" in told.stdout
    assert f"{cases[0].id}.mp4: the file is empty" in told.stdout
    assert f"did you mean {cases[1].id}?" in told.stdout
    assert "temporal_flickering: 5 videos to score" in told.stdout
    assert re.search(r"text_alignment\S* +lacks ", told.stdout)
    document = json.loads(score(outs, "--limit", 6, "--metric", "text_alignment", "--dry-run", "--json").stdout)
    assert document["preflight"]["missing"] == [cases[1].id]
    kinds = {problem["file"]: problem["kind"] for problem in document["preflight"]["problems"]}
    assert kinds == {f"{cases[0].id}.mp4": "damaged", f"my_{cases[1].id}.mp4": "no case"}
    lacks = {column["column"]: column["lacks"] for column in document["columns"]}
    assert lacks["temporal_flickering"] == []
    assert any(lacks.values())
    assert not (outs.parent / "results").exists()


def test_many_problems_of_a_kind_are_cut_short_but_with_v(outs: Path) -> None:
    for number in range(37):
        (outs / f"clip {number:02}.mp4").write_bytes(b"x")
    short = score(outs, "--limit", 6, "--dry-run").stdout
    assert short.count("    clip ") == 10
    assert "and 27 more; -v lists all" in short
    assert score(outs, "--limit", 6, "--dry-run", "-v").stdout.count("    clip ") == 37


def test_of_many_files_alike_one_is_told_and_the_odd_one_is_not_lost(outs: Path) -> None:
    every = find_suite("mini").cases(None)[:15]
    for case in every:
        write_video(outs / f"{case.id}.mp4", moving_clip(0, 13, 64, 64, 24))
    write_video(outs / f"{every[-1].id}.mp4", moving_clip(0, 13, 128, 128))
    told = score(outs, "--limit", 15, "--dry-run").stdout
    assert f"{every[0].id}.mp4: 24 fps instead of 8 fps (and 13 more like it)" in told
    assert f"{every[-1].id}.mp4: 128x128 instead of 64x64" in told


def test_seeds_found_are_used_and_told(outs: Path, cases: Sequence[Case]) -> None:
    for video in list(outs.glob("*.mp4")):
        shutil.copy(video, outs / f"{video.stem}__s7.mp4")
        video.rename(outs / f"{video.stem}_seed1.mp4")
    done = score(outs, "--limit", 6)
    assert done.exit_code == 0, done.output
    assert "seeds: 1, 7" in done.stderr
    assert sorted((row.case, row.seed) for row in rows(outs)) == sorted((c.id, s) for c in cases for s in (1, 7))
    (outs / f"{cases[2].id}_seed1.mp4").unlink()
    lacking = score(outs, "--limit", 6, "--dry-run").stdout
    assert f"1 case lacks a seed, and does not count: {cases[2].id} (seed 1); see --seed" in lacking
    one = score(outs, "--limit", 6, "--seed", 7, "--name", "seven")
    assert one.exit_code == 0
    assert "5 of seeds that were not asked for" in one.stderr
    assert {row.seed for row in rows(outs, "seven")} == {7}


def test_a_manifest_to_fill_in_is_written_where_it_is_asked_for(outs: Path, cases: Sequence[Case]) -> None:
    (outs / f"{cases[0].id}.mp4").rename(outs / "best take.mp4")
    template = outs.parent / "todo.csv"
    done = score(outs, "--limit", 6, "--dry-run", "--template", template)
    assert done.exit_code == 0
    assert str(outs / "manifest.csv") in done.stderr.replace("\n", "")
    first, second = (case.id for case in cases[:2])
    assert template.read_text().startswith(f"case,video\n{first},\n{second},{second}.mp4\n")
    assert len(list(outs.iterdir())) == 6
    (outs / "manifest.csv").write_text(template.read_text().replace(f"{cases[0].id},", f"{cases[0].id},best take.mp4"))
    assert "outs: 6 of 6 cases found" in score(outs, "--limit", 6).stderr


def test_a_folder_with_a_manifest_json_of_another_program_is_one_of_videos(outs: Path) -> None:
    (outs / "manifest.json").write_text('{"model": "mine"}')
    (outs / "videos").mkdir()
    assert "outs: 6 of 6 cases found" in score(outs, "--limit", 6).stderr
    run = outs.parent / "results" / "mini" / "outs"
    for option in (("--template", outs.parent / "x.csv"), ("--panel", "last"), ("--name", "x"), ("--seed", "1")):
        refused = score(run, *option)
        assert f"is a run; {option[0]} goes with a folder of videos" in str(refused.exception)


def test_a_folder_of_videos_alone_has_no_other_data(outs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = score(outs, "--suite", "custom", "--data", outs.parent)
    assert "--suite custom has no data but the videos in" in str(refused.exception)
    monkeypatch.setenv("VAPBENCH_DATA", f"{outs.parent}/")
    assert score(outs, "--suite", "custom", "--dry-run").exit_code == 0, "it may be meant for another suite"


def test_each_video_is_decoded_once_before_it_is_scored(outs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vapbench.core import streams, video

    decoded: Counter[str] = Counter()
    decode = streams.decode_stream

    def counted(path: Path, take: object) -> video.VideoInfo:
        decoded.update([path.name] * (path.parent == outs))
        return decode(path, take)  # type: ignore[arg-type]

    monkeypatch.setattr(video, "decode_stream", counted)
    for suite in ("mini", "custom"):
        decoded.clear()
        video._probed.cache_clear()
        done = score(outs, "--limit", 6, "--suite", suite)
        assert done.exit_code == 0, done.output
        assert set(decoded.values()) == {1}, f"to look at them ({suite}); the kept copies are read to score"


def test_a_clip_of_another_size_that_fails_later_is_told(
    outs: Path, cases: Sequence[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = outs / f"{cases[0].id}.mp4"
    write_video(broken, moving_clip(0, 20, 64, 64))
    data = bytearray(broken.read_bytes())
    data[-200:] = bytes(200)
    broken.write_bytes(data)
    monkeypatch.setattr("vapbench.methods.preflight._MOST_DECODED", 0)
    done = score(outs, "--limit", 6)
    assert f"{broken.name}: 20 frames instead of 13 frames" in done.stderr
    assert f"    {cases[0].id} seed 0: {broken}: truncated or damaged" in done.stderr


def test_a_dry_run_counts_the_seeds_that_are_asked_for_once(outs: Path, cases: Sequence[Case]) -> None:
    for video in list(outs.glob("*.mp4")):
        shutil.copy(video, outs / f"{video.stem}__s7.mp4")
    assert score(outs, "--limit", 6).exit_code == 0

    def to_score(*options: object) -> int:
        document = json.loads(score(outs, "--limit", 6, "--dry-run", "--json", *options).stdout)
        return next(each["to_score"] for each in document["columns"] if each["column"] == "temporal_flickering")

    assert to_score() == 0
    assert to_score("--refresh", "all") == 12
    assert to_score("--refresh", "all", "--seed", 7) == 6
    (outs / f"{cases[0].id}__s7.mp4").unlink()
    assert to_score("--refresh", "all") == 11, "nothing is made of a video that is not there"


def test_frames_with_several_panels_keep_what_the_reader_notes(outs: Path, cases: Sequence[Case]) -> None:
    first, second = (case.id for case in cases[:2])
    frames = np.concatenate([moving_clip(number, 13, 64, 64).frames for number in range(3)], axis=2)
    (outs / f"{first}.mp4").unlink()
    (outs / first).mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(outs / first / f"{number}.png")
    write_video(outs / f"{second}.mp4", Clip(frames.swapaxes(1, 2), 8))
    turned(outs / f"{second}.mp4", (0, 1, -1, 0))
    done = score(outs, "--limit", 2, "--panel", "last")
    assert done.exit_code == 0, done.output
    assert {row.case: [note.kind for note in row.notes] for row in rows(outs)} == {
        first: ["frames without a rate, read at 8 fps"],
        second: ["turned or mirrored as its header says"],
    }
    assert {(row.width, row.height) for row in rows(outs)} == {(64, 64)}
