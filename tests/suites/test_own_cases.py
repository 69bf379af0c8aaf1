from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import moving_clip
from tests.refusals import refuses
from vapbench.core.case import Case, ClipSpec, NoMedia
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind, NotApplicable, UsageError
from vapbench.suites import Suite, find_suite
from vapbench.suites.table import MissingMedia
from vapbench.suites.tasks import find_task, select

HEADER = "reference,image,caption,reference_caption,condition,category,target"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of files that a table may name."""
    folder = tmp_path / "my cases"
    folder.mkdir()
    write_video(folder / "orbit.mp4", moving_clip(0))
    write_video(folder / "hop.mp4", moving_clip(1))
    write_video(folder / "truth.mp4", moving_clip(2))
    Image.fromarray(moving_clip(3).frames[0]).save(folder / "start.png")
    return folder


def write(folder: Path, *lines: str, name: str = "cases.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> list[Case]:
    return find_suite(str(path)).cases(None)


def test_a_whole_table(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(
        folder,
        HEADER,
        "orbit.mp4,start.png,A teapot.,A tree.,orbit,camera,truth.mp4",
        "hop.mp4|orbit.mp4,truth.mp4,A cup.,A ball.|A tree.,hop,,",
    )
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        first, second = read(folder)
    assert (first.id, first.condition, first.category) == ("orbit--start--orbit", "orbit", "camera")
    assert (first.caption, first.reference.caption) == ("A teapot.", "A tree.")
    assert (first.image.path, first.target and first.target.path) == (folder / "start.png", folder / "truth.mp4")
    assert [reference.caption for reference in second.references] == ["A ball.", "A tree."]
    assert (second.category, second.target) == (None, None)
    assert first.clip == ClipSpec(frames=5, fps=8, height=32, width=48)
    assert "does not say frames, fps, height, width" in caplog.text
    assert "orbit.mp4: frames 5, fps 8, height 32, width 48." in caplog.text


def test_frames_and_animated_pictures_are_videos_too(folder: Path) -> None:
    pictures = [Image.fromarray(frame) for frame in moving_clip(4).frames]
    for place in ("frames", "again"):
        (folder / place).mkdir()
        for number, picture in enumerate(pictures):
            picture.save(folder / place / f"{number}.png")
    pictures[0].save(folder / "moves.png", save_all=True, append_images=pictures[1:], duration=125)
    (folder / "empty").mkdir()
    write(folder, "reference,target,condition", "frames,moves.png,a", "again,frames,b")
    first, second = read(folder)
    assert (first.clip.frames, first.clip.fps, first.clip.width) == (5, 8, 48)
    assert first.target is not None
    assert second.target is not None
    assert np.array_equal(first.reference.video.read().frames, first.target.read().frames)
    assert np.array_equal(first.image.first_frame(), moving_clip(4).frames[0])
    assert first.reference.video.sha256 == second.reference.video.sha256 == second.target.sha256
    (folder / "again" / "0.png").unlink()
    write(folder, "reference,condition", "again,a")
    (changed,) = read(folder)
    assert changed.reference.video.sha256 != first.reference.video.sha256
    write(folder, "reference,condition", "empty,a")
    with refuses(MissingMedia, ErrorKind.MISSING, "", "cases.csv:2", "column reference", "empty is not below"):
        read(folder)


def test_the_suite_is_called_after_its_folder_or_its_table(folder: Path) -> None:
    table = write(folder, "reference,condition", "orbit.mp4,orbit")
    assert find_suite(str(folder)).name == find_suite(str(table)).name == "my-cases"
    assert find_suite(str(write(folder, "reference,condition", "hop.mp4,hop", name="motion.tsv"))).name == "motion"
    with refuses(UsageError, ErrorKind.CONFLICT, "suite"):
        find_suite(str(write(folder, "reference,condition", name="mini.csv")))


def test_a_category_chooses_the_task(folder: Path) -> None:
    write(folder, HEADER, "orbit.mp4,start.png,,,orbit,Camera,", "hop.mp4,start.png,,,hop,motion,", "hop.mp4,,,,x,,")
    cases = read(folder)
    assert [case.condition for case in select(cases, find_task("camera"))] == ["orbit"]
    assert [case.condition for case in select(cases, find_task("motion"))] == ["hop"]
    assert [case.condition for case in select(cases, find_task("all"))] == ["orbit", "hop", "x"]


def test_what_is_absent_does_not_apply(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(folder, "reference,condition", "orbit.mp4,orbit")
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        (case,) = read(folder)
    assert isinstance(case.image, NoMedia)
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "first frame"):
        case.image.first_frame()
    assert (case.content()["image"], case.caption, case.target) == (None, None, None)
    assert "1 of 1 case without image and target" in caplog.text
    assert "1 of 1 case without a caption" in caplog.text


def test_the_targets_first_frame_stands_in_for_the_image(folder: Path) -> None:
    write(folder, "reference,condition,target", "orbit.mp4,orbit,truth.mp4")
    (case,) = read(folder)
    assert case.image == case.target


def test_the_clip_is_what_the_row_says(folder: Path) -> None:
    write(folder, "reference,condition,frames,fps", "orbit.mp4,orbit,9,", "hop.mp4,hop,,24")
    first, second = read(folder)
    assert first.clip == ClipSpec(frames=9, fps=8, height=32, width=48)
    assert second.clip == ClipSpec(frames=5, fps=24, height=32, width=48)


def test_dialects_and_spellings(folder: Path) -> None:
    text = "\ufeffCondition;Reference;Reference Caption;Mine\r\norbit;.\\orbit.mp4;A tree.;x\r\n;;;\r\n"
    (folder / "cases.csv").write_text(text, encoding="utf-8", newline="")
    (case,) = read(folder)
    assert (case.condition, case.reference.caption) == ("orbit", "A tree.")


def test_paths_may_be_relative_to_another_folder(folder: Path, tmp_path: Path) -> None:
    table = write(tmp_path, "reference,condition", "orbit.mp4,orbit")
    (case,) = find_suite(str(table)).cases(folder)
    assert case.reference.video.path == folder / "orbit.mp4"


def test_columns_that_are_not_used_are_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(folder, "reference,condition,captoin,seed", "orbit.mp4,orbit,A teapot.,3")
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        read(folder)
    assert "the column captoin is not used. Did you mean caption" in caplog.text
    assert "the column seed is not used; seeds are a run's: --seed 0" in caplog.text


@pytest.mark.parametrize(
    ("lines", "place", "kind", "field"),
    [
        (["video,prompt", "orbit.mp4,x"], "", ErrorKind.MISSING, "reference"),
        (["reference,condition"], "", ErrorKind.MISSING, ""),
        (["reference,condition", ",orbit"], ":2: column reference", ErrorKind.MISSING, "reference"),
        (["reference,condition", "orbit.mp4,"], ":2: column condition", ErrorKind.MISSING, "condition"),
        (["reference,condition", "orbit.mp4"], ":2", ErrorKind.DAMAGED, "condition"),
        (["reference,condition", "orbit.mp4,my orbit"], ":2: column condition", ErrorKind.INVALID, "condition"),
        (["reference,condition,category", "orbit.mp4,a,colour"], ":2: column category", ErrorKind.INVALID, "category"),
        (
            ["reference,condition,category", "hop.mp4,vidu_ghibli,camera"],
            *(":2: column category", ErrorKind.CONFLICT, "category"),
        ),
        (["reference,condition,frames", "orbit.mp4,a,49a"], ":2: column frames", ErrorKind.INVALID, "frames"),
        (["reference,condition,height", "orbit.mp4,a,33"], ":2: column height", ErrorKind.INVALID, "height"),
        (["reference,condition,id", "orbit.mp4,a,x y"], ":2: column id", ErrorKind.INVALID, "id"),
        (["reference,condition,id", "orbit.mp4,a,x", "hop.mp4,b,x"], ":3: column id", ErrorKind.CONFLICT, "id"),
        (["reference,condition", "orbit.mp4,a", "orbit.mp4,a"], ":3: column id", ErrorKind.CONFLICT, "id"),
        (["reference,condition", "../orbit.mp4,a"], ":2: column reference", ErrorKind.INVALID, "path"),
        (["reference,condition,image", "orbit.mp4,a,gone.png"], ":2: column image", ErrorKind.MISSING, ""),
        (
            ["reference,condition,reference_caption", "orbit.mp4|hop.mp4,a,one"],
            *(":2: column reference_caption", ErrorKind.CONFLICT, "reference_caption"),
        ),
    ],
)
def test_what_is_wrong_is_said_with_line_and_column(
    folder: Path, lines: list[str], place: str, kind: ErrorKind, field: str
) -> None:
    write(folder, *lines)
    with refuses(DataError, kind, field) as caught:
        read(folder)
    assert f"cases.csv{place}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_missing_file_is_listed(folder: Path) -> None:
    write(folder, "reference,condition,image", "gone.mp4,a,start.png", "orbit.mp4,b,gone.png", "hop.mp4,c,start.png")
    with pytest.raises(MissingMedia) as caught:
        read(folder)
    assert [line.partition(" is not")[0].rpartition("cases.csv:")[2] for line in caught.value.lines] == [
        "2: column reference: gone.mp4",
        "3: column image: gone.png",
    ]


def test_a_folder_without_a_table_and_a_table_that_is_not_there(folder: Path) -> None:
    with refuses(UsageError, ErrorKind.MISSING, "suite"):
        find_suite(str(folder))
    with refuses(DataError, ErrorKind.MISSING, "suite"):
        find_suite(str(folder / "other.csv")).cases(None)


def test_an_empty_table_is_called_empty(folder: Path) -> None:
    with refuses(DataError, ErrorKind.MISSING, "cases.csv"):
        read(write(folder))


def test_declared_suites_come_before_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mini").mkdir()
    monkeypatch.chdir(folder)
    assert find_suite("mini").reader == "vapbench.suites.mini.reader:load"


def test_options_are_those_of_the_reader(tmp_path: Path) -> None:
    suite = Suite(name="s", title="S", reader="vapbench.suites.vap_data:load", data="required", metrics=())
    assert suite.with_options({"train_references": "refuse"}).options == {"train_references": "refuse"}
    with refuses(UsageError, ErrorKind.UNKNOWN, "train_reference"):
        suite.with_options({"train_reference": "refuse"})
    with refuses(UsageError, ErrorKind.INVALID, "train_references"):
        suite.with_options({"train_references": "no"})
    with refuses(UsageError, ErrorKind.UNKNOWN, "table"):
        find_suite(str(tmp_path / "cases.csv") + ":table=x.csv")
