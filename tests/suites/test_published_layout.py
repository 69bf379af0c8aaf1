"""VAP-Data as people have it: other places, other dialects, other spellings of paths, flaws that no case meets."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SPEC, moving_clip
from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.core.video import write_video
from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import file_sha256
from vapbench.suites import find_suite
from vapbench.suites.table import MissingMedia
from vapbench.suites.vap_data import load, training_rows

BENCHMARK = ("video_paths", "ref_video_path", "tar_video_caption", "ref_video_caption")
INDEX = ("video_paths", "ref_video_paths", "tar_video_caption", "kind", "split", "reference_alignment_score")
A, B, C, D = (f"vidu_ghibli/man-{number}.mp4" for number in range(4))
CASES = [(A, B, "The man is drawn.", "Another."), (C, B, "A third.", "Another.")]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1234567\n"


def index_row(video: str, *references: str, **changes: object) -> tuple[object, ...]:
    cells: dict[str, object] = dict(
        zip(INDEX, (video, json.dumps(references), f"Caption of {video}.", "vidu_ghibli", "test", 80), strict=True)
    )
    return tuple((cells | changes).values())


ROWS = [index_row(A, B), index_row(B, A), index_row(C, B), index_row(D, A, split="train")]


def table(path: Path, header: tuple[str, ...], rows: Sequence[tuple[object, ...]], **dialect: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=dialect.pop("encoding", "utf-8"), newline="") as handle:
        writer = csv.writer(handle, **dialect)
        writer.writerow(header)
        writer.writerows(rows)


def videos(folder: Path) -> None:
    for number, name in enumerate((A, B, C, D)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(folder / name, moving_clip(number))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data set as it is published."""
    folder = tmp_path / "VAP-Data"
    videos(folder)
    table(folder / "benchmark" / "benchmark.csv", BENCHMARK, CASES)
    table(folder / "vap_data.csv", INDEX, ROWS)
    return folder


def ids(cases: list[Case]) -> list[str]:
    return [case.id for case in cases]


EXPECTED = ["vidu_ghibli--man-0--man-1", "vidu_ghibli--man-2--man-1"]


