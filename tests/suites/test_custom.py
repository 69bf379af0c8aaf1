from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import moving_clip
from tests.refusals import refuses
from vapbench.core.clip_files import VIDEO_SUFFIXES
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind, NotApplicable, UsageError
from vapbench.running.run import columns_for
from vapbench.suites import find_suite
from vapbench.suites.custom import load, name_videos


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_video(path, moving_clip())
    return path


def put(clip: Path, folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, folder / name)
    return folder


def test_every_video_is_a_case_named_by_its_path(clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = put(clip, tmp_path / "v", "a.mp4", "B.MOV", "one/c d.webm", "._a.mp4", ".cache/x.mp4")
    (folder / "notes.txt").write_text("no video")
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        cases = {case.id: case for case in load(folder)}
    assert list(cases) == ["B", "a", "one--c-d"]
    case = cases["a"]
    assert (case.condition, case.category, case.caption, case.references, case.media()) == ("a", None, None, (), ())
    assert (case.clip.frames, case.clip.fps, case.clip.height, case.clip.width) == (5, 8, 32, 48)
    assert [note.kind for note in case.notes] == ["own-condition"]
    assert "3 videos, each a case of its own; intervals take them as independent" in caplog.text


def test_sub_folders_are_conditions_where_there_are_several(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = put(clip, tmp_path / "v", "one/a.mp4", "one/b.mp4", "two/deep/a.mp4")
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        conditions = {case.id: case.condition for case in load(folder)}
    assert conditions == {"one--a": "one", "one--b": "one", "two--deep--a": "two"}
    assert "clustered by the 2 sub-folders" in caplog.text


def test_names_that_no_case_may_have_or_that_several_share(clip: Path, tmp_path: Path) -> None:
    folder = put(
        clip, tmp_path / "v", "视频.mp4", "图片.mp4", "x.mp4", "x.webm", "nul.mp4", f"{'y' * 200}.mp4", "_z.mp4"
    )
    names = name_videos(folder)
    assert len(names) == 7
    assert {case.id for case in load(folder)} == set(names)
    assert name_videos(folder) == names
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert list(name_videos(tmp_path / "elsewhere")) == list(names), "a folder's place is no part of a case's name"


def test_linked_folders_are_followed_and_circles_end(clip: Path, tmp_path: Path) -> None:
    put(clip, tmp_path / "run", "a.mp4")
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "linked").symlink_to(tmp_path / "run", target_is_directory=True)
    (tmp_path / "run" / "back").symlink_to(tmp_path / "v", target_is_directory=True)
    assert list(name_videos(tmp_path / "v")) == ["linked--a"]


def test_a_damaged_video_is_a_case_and_odd_sides_are_no_matter(clip: Path, tmp_path: Path) -> None:
    folder = put(clip, tmp_path / "v", "a.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    assert [case.id for case in load(folder)] == ["a", "broken"]


def test_every_suffix_that_scoring_reads_is_a_case(clip: Path, tmp_path: Path) -> None:
    for suffix in VIDEO_SUFFIXES - {".webp", ".png"}:
        shutil.copy(clip, tmp_path / f"{suffix[1:]}{suffix.upper()}")
    frames = [Image.fromarray(frame) for frame in moving_clip().frames]
    for suffix in ("webp", "png"):
        frames[0].save(tmp_path / f"{suffix}.{suffix}", save_all=True, append_images=frames[1:], duration=125)
        frames[0].save(tmp_path / f"still.{suffix}")
    assert set(name_videos(tmp_path)) == {suffix[1:] for suffix in VIDEO_SUFFIXES} | {"clip"}


def test_folders_of_frames_are_videos(clip: Path, tmp_path: Path) -> None:
    folder = put(clip, tmp_path / "v", "a.mp4")
    for place, form in {"b.v2": "{:04}.png", "a": "{}.png", "pictures": "{}.png"}.items():
        (folder / place).mkdir()
        for number, frame in enumerate(moving_clip().frames):
            name = ["cat", "dog", "eel", "fox", "gnu"][number] if place == "pictures" else number
            Image.fromarray(frame).save(folder / place / form.format(name))
    assert name_videos(folder) == {"a": folder / "a.mp4", "b.v2": folder / "b.v2"}
    frames = {case.id: case.clip for case in load(folder)}["b.v2"]
    assert (frames.frames, frames.fps, frames.height, frames.width) == (5, 8, 32, 48)
    with refuses(DataError, ErrorKind.MISSING, "data", "a folder of frames, one video", folder):
        name_videos(folder / "b.v2")


def test_a_folder_without_videos(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with refuses(DataError, ErrorKind.MISSING, "data", ".mp4", "it holds .jpg"):
        load(tmp_path)
    with refuses(DataError, ErrorKind.MISSING, "data"):
        load(tmp_path / "gone")


def test_what_the_case_has_not_does_not_apply(clip: Path, tmp_path: Path) -> None:
    (case,) = load(put(clip, tmp_path / "v", "a.mp4"))
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "reference video"):
        case.reference.video.read()
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "first frame"):
        case.image.first_frame()


def test_metrics_that_need_more_are_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    suite = find_suite("custom")
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        kept = columns_for(suite, ["temporal_flickering", "first_frame_psnr"])
        assert [column.label for column in kept] == ["temporal_flickering"]
        assert "these metrics are left out: first_frame_psnr needs image." in caplog.text
        assert not any(column.metric.needs for column in columns_for(suite, None))
        assert "text_alignment[clip] needs prompt" in caplog.text
    with refuses(UsageError, ErrorKind.CONFLICT, "metric"):
        columns_for(suite, ["first_frame_psnr"])
    assert len(columns_for(find_suite("gallery"), ["first_frame_psnr"])) == 1
