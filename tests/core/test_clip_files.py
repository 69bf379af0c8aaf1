"""Which files of a folder are clips, whatever they are called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import moving_clip
from tests.videos import HERE
from vapbench.core.clip_files import VIDEO_SUFFIXES, find_clips, is_clip, is_numbered
from vapbench.core.video import read_video


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path, paths: tuple[Path, ...]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def pictures() -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in moving_clip().frames]


def animate(path: Path, format: str | None = None) -> Path:
    first, *others = pictures()
    first.save(path, format=format, save_all=True, append_images=others, duration=125)
    return path


def test_every_suffix_in_any_case_is_a_video_and_what_systems_leave_is_hidden(tmp_path: Path) -> None:
    videos = [f"{n}{suffix}" for n, suffix in enumerate([".mp4", ".MP4", ".m4v", ".MOV", ".mkv", ".WebM", ".avi"])]
    touch(*(tmp_path / name for name in [*videos, "a.gif", "b.WEBP", "c.txt", "d.flv"]))
    left = [".DS_Store", "._0.mp4", "Thumbs.db", "desktop.ini", ".cache/x.mp4", "__MACOSX/0.mp4"]
    touch(*(tmp_path / name for name in left))
    found = find_clips(tmp_path)
    assert names(tmp_path, found.videos) == [*videos, "a.gif", "b.WEBP"]
    assert (found.unnamed, found.frames) == ((), ())
    assert sorted(names(tmp_path, found.walked.hidden)) == sorted([*left[:4], ".cache", "__MACOSX"])


@pytest.mark.parametrize("suffix", [".png", ".apng", ".webp"])
def test_an_animated_picture_is_a_clip_and_one_at_rest_is_none(tmp_path: Path, suffix: str) -> None:
    still = tmp_path / f"still{suffix}"
    pictures()[0].save(still, format="WEBP" if suffix == ".webp" else "PNG")
    moving = animate(tmp_path / f"moving{suffix.upper()}", "WEBP" if suffix == ".webp" else "PNG")
    # What is called a video and is a picture is named for it when it is read.
    assert is_clip(still) == (suffix == ".apng")
    assert is_clip(moving)
    assert len(read_video(moving)) == 5


def test_an_animation_is_found_behind_other_chunks(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    first, *others = pictures()
    first.info["icc_profile"] = b"x" * 5000
    text = PngInfo()
    text.add_text("workflow", "y" * 5000)
    path = tmp_path / "a.png"
    first.save(path, save_all=True, append_images=others, duration=125, pnginfo=text, icc_profile=b"x" * 5000)
    assert path.read_bytes().index(b"acTL") > 64
    assert is_clip(path)


@pytest.mark.parametrize("name", ["good.mp4", "same.mov", "same.mkv", "whole.webm", "whole.gif", "anim.webp"])
@pytest.mark.parametrize("called", ["clip", "clip.mp4.part", "clip.bin", "clip.jpg"])
def test_bytes_decide_where_the_name_says_nothing(tmp_path: Path, name: str, called: str) -> None:
    shutil.copy(HERE / name, tmp_path / called)
    assert names(tmp_path, find_clips(tmp_path).unnamed) == [called]


def test_no_clip_is_what_only_shares_a_container(tmp_path: Path) -> None:
    shutil.copy(HERE / "exif6.jpg", tmp_path / "a.webp")
    shutil.copy(HERE / "good.mp4", tmp_path / "sound.m4a")
    (tmp_path / "b.heic").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(40))
    (tmp_path / "notes.txt").write_text("a cat moves")
    assert find_clips(tmp_path).videos + find_clips(tmp_path).unnamed == ()


def test_folders_of_frames(tmp_path: Path) -> None:
    for number, picture in enumerate(pictures()):
        for place in ("run/a", "run/b", "run/pictures"):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / f"run/a/f{number}.png")
        picture.save(tmp_path / f"run/b/{number}.jpg")
        picture.save(tmp_path / "run/pictures" / ("cat.png" if number else "dog.png"))
        picture.save(tmp_path / f"{number}.png")
    shutil.copy(HERE / "good.mp4", tmp_path / "run/b/whole.mp4")
    frames = find_clips(tmp_path).frames
    assert names(tmp_path, frames) == ["run/a", "run/pictures"], "neither where a video lies, nor the folder itself"
    assert [is_numbered(path) for path in frames] == [True, False]


def test_a_hidden_folder_that_is_asked_for_is_looked_into(tmp_path: Path) -> None:
    touch(tmp_path / ".outputs" / "x.mp4")
    assert len(find_clips(tmp_path / ".outputs").videos) == 1


def test_suffixes_are_told_in_lower_case() -> None:
    assert {".mp4", ".png", ".apng", ".3gp", ".qt"} < VIDEO_SUFFIXES
    assert all(suffix == suffix.lower() for suffix in VIDEO_SUFFIXES)
