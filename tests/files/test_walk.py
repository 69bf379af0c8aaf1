from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from vapbench.files.walk import find_inside, walk


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path, paths: tuple[Path, ...]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_every_suffix_in_any_case_is_a_video_and_what_systems_leave_is_hidden(tmp_path: Path) -> None:
    videos = [f"{n}{suffix}" for n, suffix in enumerate([".mp4", ".MP4", ".m4v", ".MOV", ".mkv", ".WebM", ".avi"])]
    touch(*(tmp_path / name for name in [*videos, "a.gif", "b.WEBP", "c.txt", "d.flv"]))
    left = [".DS_Store", "._0.mp4", "Thumbs.db", "desktop.ini", ".cache/x.mp4", "__MACOSX/0.mp4"]
    touch(*(tmp_path / name for name in left))
    walked = walk(tmp_path)
    assert names(tmp_path, tuple(walked.videos)) == [*videos, "a.gif", "b.WEBP"]
    assert sorted(names(tmp_path, walked.hidden)) == sorted([*left[:4], ".cache", "__MACOSX"])


def test_a_picture_in_webp_is_no_video_and_an_animation_is_one(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    pictures[0].save(tmp_path / "still.webp")
    pictures[0].save(tmp_path / "lossless.webp", lossless=True)
    pictures[0].save(tmp_path / "moving.WEBP", save_all=True, append_images=pictures[1:], duration=125)
    (tmp_path / "broken.webp").write_bytes(b"RIFF")
    assert [path.name for path in walk(tmp_path).videos] == ["broken.webp", "moving.WEBP"]


def test_a_hidden_folder_that_is_asked_for_is_looked_into(tmp_path: Path) -> None:
    touch(tmp_path / ".outputs" / "x.mp4")
    assert len(walk(tmp_path / ".outputs").videos) == 1


def test_links_are_followed_once_and_loops_are_not(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "x.mp4", tmp_path / "outs" / "deep" / "y.mp4")
    outs = tmp_path / "outs"
    for name, target in {
        "linked": tmp_path / "elsewhere",
        "twice": tmp_path / "elsewhere",
        "a-deep": outs / "deep",
        "self": outs,
        "above": tmp_path,
        "root": Path("/"),
    }.items():
        (outs / name).symlink_to(target)
    (outs / "deep" / "back").symlink_to(outs)
    (outs / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    walked = walk(outs)
    assert sorted(names(outs, walked.files)) == ["deep/y.mp4", "gone.mp4", "linked/x.mp4"]


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("a/x y.mp4", "a/x y.mp4"),
        ("a/x.mp4", "a\\x.mp4"),
        ("a/x.mp4", "./a/x.mp4"),
        ("A/X.MP4", "a/x.mp4"),
        ("a/猫.mp4", "a/猫.mp4"),
        (unicodedata.normalize("NFD", "é/café.mp4"), "é/café.mp4"),
        ("é.mp4", unicodedata.normalize("NFD", "é.mp4")),
    ],
)
def test_a_path_in_a_table_is_found_as_people_write_it(tmp_path: Path, there: str, written: str) -> None:
    touch(tmp_path / there)
    assert find_inside(tmp_path, written) == tmp_path / there
    if "\\" not in written:
        absolute = f"{tmp_path}/{written}"
        assert find_inside(tmp_path, absolute) == tmp_path / there
        (tmp_path.parent / f"{tmp_path.name}-link").symlink_to(tmp_path)
        assert find_inside(tmp_path, f"{tmp_path}-link/{written}").samefile(tmp_path / there)


@pytest.mark.parametrize("written", ["../x.mp4", "/etc/passwd", "a/../../x.mp4", "", "C:\\x.mp4"])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, written: str) -> None:
    touch(tmp_path / "x.mp4")
    (tmp_path / "in").mkdir()
    with pytest.raises(ValueError, match="path"):
        find_inside(tmp_path / "in", written)
    outside = os.fspath(tmp_path / "x.mp4")
    with pytest.raises(ValueError, match="not a path inside the folder"):
        find_inside(tmp_path / "in", outside)


def test_of_two_files_alike_none_is_guessed(tmp_path: Path) -> None:
    touch(tmp_path / "X.mp4", tmp_path / "x.MP4")
    with pytest.raises(FileNotFoundError):
        find_inside(tmp_path, "x.mp4")
