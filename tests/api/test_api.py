"""The Python interface, as a notebook uses it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vapbench as vb
from tests.refusals import refuses
from vapbench.errors import ErrorKind
from vapbench.report.read.frame import SCHEMA

RESULTS = Path(__file__).parents[2] / "results"
FREE = ["temporal_flickering", "first_frame_psnr"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def made(folder: Path) -> vb.Run:
    return vb.run("frozen", task="camera", limit=2, metrics=FREE, results=folder, progress=False)


def test_a_run_is_made_scored_and_resumed(made: vb.Run, folder: Path) -> None:
    assert (made.name, made.method, made.suite) == ("frozen", "frozen", "mini")
    assert len(made.videos) == 2
    before = {path: path.read_bytes() for path in folder.rglob("*.jsonl")}
    again = vb.run("frozen", task="camera", limit=2, metrics=FREE, results=str(folder), progress=False)
    assert again.path == made.path
    assert {path: path.read_bytes() for path in folder.rglob("*.jsonl")} == before


def test_the_frame_has_a_row_per_case_seed_and_column(made: vb.Run) -> None:
    frame = made.to_dataframe()
    assert list(frame.columns) == list(SCHEMA)
    assert len(frame) == 4
    assert set(frame["status"]) == {"scored"}
    assert set(frame["metric"]) == set(FREE)
    assert frame.groupby("metric")["value"].mean()["temporal_flickering"] > 0.99


def test_a_metric_of_ones_own_is_added_by_path(made: vb.Run, tmp_path: Path) -> None:
    source = Path(__file__).with_name("sharpness.py")
    run = vb.score(made, metrics=[f"{source}:Sharpness"], task="camera", progress=False)
    frame = run.to_dataframe()
    assert (frame["metric"] == "sharpness").sum() == 2
    assert frame.loc[frame["metric"] == "sharpness", "value"].gt(0).all()


def test_superseded_rows_are_not_in_the_frame(folder: Path) -> None:
    run = vb.run("noise", task="camera", limit=2, metrics=FREE[:1], results=folder, progress=False)
    vb.run("noise", task="camera", limit=2, metrics=FREE[:1], results=folder, refresh="all", progress=False)
    rows = (run.path / "scores" / "temporal_flickering.jsonl").read_text().splitlines()
    frame = run.reloaded().to_dataframe()
    assert len(rows) >= len(frame) == 2


def test_committed_runs_load_and_tabulate() -> None:
    runs = vb.load_runs(RESULTS)
    frame = runs.to_dataframe()
    assert len(runs) == 13
    seen = frame[(frame["method"] == "vap") & frame["parameters"].eq("") & frame["task"].eq("camera")]
    table = vb.table([run for run in runs if run.path.name in ("vap", "i2v")], task="camera").to_dataframe()
    cell = table[(table["method"] == "vap") & table["metric"].eq("semantic_alignment[embedding]")].iloc[0]
    assert cell["n"] == cell["total"] == 14
    assert seen[seen["metric"] == "semantic_alignment[embedding]"]["value"].mean() == pytest.approx(cell["mean"])


def test_a_table_is_latex_markdown_and_html() -> None:
    table = vb.table(RESULTS / "mini" / "vap", task="camera", style="paper")
    assert "\\toprule" in table.to_latex()
    assert "| vap" in table.to_markdown()
    assert "<table" in table.to_html() == table._repr_html_()


def test_a_folder_with_runs_is_tabulated_as_its_runs_are() -> None:
    folders = [vb.table(runs, task="camera").to_markdown() for runs in (RESULTS / "mini", vb.load_runs(RESULTS))]
    assert folders[0] == folders[1] and "| vap" in folders[0]


def test_a_comparison_says_which_is_better() -> None:
    comparison = vb.compare(RESULTS / "mini" / "vap", str(RESULTS / "mini" / "i2v"), task="all")
    frame = comparison.to_dataframe().set_index("metric")
    row = frame.loc["semantic_alignment[embedding]"]
    assert row["difference"] == pytest.approx(row["mean_a"] - row["mean_b"])
    assert row["low"] < row["difference"] < row["high"]
    assert row["better"] == "vap"
    assert "vap minus i2v" in str(comparison)


def test_a_metric_scores_one_clip_from_a_file_an_array_or_a_tensor(made: vb.Run) -> None:
    import torch

    path = next(iter(made.videos.values()))
    frames = vb.read_video(path).frames
    flickering = vb.metric("temporal_flickering")
    values = [flickering(clip).value for clip in (path, str(path), frames, torch.from_numpy(frames.copy()))]
    assert values == [values[0]] * 4
    other = list(made.videos.values())[1]
    psnr = vb.metric("first_frame_psnr")(path, image=other).value
    assert psnr is not None
    assert psnr < 60.0
    assert vb.metric("first_frame_psnr")(path, image=path).value == 60.0


def test_what_is_no_file_is_named() -> None:
    frames = np.zeros((13, 64, 64, 3), np.uint8)
    with refuses(vb.UsageError, ErrorKind.INVALID, "image", "image= takes the path of a file", "ndarray"):
        vb.metric("first_frame_psnr")(frames, image=frames[0])  # type: ignore[arg-type]
    with refuses(vb.UsageError, ErrorKind.INVALID, "clip"):
        vb.metric("temporal_flickering")([[1, 2], [3]])


def test_what_a_metric_lacks_is_named() -> None:
    with refuses(vb.UsageError, ErrorKind.MISSING, "image"):
        vb.metric("first_frame_psnr")(np.zeros((4, 8, 8, 3), np.uint8))
    with refuses(vb.UsageError, ErrorKind.INVALID, "clip"):
        vb.metric("temporal_flickering")(np.zeros((4, 8, 8, 3)))


def test_names_are_listed() -> None:
    assert {"vap", "i2v", "frozen"} <= set(vb.list_methods())
    assert "temporal_flickering" in vb.list_metrics()
    assert "camera" in vb.list_tasks()


def test_a_folder_without_runs_is_named(tmp_path: Path) -> None:
    with refuses(vb.UsageError, ErrorKind.MISSING, "results", "vapbench run --help"):
        vb.load_runs(tmp_path / "absent")
    assert len(vb.load_runs(tmp_path)) == 0
    assert list(vb.load_runs(tmp_path).to_dataframe().columns) == list(SCHEMA)


def test_runs_are_looked_for_where_the_commands_look(
    tmp_path: Path, folder: Path, made: vb.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAPBENCH_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    # A folder called results that is no clone's holds somebody's own files.
    shutil.copytree(RESULTS / "mini" / "noise", tmp_path / "results" / "mini" / "noise")
    assert len(vb.load_runs()) == 0
    shutil.copytree(made.path, tmp_path / "runs" / "mini" / "frozen")
    assert [run.path for run in vb.load_runs()] == [Path("runs/mini/frozen")]
    monkeypatch.setenv("VAPBENCH_RESULTS", str(folder))
    assert {run.path.parent for run in vb.load_runs()} == {made.path.parent}
    monkeypatch.delenv("VAPBENCH_RESULTS")
    monkeypatch.chdir(RESULTS.parent)
    # Equal runs that were made here stand in for some of the committed ones.
    assert any(RESULTS in run.path.resolve().parents for run in vb.load_runs())


def test_a_folder_of_videos_is_scored_with_the_seeds_it_holds(made: vb.Run, tmp_path: Path) -> None:
    videos = tmp_path / "theirs"
    videos.mkdir()
    for (case, _), video in made.videos.items():
        (videos / f"{case}__s1.mp4").write_bytes(video.read_bytes())
    (videos / "manifest.json").write_text("{}")  # somebody else's: this is no run
    run = vb.score(videos, metrics=FREE[:1], task="camera", results=tmp_path / "r", progress=False)
    frame = run.to_dataframe()
    assert set(frame.loc[frame["status"] == "scored", "seed"]) == {1}
    assert (frame["status"] == "scored").sum() == 2
    (tmp_path / "empty").mkdir()
    with refuses(vb.DataError, ErrorKind.MISSING, "target"):
        vb.score(tmp_path / "empty", task="camera", results=tmp_path / "r", progress=False)


def test_a_metric_edited_and_set_back_has_its_own_scores_again(made: vb.Run, tmp_path: Path) -> None:
    source = tmp_path / "level.py"
    text = "import vapbench as vb\n\n\nclass Level(vb.Metric):\n    def score(self, clip, case):\n        return {}\n"

    def scored(value: str) -> set[float]:
        source.write_text(text.format(value))
        run = vb.score(made, metrics=[f"{source}:Level"], task="camera", progress=False)
        frame = run.to_dataframe()
        return set(frame.loc[frame["metric"] == "level", "value"])

    assert [scored("1.0"), scored("2.0"), scored("1.0")] == [{1.0}, {2.0}, {1.0}]


IN_PLACE = """
import vapbench as vb


