"""Data as people have it, from the command line: VAP-Data as published, own cases, videos without cases."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from tests.command import vapbench
from tests.conftest import moving_clip
from vapbench.core.video import write_video
from vapbench.results.run import RunFolder
from vapbench.suites.mini.writer import write_vap_data


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mini suite in VAP-Data's layout, with ``benchmark.csv`` where it is published."""
    folder = tmp_path_factory.mktemp("data") / "d"
    write_vap_data(folder)
    (folder / "benchmark").mkdir()
    shutil.move(folder / "benchmark.csv", folder / "benchmark" / "benchmark.csv")
    return folder


def test_the_published_benchmark_is_read_and_not_every_held_out_row(prepared: Path, tmp_path: Path) -> None:
    done = vapbench("data", "verify", "--suite", "vap-data", "--data", prepared)
    assert done.returncode == 0, done.stderr
    assert "vap-data: 66 cases of 33 conditions" in done.stdout
    assert f"Cases are read from {prepared}/benchmark/benchmark.csv" in done.stderr
    assert "54 cases of 27 conditions in task all; published are 48 of 24" in done.stderr
    arguments = ("--suite", "vap-data", "--data", prepared, "--results", tmp_path, "--dry-run")
    assert "54 (27 conditions)" in vapbench("run", "-m", "frozen", *arguments).stdout


def test_a_reference_of_the_train_split_is_noted_from_the_data_to_the_page(prepared: Path, tmp_path: Path) -> None:
    data = shutil.copytree(prepared, tmp_path / "data")
    with (data / "benchmark" / "benchmark.csv").open(newline="", encoding="utf-8") as handle:
        first = next(csv.DictReader(handle))
    table = data / "vap_data.csv"
    with table.open(newline="", encoding="utf-8") as handle:
        header, *rows = csv.reader(handle)
    for row in rows:
        row[4] = "train" if row[0] == first["ref_video_path"] else row[4]
    with table.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([header, *rows])
    shared = ("--data", data, "--limit", "2", "--metric", "temporal_flickering", "--results", tmp_path / "r")
    done = vapbench("run", "-m", "frozen", "--suite", "vap-data", *shared)
    assert done.returncode == 0, done.stderr
    assert "1 of 54 cases" in done.stderr or "1 of 66 cases" in done.stderr
    assert "1 of 2 cases has a reference in the train split, which a trained model may have seen: " in done.stdout
    run = tmp_path / "r" / "vap-data" / "frozen"
    shutil.copytree(run, run.with_name("other"))
    assert (
        "1 of 2 cases has a reference in" in vapbench("compare", "frozen", "other", "--results", tmp_path / "r").stdout
    )
    cases = RunFolder(run).manifest().cases.values()
    noted = [[(note.kind, note.detail) for note in case.notes] for case in cases]
    assert [("train-reference", first["ref_video_path"])] in noted
    assert [] in noted
    assert vapbench("show", run).returncode == 0
    assert first["ref_video_path"] in (run / "show.html").read_text(encoding="utf-8")
    refused = vapbench("run", "-m", "frozen", "--suite", "vap-data:train_references=refuse", *shared)
    assert refused.returncode == 3
    assert f"its reference {first['ref_video_path']} is in the train split" in refused.stderr


def test_verify_lists_every_missing_file(prepared: Path, tmp_path: Path) -> None:
    data = shutil.copytree(prepared, tmp_path / "data")
    gone = sorted(data.glob("mini_bolumo/*.mp4"))[:2]
    for path in gone:
        path.unlink()
    done = vapbench("data", "verify", "--suite", "vap-data", "--data", data)
    assert done.returncode == 3
    assert all(path.name in done.stderr for path in gone)
    assert "vap-data: files missing: 2" in done.stdout


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "my videos"
    (folder / "one").mkdir(parents=True)
    (folder / "two").mkdir()
    for number, name in enumerate(["one/a clip (1).mp4", "one/b.mp4", "two/a clip (1).mp4"]):
        write_video(folder / name, moving_clip(number, frames=5))
    return folder


