"""The writer: VAP-Data's layout, whole or absent, the same bytes every time."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests.refusals import refuses
from vapbench.core.case import ClipSpec
from vapbench.core.clip import Clip
from vapbench.core.video import read_video, write_video
from vapbench.errors import DataError, ErrorKind
from vapbench.suites.mini import reader, writer
from vapbench.suites.mini.cases import benchmark_cases, grammar_cases
from vapbench.suites.mini.conditions import SEEN
from vapbench.suites.mini.writer import DATA_VERSION, video_path, write_vap_data

TRAIN_CLIPS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "mini"
    write_vap_data(path, TRAIN_CLIPS)
    return path


def test_benchmark_table_lists_every_case_with_its_videos(folder: Path) -> None:
    rows = _rows(folder / "benchmark.csv")
    assert list(rows[0]) == ["video_paths", "ref_video_path", "tar_video_caption", "ref_video_caption"]
    for row, case in zip(rows, benchmark_cases(), strict=True):
        assert row["video_paths"] == f"{case.condition}/scene-{case.target.scene}.mp4"
        assert row["ref_video_path"] == f"{case.condition}/scene-{case.reference.scene}.mp4"
        assert row["tar_video_caption"] == case.target_caption
        assert row["ref_video_caption"] == case.reference_caption
        assert (folder / row["video_paths"]).is_file()
        assert (folder / row["ref_video_path"]).is_file()


def test_data_table_lists_every_video_once_with_references_of_its_kind_and_split(folder: Path) -> None:
    rows = _rows(folder / "vap_data.csv")
    by_path = {row["video_paths"]: row for row in rows}
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.mp4")}
    assert len(rows) == len(by_path)
    assert set(by_path) == files
    for row in rows:
        references = json.loads(row["ref_video_paths"])
        assert references
        assert row["video_paths"] not in references
        assert {(by_path[r]["kind"], by_path[r]["split"]) for r in references} == {(row["kind"], row["split"])}
        assert row["video_paths"].startswith(row["kind"] + "/")
        assert row["kind"] in row["tar_video_caption"]
        assert float(row["reference_alignment_score"]) > 10  # the release's own threshold


def test_training_rows_are_of_seen_conditions_only(folder: Path) -> None:
    train = [row["kind"] for row in _rows(folder / "vap_data.csv") if row["split"] == "train"]
    assert sorted(train) == sorted(c.name for c in SEEN for _ in range(TRAIN_CLIPS))


def test_videos_hold_the_rendered_clips(folder: Path) -> None:
    case = benchmark_cases()[0]
    clip = read_video(folder / case.condition / f"scene-{case.target.scene}.mp4")
    assert clip.frames.shape == (13, 64, 64, 3)
    assert clip.fps == 8
    assert np.abs(clip.frames.astype(int) - case.target.render()).mean() < 6  # 4:2:0 chroma


def test_a_second_call_leaves_the_folder_as_it_is(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    write_vap_data(folder, TRAIN_CLIPS)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_folder_with_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    with refuses(DataError, ErrorKind.CONFLICT, "out"):
        write_vap_data(folder, TRAIN_CLIPS + 1)
    (tmp_path / "notes.txt").write_text("mine")
    with refuses(DataError, ErrorKind.CONFLICT, "out"):
        write_vap_data(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with refuses(DataError, ErrorKind.INVALID, "train_clips_per_condition", -1):
        write_vap_data(tmp_path / "new", -1)


def test_equal_calls_write_equal_bytes_into_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = benchmark_cases()[:6]
    monkeypatch.setattr(writer, "benchmark_cases", lambda: few)
    (tmp_path / "first").mkdir()
    for name in ("first", "second"):
        write_vap_data(tmp_path / name)
    assert _digests(tmp_path / "first") == _digests(tmp_path / "second")


def test_a_case_is_the_same_whatever_encoder_wrote_its_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = benchmark_cases()[:2]
    monkeypatch.setattr(writer, "benchmark_cases", lambda: few)
    contents = []
    for name in ("first", "second"):
        monkeypatch.setenv("VAPBENCH_CACHE", str(tmp_path / name))
        contents.append([case.content() for case in reader.load(ClipSpec(frames=13, fps=8, height=64, width=64))])
        monkeypatch.setattr(writer, "write_video", _with_a_trailing_box)
    assert contents[0] == contents[1]
    first, second = (_digests(tmp_path / name / f"mini-{DATA_VERSION}") for name in ("first", "second"))
    assert set(first) == set(second)
    assert all(first[path] != second[path] for path in first if path.endswith(".mp4"))


def test_every_clip_of_the_benchmark_has_a_known_hash() -> None:
    cases = (*benchmark_cases(), *grammar_cases())
    clips = {video_path(clip) for case in cases for clip in (case.target, case.reference)}
    assert set(reader.known_videos()) == clips


def _with_a_trailing_box(path: Path, clip: Clip) -> None:
    write_video(path, clip)
    with path.open("ab") as file:
        file.write((8).to_bytes(4, "big") + b"free")


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(writer, "write_video", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_vap_data(tmp_path / "mini")
    assert list(tmp_path.iterdir()) == []


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