class Halved(vb.Metric):
    def score(self, clip, case):
        {}
        return float(clip.frames.mean())
"""


def test_frames_are_read_only_so_that_no_metric_changes_another_s_score(made: vb.Run, tmp_path: Path) -> None:
    (tmp_path / "halved.py").write_text(IN_PLACE.format("clip.frames[:] //= 2"))
    metrics = [f"{tmp_path / 'halved.py'}:Halved", "first_frame_psnr"]
    run = vb.run("frozen", task="camera", limit=2, metrics=metrics, results=tmp_path, max_failures=9, progress=False)
    frame, own = run.to_dataframe().set_index(["metric", "case"]), made.to_dataframe().set_index(["metric", "case"])
    assert frame.loc["halved", "reason"].str.contains("read-only").all()
    assert (frame.loc["first_frame_psnr", "value"] == own.loc["first_frame_psnr", "value"]).all()


def test_a_metric_that_changes_the_tensor_fails_and_so_do_those_after_it(tmp_path: Path) -> None:
    (tmp_path / "halved.py").write_text(IN_PLACE.format("clip.tensor.div_(2, rounding_mode='floor')"))
    metrics = ["temporal_flickering", f"{tmp_path / 'halved.py'}:Halved", "first_frame_psnr"]
    run = vb.run("frozen", task="camera", limit=1, metrics=metrics, results=tmp_path, max_failures=9, progress=False)
    frame = run.to_dataframe().set_index("metric")
    assert dict(frame["status"]) == {"temporal_flickering": "scored", "halved": "failed", "first_frame_psnr": "failed"}
    assert str(frame.loc["first_frame_psnr", "reason"]).startswith("DataError: halved changed the clip in place")


def test_a_metric_that_changes_the_tensor_and_then_gives_up_is_seen_too(tmp_path: Path) -> None:
    change = "clip.tensor.copy_(clip.tensor.flip(0)); raise vb.NotApplicable('no')"
    (tmp_path / "halved.py").write_text(IN_PLACE.format(change))
    metrics = [f"{tmp_path / 'halved.py'}:Halved", "temporal_flickering"]
    run = vb.run("frozen", task="camera", limit=1, metrics=metrics, results=tmp_path, max_failures=9, progress=False)
    assert set(run.to_dataframe()["status"]) == {"failed"}


def test_scores_by_other_states_of_a_metric_s_file_are_no_one_column(tmp_path: Path) -> None:
    source, text = tmp_path / "mine.py", IN_PLACE.replace("Halved", "Mine").replace("return", "return {} *")
    runs = []
    for method, factor in (("frozen", 1), ("noise", 1000)):
        source.write_text(text.format("pass", factor))
        runs.append(
            vb.run(method, task="camera", limit=2, metrics=[f"{source}:Mine"], results=tmp_path, progress=False)
        )
    table = vb.table(runs, task="camera")
    frame = table.to_dataframe()
    assert len(set(frame["title"])) == 2 and frame["mean"].notna().sum() == 2
    assert "mine v1 (files=" in str(table) and str(table).startswith("mini · camera")
    assert vb.compare(runs[0], runs[1]).to_dataframe().empty
    vb.score(runs[0], metrics=[f"{source}:Mine"], task="camera", progress=False)
    assert len(set(vb.table(runs, task="camera").to_dataframe()["title"])) == 1


def test_the_error_that_ends_a_run_names_it_and_what_failed_first(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(IN_PLACE.format("raise OSError('no such disk')"))
    with refuses(vb.TooManyFailures, ErrorKind.LIMIT, "max_failures", str(tmp_path), "First: OSError: no such disk"):
        metric = f"{tmp_path / 'bad.py'}:Halved"
        vb.run("frozen", task="camera", limit=2, metrics=[metric], results=tmp_path, progress=False)


def test_a_probe_says_what_the_reference_does(folder: Path) -> None:
    found = vb.probe("frozen", task="camera", limit=2, cells="core", results=folder, progress=False)
    frame = found.to_dataframe().set_index("effect")
    assert set(frame.loc[["reference", "caption"], "verdict"]) == {"unchanged"}
    assert frame.loc["reference", "mean"] == 0
    assert frame.loc["reference", "n"] == frame.loc["reference", "total"] == 2
    assert "frozen ignores its reference" in str(found)
    assert {path.suffix for path in found.files} == {".html", ".svg", ".pdf", ".png", ".json"}
    assert all(path.is_file() for path in found.files)


def test_a_run_goes_by_its_name(made: vb.Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAPBENCH_RESULTS", str(folder))
    assert vb.load_run("frozen").path == made.path
    assert vb.table("frozen", metrics=FREE[:1]).to_dataframe()["method"].tolist() == ["frozen"]
    with refuses(vb.UsageError, ErrorKind.UNKNOWN, "run"):
        vb.compare("frozem", made)
    with refuses(vb.UsageError, ErrorKind.UNKNOWN, "metric", "'flicker'", "Did you mean temporal_flickering?"):
        vb.table(made, metrics=["flicker"])


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ({"refresh": "nothing"}, ErrorKind.INVALID, "refresh 'nothing': give missing, failed or all"),
        ({"limit": 0}, ErrorKind.INVALID, "limit 0: give a count of cases"),
        ({"limit": -1}, ErrorKind.INVALID, "limit -1: give a count of cases"),
        ({"max_failures": 1.5}, ErrorKind.INVALID, "max_failures 1.5: give a count"),
        ({"seeds": [-1]}, ErrorKind.INVALID, "seeds -1: a seed is a whole number"),
        ({"suite": "vap-data"}, ErrorKind.MISSING, "reads files: add data DIR"),
        ({"metrics": "flickering"}, ErrorKind.UNKNOWN, "Unknown metric 'flickering'"),
    ],
)
def test_what_an_argument_cannot_be_is_refused_by_its_name(
    asked: dict[str, Any], kind: ErrorKind, said: str, folder: Path
) -> None:
    (argument,) = asked
    with refuses(vb.UsageError, kind, {"suite": "data", "metrics": "metric"}.get(argument, argument)) as caught:
        vb.run("frozen", **{"task": "camera", "limit": 1, "results": folder, "progress": False, **asked})
    assert said in str(caught.value) and "--" not in str(caught.value)


def test_a_probes_cells_are_one_of_three(folder: Path) -> None:
    with refuses(vb.UsageError, ErrorKind.INVALID, "cells"):
        vb.probe("frozen", task="camera", limit=1, cells="all", results=folder)  # type: ignore[arg-type]


def test_a_table_needs_a_run() -> None:
    with refuses(vb.UsageError, ErrorKind.MISSING, "runs"):
        vb.table([])
