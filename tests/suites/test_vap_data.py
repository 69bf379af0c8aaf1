from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import pytest

from tests.conftest import SPEC, moving_clip
from tests.refusals import refuses
from vapbench.core.case import Case, CaseNote
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind
from vapbench.suites import Suite
from vapbench.suites.vap_data import load

BENCHMARK = ("video_paths", "ref_video_path", "tar_video_caption", "ref_video_caption")
INDEX = ("video_paths", "ref_video_paths", "tar_video_caption", "kind", "split", "reference_alignment_score")


def table(path: Path, header: tuple[str, ...], *rows: tuple[object, ...]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(header)
        writer.writerows(rows)


def index_row(
    video: str, *references: str, split: str = "test", kind: str = "vidu_ghibli", score: object = 80
) -> tuple[object, ...]:
    return (video, json.dumps(references), f"Caption of {video}.", kind, split, score)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "vidu_ghibli").mkdir()
    for number in range(4):
        write_video(tmp_path / "vidu_ghibli" / f"man-{number}.mp4", moving_clip(number))
    return tmp_path


A, B, C, D = (f"vidu_ghibli/man-{number}.mp4" for number in range(4))


def test_the_published_layout(data: Path) -> None:
    table(data / "benchmark.csv", BENCHMARK, (A, B, "The man is drawn. ", "Another."), (C, B, "", ""))
    table(data / "vap_data.csv", INDEX, index_row(A), index_row(B), index_row(C), index_row(D, split="train"))
    first, second = load(data, SPEC)
    assert first.id == "vidu_ghibli--man-0--man-1"
    assert (first.condition, first.category) == ("vidu_ghibli", "style")
    assert first.image == first.target
    assert first.image.path == data / A
    assert (first.caption, first.reference.caption) == ("The man is drawn.", "Another.")
    assert (second.caption, second.reference.caption) == (None, None)