def test_videos_without_cases_are_scored_shown_and_compared(videos: Path, tmp_path: Path) -> None:
    results = tmp_path / "r"
    shared = ("--suite", "custom", "--results", results, "--metric", "temporal_flickering")
    before = sorted(videos.rglob("*"))
    done = vapbench("score", videos, *shared, "--metric", "first_frame_psnr")
    assert done.returncode == 0, done.stderr
    assert "left out: first_frame_psnr needs image" in done.stderr
    assert "clustered by the 2 sub-folders" in done.stderr
    assert "custom · all · 3 cases x 1 seed" in done.stdout
    assert "3/3" in done.stdout
    assert "frozen" not in done.stdout, "there is no floor where there is no first frame"
    assert sorted(videos.rglob("*")) == before
    run = results / "custom" / "my-videos"
    manifest = RunFolder(run).manifest()
    assert set(manifest.cases) == {"one--a-clip-1-", "one--b", "two--a-clip-1-"}
    assert all(case.reference is case.image is None for case in manifest.cases.values())
    assert all(row.note == "" for row in RunFolder(run).current()), "nobody asked for another size"
    again = vapbench("score", videos, *shared)
    assert "generate" not in again.stderr
    more = vapbench("score", run, "--suite", "custom", "--results", results, "--metric", "motion_smoothness[warp]")
    assert (more.returncode, "3/3" in more.stdout) == (0, True), more.stderr
    assert vapbench("show", run).returncode == 0
    page = (run / "show.html").read_text(encoding="utf-8")
    assert "First frame" not in page
    other = shutil.copytree(videos, tmp_path / "others")
    assert vapbench("score", other, *shared).returncode == 0
    compared = vapbench("compare", "my-videos", "others", "--results", results)
    assert compared.returncode == 0, compared.stderr
    assert "condition of their own" not in compared.stdout
    assert "3/3" in compared.stdout
    assert vapbench("report", "--results", results).returncode == 0


def test_videos_are_verified_without_cases(videos: Path) -> None:
    (videos / "broken.mp4").write_bytes(b"no video")
    done = vapbench("data", "verify", "--suite", "custom", "--data", videos)
    assert done.returncode == 3
    assert "broken.mp4" in done.stderr
    assert "custom: 4 cases of 3 conditions, 1 unreadable video" in done.stdout


def test_own_cases_are_run_and_score_finished_videos(videos: Path, tmp_path: Path) -> None:
    cases = tmp_path / "my_cases"
    shutil.copytree(videos, cases)
    (cases / "cases.csv").write_text(
        "reference,image,condition,category,caption\none/b.mp4,two/a clip (1).mp4,hop,motion,\n", encoding="utf-8"
    )
    shared = ("--suite", "my_cases", "--results", "r", "--metric", "temporal_flickering")
    done = vapbench("run", "-m", "frozen", *shared, "--metric", "text_alignment[mini-clip]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "No task lists" not in done.stderr
    assert "the case has no caption" in done.stdout
    assert vapbench("run", "-m", "frozen", *shared, "--task", "motion", cwd=tmp_path).returncode == 0
    (case,) = RunFolder(tmp_path / "r" / "my_cases" / "frozen").manifest().cases.values()
    assert case.tasks == ["all", "motion"]
    (tmp_path / "outputs").mkdir()
    shutil.copy(videos / "one" / "b.mp4", tmp_path / "outputs" / "hop--a-clip-1---b.mp4")
    scored = vapbench("score", "outputs", *shared, cwd=tmp_path)
    assert (scored.returncode, "1/1" in scored.stdout) == (0, True), scored.stderr


def test_files_name_their_suite_and_task_wherever_runs_are_named(tmp_path: Path) -> None:
    table = tmp_path / "mine" / "cases.csv"
    table.parent.mkdir()
    write_video(table.parent / "a.mp4", moving_clip())
    table.write_text("id,reference,image,condition\n" + "".join(f"c-{n},a.mp4,a.mp4,turn\n" for n in range(3)))
    task = tmp_path / "turning.yaml"
    task.write_text("name: turns\ntitle: Turns\nconditions: [turn]\n")
    given = ("--suite", table, "--task", task, "--metric", "temporal_flickering")
    for name in ("frozen", "noise"):
        done = vapbench("run", "--method", name, *given, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for command in (
        ("table",),
        ("report",),
        ("export",),
        ("compare", "frozen", "noise"),
        ("study", "plan", "-m", "frozen", "-m", "noise", "--dry-run"),
    ):
        for suite in ("mine", table, table.parent):
            done = vapbench(*command, "--suite", suite, cwd=tmp_path)
            assert done.returncode == 0, (command, suite, done.stderr)
        if command != ("export",):  # It writes the cases of every task.
            done = vapbench(*command, "--suite", table, "--task", task, cwd=tmp_path)
            assert done.returncode == 0, (command, done.stderr)
    missed = vapbench("compare", "frozen", "noise", "--suite", "mini", cwd=tmp_path)
    assert missed.returncode == 2 and "--suite mine" in missed.stderr
