from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from vapbench.files.walk import find_inside, walk


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path, paths: tuple[Path, ...]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


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