@pytest.mark.parametrize("given", [".", "benchmark", "benchmark/benchmark.csv"])
def test_the_published_place_is_read_however_the_data_is_named(
    data: Path, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        assert ids(load(data / given, SPEC)) == EXPECTED
    assert not caplog.records, "nothing to announce where nothing is out of the ordinary"


@pytest.mark.parametrize(
    ("place", "given"),
    [("benchmark", "."), ("benchmark", "benchmark.csv"), (".", "."), (".", "benchmark"), ("hq", "..")],
)
def test_the_data_named_from_inside(data: Path, place: str, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "hq").mkdir()
    monkeypatch.chdir(data / place)
    assert ids(load(Path(given), SPEC)) == EXPECTED


def test_the_place_of_the_official_scripts(data: Path) -> None:
    shutil.move(data / "benchmark" / "benchmark.csv", data / "benchmark.csv")
    assert ids(load(data, SPEC)) == EXPECTED


def test_two_benchmarks_that_differ_are_refused_and_either_can_be_named(data: Path) -> None:
    table(data / "benchmark.csv", BENCHMARK, CASES[:1])
    with refuses(DataError, ErrorKind.CONFLICT, "data") as caught:
        load(data, SPEC)
    assert f"--data {data / 'benchmark' / 'benchmark.csv'}" in str(caught.value)
    assert ids(load(data / "benchmark.csv", SPEC)) == EXPECTED[:1]
    shutil.copy(data / "benchmark" / "benchmark.csv", data / "benchmark.csv")
    assert ids(load(data, SPEC)) == EXPECTED


def test_the_index_named_as_the_data_gives_its_held_out_rows(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        assert len(load(data / "vap_data.csv", SPEC)) == 3
    assert "The cases are 3 held-out rows of" in caplog.text
    assert "no benchmark.csv there" not in caplog.text


@pytest.mark.parametrize("cached", ["datasets--BianYx--VAP-Data", "datasets--BianYx--VAP-Data/snapshots/" + "a" * 40])
def test_a_download_cache_of_links_to_blobs(data: Path, cached: str) -> None:
    cache = data.parent / "datasets--BianYx--VAP-Data"
    for number, commit in enumerate(("a" * 40, "b" * 40)):
        for file in [path for path in data.rglob("*") if path.is_file()][: None if number == 0 else 1]:
            blob = cache / "blobs" / file_sha256(file)
            blob.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, blob)
            link = cache / "snapshots" / commit / file.relative_to(data)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
    with refuses(DataError, ErrorKind.CONFLICT, "data"):
        load(cache, SPEC)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("a" * 40 + "\n")
    assert ids(load(data.parent / cached, SPEC)) == EXPECTED


def test_a_folder_above_the_data_gets_the_name_of_the_right_one(data: Path) -> None:
    with refuses(DataError, ErrorKind.MISSING, "data", "did you mean --data", "VAP-Data?"):
        load(data.parent, SPEC)


@pytest.mark.parametrize(
    "dialect",
    [
        {"encoding": "utf-8-sig", "lineterminator": "\r\n"},
        {"delimiter": ";"},
        {"delimiter": "\t"},
        {"quoting": csv.QUOTE_ALL},
    ],
    ids=["bom-crlf", "semicolon", "tab", "quoted"],
)
def test_dialects_of_the_tables(data: Path, dialect: dict[str, Any]) -> None:
    table(data / "benchmark" / "benchmark.csv", BENCHMARK, CASES, **dialect)
    table(data / "vap_data.csv", INDEX, ROWS, **dialect)
    first = load(data, SPEC)[0]
    assert (first.id, first.caption, first.reference.caption) == (EXPECTED[0], "The man is drawn.", "Another.")


def test_columns_in_another_order_with_capitals_and_others_beside_them(data: Path) -> None:
    header = ("", *(name.upper().replace("_", " ") for name in reversed(BENCHMARK)), "note")
    table(data / "benchmark" / "benchmark.csv", header, [(n, *reversed(row), "x") for n, row in enumerate(CASES)])
    assert ids(load(data, SPEC)) == EXPECTED


def test_captions_over_several_lines_and_blank_rows(data: Path) -> None:
    rows = [(A, B, 'A man,\nwho "walks".', "Another."), ("", "", "", "")]
    table(data / "benchmark" / "benchmark.csv", BENCHMARK, rows)
    (case,) = load(data, SPEC)
    assert case.caption == 'A man,\nwho "walks".'


@pytest.mark.parametrize(
    "spelled",
    [
        lambda data, path: f"./{path}",
        lambda data, path: path.replace("/", "\\"),
        lambda data, path: str(data / path),
        lambda data, path: f"data/VAP-Data/{path}",
    ],
    ids=["dot", "windows", "absolute", "prefixed"],
)
def test_paths_are_spelled_in_many_ways_and_a_leak_is_seen_through_each(
    data: Path, spelled: Callable[[Path, str], str]
) -> None:
    rows = [(spelled(data, case[0]), spelled(data, case[1]), *case[2:]) for case in CASES]
    table(data / "benchmark" / "benchmark.csv", BENCHMARK, rows)
    cases = load(data, SPEC)
    assert ids(cases) == EXPECTED
    assert not any(case.notes for case in cases)
    table(data / "vap_data.csv", INDEX, [index_row(A, split="train"), *ROWS[1:]])
    with refuses(DataError, ErrorKind.CONFLICT, "target"):
        load(data, SPEC)


@pytest.mark.parametrize("place", ["videos", "benchmark", "benchmark/videos"])
def test_videos_in_another_folder_are_found_and_that_is_said(
    data: Path, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    (data / place).mkdir(exist_ok=True)
    shutil.move(data / "vidu_ghibli", data / place / "vidu_ghibli")
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        case = load(data, SPEC)[0]
    assert case.id == EXPECTED[0]
    assert case.image.path == data / place / A
    # Beside the benchmark's table is where its paths may begin.
    assert ("3 files lie in another folder than the tables say" in caplog.text) is (place != "benchmark")


def test_a_name_that_fits_two_files_is_refused(data: Path) -> None:
    for place in ("one", "two"):
        (data / place).mkdir()
        shutil.copytree(data / "vidu_ghibli", data / place / "vidu_ghibli")
    shutil.rmtree(data / "vidu_ghibli")
    with refuses(DataError, ErrorKind.CONFLICT, "path") as caught:
        load(data, SPEC)
    assert all(str(data / place / "vidu_ghibli") in str(caught.value) for place in ("one", "two"))


def test_missing_files_and_pointers_are_named_and_counted(data: Path) -> None:
    (data / A).unlink()
    (data / B).write_text(POINTER)
    with refuses(MissingMedia, ErrorKind.MISSING, "", "2 files", "vapbench data verify") as caught:
        load(data, SPEC)
    first, second = caught.value.lines
    assert f"benchmark.csv:2: {A} is not below {data}" in first
    assert f"benchmark.csv:2: {B} is a Git LFS pointer" in second


def test_a_table_that_is_a_pointer(data: Path) -> None:
    (data / "vap_data.csv").write_text(POINTER)
    with refuses(DataError, ErrorKind.MISSING, "vap_data.csv"):
        load(data, SPEC)


FLAWS = {
    "blank split": (index_row("x/1.mp4", A, split=""), "1 with a blank split (line 6)"),
    "blank score": (
        index_row("x/1.mp4", A, reference_alignment_score=""),
        "1 with a blank reference_alignment_score (line 6)",
    ),
    "no number": (
        index_row("x/1.mp4", A, split="train", reference_alignment_score="high"),
        "1 with a cell that cannot be read (line 6)",
    ),
    "outside": (index_row("../1.mp4", A, split="train"), "1 with a path out of the data (line 6)"),
    "doubled": (index_row(D, A, split="train"), "1 listed twice (line 6)"),
    "doubled, and differing": (index_row(D, A, split="test"), "1 listed twice (line 6)"),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_flaws_of_rows_that_no_case_uses_are_counted(data: Path, flaw: str, caplog: pytest.LogCaptureFixture) -> None:
    row, said = FLAWS[flaw]
    table(data / "vap_data.csv", INDEX, [*ROWS, row])
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        assert ids(load(data, SPEC)) == EXPECTED
    assert said in caplog.text


@pytest.mark.parametrize(
    ("rows", "line", "kind", "field"),
    [
        ([index_row(A, B, split=""), *ROWS[1:]], 2, ErrorKind.MISSING, "split"),
        ([ROWS[0], index_row(B, A, split=""), *ROWS[2:]], 3, ErrorKind.MISSING, "split"),
        ([*ROWS, index_row(A, B, split="train")], 6, ErrorKind.CONFLICT, "split"),
        ([*ROWS, index_row(A, B, kind="vidu_orbit")], 6, ErrorKind.CONFLICT, "kind"),
    ],
)
def test_flaws_of_rows_that_a_case_uses_end_with_the_line(
    data: Path, rows: Sequence[tuple[object, ...]], line: int, kind: ErrorKind, field: str
) -> None:
    table(data / "vap_data.csv", INDEX, rows)
    with refuses(DataError, kind, field) as caught:
        load(data, SPEC)
    assert f"vap_data.csv:{line}: " in str(caught.value)


@pytest.mark.parametrize(
    ("value", "kept"), [("1", 2), ("", 2), ("True", 2), ("0", 1), ("-1", 1), ("0.0", 1), ("False", 1)]
)
def test_valid_is_honoured(data: Path, value: str, kept: int, caplog: pytest.LogCaptureFixture) -> None:
    rows = [(*row, value if row[0] == C else 1) for row in ROWS]
    table(data / "vap_data.csv", (*INDEX, "_valid"), rows)
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        assert ids(load(data, SPEC)) == EXPECTED[:kept]
    assert ("1 of 2 cases left out, for a video with _valid <= 0" in caplog.text) is (kept == 1)
    (data / "benchmark" / "benchmark.csv").unlink()
    assert len(load(data, SPEC)) == kept + 1


def test_training_leaves_out_what_is_not_valid(data: Path) -> None:
    rows = [*ROWS, index_row("vidu_ghibli/man-4.mp4", A, split="train")]
    table(data / "vap_data.csv", (*INDEX, "_valid"), [(*row, row[0] == D) for row in rows])
    assert [row.path for row in training_rows(data)] == [D]
    assert training_rows(data)[0].video() == data / D


def test_nothing_of_the_benchmark_is_trained_on(data: Path) -> None:
    table(data / "vap_data.csv", INDEX, [*ROWS[:2], index_row(C, B, split="train"), ROWS[3]])
    with refuses(DataError, ErrorKind.CONFLICT, "split") as caught:
        training_rows(data)
    assert f"vap_data.csv:4: {C} " in str(caught.value)


def test_a_target_that_the_index_does_not_list(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    table(data / "vap_data.csv", INDEX, ROWS[1:])
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        first, second = load(data, SPEC)
    assert [note.kind for note in first.notes] == ["leaks-unchecked"]
    assert second.notes == ()
    assert "1 of 2 targets not listed, so leaks from the train split cannot be checked" in caplog.text


def test_files_of_several_folders_that_share_their_names(data: Path) -> None:
    shutil.copytree(data / "vidu_ghibli", data / "hq" / "vidu_ghibli")
    table(data / "benchmark" / "benchmark.csv", BENCHMARK, [*CASES, (f"hq/{A}", f"hq/{B}", "x", "y"), CASES[0]])
    table(data / "vap_data.csv", INDEX, [*ROWS, index_row(f"hq/{A}"), index_row(f"hq/{B}")])
    first, second, third = ids(load(data, SPEC))
    assert second == EXPECTED[1], "only those that would be confused are named otherwise"
    assert first != third
    assert first.startswith(f"{EXPECTED[0]}--")


def test_another_number_of_cases_than_was_published_is_noted(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="vapbench"):
        assert len(find_suite("vap-data").cases(data)) == 2
    assert "this data has 2 cases of 1 condition in task all; published are 48 of 24" in caplog.text


def test_options_of_the_suite(data: Path) -> None:
    table(data / "vap_data.csv", INDEX, [ROWS[0], index_row(B, split="train"), *ROWS[2:]])
    assert len(find_suite("vap-data").cases(data)) == 2
    with refuses(DataError, ErrorKind.CONFLICT, "reference"):
        find_suite("vap-data:train_references=refuse").cases(data)
