from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.conftest import SPEC, moving_clip
from tests.refusals import refuses
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind
from vapbench.suites.gallery import load, parse_name

SHARED = Path(__file__).parents[3] / "shared" / "data" / "gallery"


def page(folder: Path, group: str, name: str, *, reference: bool = True) -> None:
    for number, side in enumerate(["ours", "ref"] if reference else ["ours"]):
        (folder / group / side).mkdir(parents=True, exist_ok=True)
        write_video(folder / group / side / f"{name}.mp4", moving_clip(number))


def test_every_group_of_the_page_is_read_and_a_case_is_taken_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    page(tmp_path, "benchmark_cog_vap", "vidu_ghibli--man-1--man-2")
    page(tmp_path, "application/one", "vidu_ghibli--man-1--man-2")
    page(tmp_path, "application/one", "move_left--a--b")
    page(tmp_path, "application/two", "move_left--c--d", reference=False)
    page(tmp_path, "application/two", "readme")
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        cases = {case.id: case for case in load(tmp_path, SPEC)}
    assert set(cases) == {"vidu_ghibli--man-1--man-2", "move_left--a--b"}
    case = cases["move_left--a--b"]
    assert (case.condition, case.category, case.caption, case.target) == ("move_left", "camera", None, None)
    assert case.reference.video.path.parent.name == "ref"
    assert "1 output without a reference of the same name" in caplog.text


def test_files_are_found_as_a_mac_a_camera_or_a_link_names_them(tmp_path: Path) -> None:
    page(tmp_path / "kept", "one", "move_left--a--b")
    group = tmp_path / "kept" / "one"
    (group / "ours" / "move_left--a--b.mp4").rename(group / "ours" / "move_left--a--b.MOV")
    for side in ("ours", "ref"):
        (group / side / "._move_left--a--b.mp4").write_bytes(b"x")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(group)
    (case,) = load(tmp_path / "data", SPEC)
    assert (case.id, case.image.path.name) == ("move_left--a--b", "move_left--a--b.MOV")
    page(tmp_path / "kept", "one", "move_left--a--b")
    with refuses(DataError, ErrorKind.CONFLICT, "id"):
        load(tmp_path / "data", SPEC)


def test_a_folder_without_the_layout(tmp_path: Path) -> None:
    with refuses(DataError, ErrorKind.MISSING, "data"):
        load(tmp_path, SPEC)


@pytest.mark.parametrize(
    ("stem", "parts"),
    [("a--b--c", ("a", "b", "c")), ("a--b--c--black", ("a", "b", "c")), ("a--b", None), ("----", None)],
)
def test_names(stem: str, parts: tuple[str, str, str] | None) -> None:
    assert parse_name(stem) == parts


@pytest.mark.skipif(not SHARED.is_dir(), reason="the project page's videos are not here")
def test_the_real_page() -> None:
    cases = load(SHARED, SPEC)
    assert len(cases) == 29
    assert all(case.category for case in cases)
    assert {case.category for case in cases} == {"concept", "style", "motion", "camera"}