def test_without_benchmark_csv_the_held_out_rows_are_the_cases(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [index_row(A, B, C), index_row(B), index_row(C, A, score=0), index_row(D, split="train")]
    table(data / "vap_data.csv", INDEX, *rows)
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        (case,) = load(data, SPEC)
    assert [reference.caption for reference in case.references] == [f"Caption of {B}.", f"Caption of {C}."]
    assert "1 held-out row with reference_alignment_score <= 0" in caplog.text
    assert f"{data}: no benchmark.csv there, nor in a folder benchmark. The cases are 1 held-out row of" in caplog.text
    assert [note.kind for note in case.notes] == ["held-out-rows"]


@pytest.mark.parametrize("split", ["train", "Train", " TRAIN ", "training"])
def test_a_target_in_the_train_split_is_refused(data: Path, split: str) -> None:
    table(data / "benchmark.csv", BENCHMARK, (A, B, "x", "y"))
    table(data / "vap_data.csv", INDEX, index_row(A, split=split), index_row(B))
    with refuses(DataError, ErrorKind.CONFLICT, "target") as caught:
        load(data, SPEC)
    assert f"benchmark.csv:2: its target {A} is in the train split (vap_data.csv:2)" in str(caught.value)


def test_a_reference_in_the_train_split_is_kept_and_noted_or_refused_if_that_is_asked(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table(data / "benchmark.csv", BENCHMARK, (A, B, "x", "y"), (C, A, "x", "y"))
    table(data / "vap_data.csv", INDEX, index_row(A), index_row(B, split="train"), index_row(C))
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        first, second = load(data, SPEC)
    assert first.notes == (CaseNote(kind="train-reference", detail=B),)
    assert second.notes == ()
    assert "1 of 2 cases with a reference in the train split" in caplog.text
    with refuses(DataError, ErrorKind.CONFLICT, "reference") as caught:
        load(data, SPEC, train_references="refuse")
    assert f"benchmark.csv:2: its reference {B} is in the train split (vap_data.csv:3)" in str(caught.value)


def test_notes_are_part_of_no_key(data: Path) -> None:
    table(data / "benchmark.csv", BENCHMARK, (A, B, "x", "y"))
    table(data / "vap_data.csv", INDEX, index_row(A), index_row(B, split="train"))
    (noted,) = load(data, SPEC)
    plain = noted.model_copy(update={"notes": ()})
    assert noted.notes
    assert (noted.content(), noted.fields()) == (plain.content(), plain.fields())


def test_without_an_index_the_folder_names_the_condition_and_leaks_are_said_to_be_unchecked(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table(data / "benchmark.csv", BENCHMARK, (A, B, "x", "y"))
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        assert load(data, SPEC)[0].condition == "vidu_ghibli"
    assert "leaks from the train split cannot be checked" in caplog.text


@pytest.mark.parametrize(
    "caption", ["x" * 2000, "一个男人被画成动画。", "../../etc/passwd", 'a "quoted", one\nof two lines']
)
def test_captions_come_through_whole(data: Path, caption: str) -> None:
    table(data / "benchmark.csv", BENCHMARK, (A, B, caption, caption))
    assert load(data, SPEC)[0].caption == caption


@pytest.mark.parametrize(
    "path", ["/etc/passwd.mp4", "../out.mp4", "a/../../out.mp4", "C:\\x.mp4", "", "\\\\host\\x.mp4"]
)
def test_paths_that_leave_the_folder_are_refused(data: Path, path: str) -> None:
    table(data / "benchmark.csv", BENCHMARK, (A, B, "x", "y"), (A, path, "x", "y"))
    with refuses(DataError, ErrorKind.INVALID, "path") as caught:
        load(data, SPEC)
    assert "benchmark.csv:3: " in str(caught.value)


@pytest.mark.parametrize(
    ("place", "header", "rows", "kind", "field"),
    [
        ("benchmark.csv", BENCHMARK[:3], [(A, B, "x")], ErrorKind.MISSING, "ref_video_caption"),
        ("benchmark.csv:2", BENCHMARK, [(A, B)], ErrorKind.DAMAGED, "tar_video_caption"),
        ("benchmark.csv", BENCHMARK, [], ErrorKind.MISSING, ""),
        ("benchmark.csv:2", BENCHMARK, [(A, "vidu_ghibli/gone.mp4", "x", "y")], ErrorKind.MISSING, ""),
        ("vap_data.csv:3", INDEX, [index_row(A, B), index_row(A, C)], ErrorKind.CONFLICT, "ref_video_paths"),
        ("vap_data.csv:2", INDEX, [index_row(A, B, score="high")], ErrorKind.INVALID, "reference_alignment_score"),
        ("vap_data.csv:2", INDEX, [(A, "[1]", "x", "k", "test", 1)], ErrorKind.INVALID, "ref_video_paths"),
        ("vap_data.csv:2", INDEX, [(A, "[", "x", "k", "test", 1)], ErrorKind.INVALID, "ref_video_paths"),
        ("vap_data.csv", INDEX, [index_row(A, split="train")], ErrorKind.MISSING, "split"),
        ("vap_data.csv:2", INDEX, [index_row(A, B, split="")], ErrorKind.MISSING, "split"),
        ("vap_data.csv", INDEX, [index_row(A, B, score="nan")], ErrorKind.MISSING, "split"),
        ("vap_data.csv:2", INDEX, [index_row(A, B, kind="a/b")], ErrorKind.INVALID, "condition"),
    ],
)
def test_a_wrong_table_is_named_with_file_line_and_column(
    data: Path, place: str, header: tuple[str, ...], rows: list[tuple[object, ...]], kind: ErrorKind, field: str
) -> None:
    table(data / place.partition(":")[0], header, *rows)
    with refuses(DataError, kind, field) as caught:
        load(data, SPEC)
    assert f"{place}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_utf8(data: Path) -> None:
    (data / "benchmark.csv").write_bytes(",".join(BENCHMARK).encode() + b"\n\xff\xfe,b,c,d\n")
    with refuses(DataError, ErrorKind.DAMAGED, "encoding", "benchmark.csv"):
        load(data, SPEC)


def test_neither_table(tmp_path: Path) -> None:
    with refuses(DataError, ErrorKind.MISSING, "data"):
        load(tmp_path, SPEC)


def test_two_cases_with_one_id_are_refused(data: Path) -> None:
    table(data / "benchmark.csv", BENCHMARK, (A, B, "x", "y"), (A, B, "z", "y"))
    suite = Suite(name="s", title="S", reader="vapbench.suites.vap_data:load", data="required", clip=SPEC, metrics=())
    with refuses(DataError, ErrorKind.CONFLICT, "id"):
        suite.cases(data)


def test_cases_validate(data: Path) -> None:
    table(data / "benchmark.csv", BENCHMARK, (A, B, "x", "y"))
    assert all(isinstance(case, Case) for case in load(data, SPEC))
