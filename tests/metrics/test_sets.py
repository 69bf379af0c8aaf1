"""Set metrics: the distance, its interval, the network, and the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import vapbench as vb
from tests.metrics.conftest import CPU, moving_clip, view
from tests.refusals import refuses
from vapbench.cli import app
from vapbench.core.case import Case
from vapbench.errors import DataError, ErrorKind, NotApplicable, UsageError, WeightsError
from vapbench.metrics.fvd import Fvd
from vapbench.metrics.sets import Features, frechet_distance, resolve, score_set
from vapbench.report.tables.summary import summarise
from vapbench.results.run import RunFolder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small VideoMAE with random weights."""
    from transformers import VideoMAEConfig, VideoMAEModel

    torch.manual_seed(0)
    config = VideoMAEConfig(
        image_size=32,
        patch_size=16,
        num_frames=4,
        tubelet_size=2,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.3,
    )
    folder = tmp_path_factory.mktemp("videomae")
    VideoMAEModel(config).save_pretrained(folder)
    return folder


def test_colours_are_normalised_as_the_network_was_trained(network: Path, case: Case, tmp_path: Path) -> None:
    def features(folder: Path) -> Features:
        metric = Fvd(str(folder))
        metric.setup(CPU)
        return metric.features(view(moving_clip(), case))

    own = tmp_path / "own"
    shutil.copytree(network, own)
    prepared = own / "preprocessor_config.json"
    prepared.write_text(json.dumps({"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}))
    assert np.array_equal(features(own), features(network))
    prepared.write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}))
    assert np.abs(features(own) - features(network)).max() > 0.01
    prepared.write_text("{}")
    with refuses(WeightsError, ErrorKind.MISSING, "image_mean"):
        features(own)


def test_the_distance_of_known_normals() -> None:
    """Two diagonal normals, whose distance has a closed form."""
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1, (100_000, 3))
    second = rng.normal([1, 0, -2], [1, 2, 3], (100_000, 3))
    assert frechet_distance(first, second) == pytest.approx(1 + 4 + 0 + 1 + 4, rel=0.02)


def test_the_distance_is_scipys() -> None:
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(40, 6)), rng.normal(0.3, 1.5, size=(50, 6))
    covariances = [np.cov(part, rowvar=False) for part in (first, second)]
    apart = first.mean(0) - second.mean(0)
    root = sqrtm(covariances[0] @ covariances[1]).real
    wanted = apart @ apart + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(wanted, rel=1e-6)


def test_equal_sets_are_not_apart_even_with_more_dimensions_than_videos() -> None:
    features = np.random.default_rng(0).normal(size=(5, 64))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)


def test_one_video_has_no_distribution() -> None:
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "videos"):
        frechet_distance(np.zeros((1, 4)), np.zeros((1, 4)))


def test_the_interval_is_over_conditions() -> None:
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(0.5, 1, size=(40, 4)), rng.normal(size=(40, 4))
    metric = Fvd(model="unused")
    apart = score_set(metric, outputs, targets, [f"c{index}" for index in range(40)])
    assert apart.low is not None and apart.high is not None
    assert apart.low < apart.value < apart.high
    assert (apart.n, apart.clusters) == (40, 40)
    assert score_set(metric, outputs, targets, [f"c{index}" for index in range(40)]) == apart
    alone = score_set(metric, outputs, targets, ["one"] * 40)
    assert (alone.low, alone.high, alone.clusters) == (None, None, 1)


def test_features_follow_the_video(network: Path) -> None:
    metric, changed = resolve(f"fvd:model={network}")
    assert changed == {"model": str(network)}
    metric.setup(CPU)
    found = [metric.features(view(moving_clip(9, colour=colour))) for colour in ("red", "red", "blue")]
    assert found[0].shape == (32,)
    assert np.array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-3


def test_an_absent_network_names_the_command() -> None:
    with refuses(NotApplicable, ErrorKind.MISSING, "model", "hf download nobody/nothing"):
        Fvd(model="nobody/nothing").setup(CPU)


def test_a_network_must_be_chosen() -> None:
    with refuses(UsageError, ErrorKind.MISSING, "model"):
        resolve("fvd")


def test_the_command(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    arguments = "run -q -m ground-truth -m frozen --task camera --limit 3 --metric temporal_flickering --results"
    made = runner.invoke(app, [*arguments.split(), str(tmp_path)])
    assert made.exit_code == 0, made.output
    values = {}
    for name in ("ground-truth", "frozen"):
        command = ["score", "-q", str(tmp_path / "mini" / name), "--task", "camera", "--metric", f"fvd:model={network}"]
        done = runner.invoke(app, command)
        assert done.exit_code == 0, done.output
        assert "n=3 videos" in done.stdout
        values[name] = float(done.stdout.split(f"fvd:model={network}: ")[1].split()[0])
    assert values["ground-truth"] < values["frozen"]
    kept = [path for path in tmp_path.glob("mini/*/sets/*.json")]
    assert len(kept) == 2
    result = json.loads((tmp_path / "mini" / "frozen" / "sets" / kept[0].name).read_text())
    assert result["value"] == pytest.approx(values["frozen"], abs=0.01)
    assert (result["n"], result["cases"], result["version"], result["task"]) == (3, 3, Fvd.version, "camera")
    assert result["reference"] == "the ground-truth videos of the same cases"
    # The network by name and hash; no folder of this machine.
    assert result["params"] == {"model": network.name}
    assert str(tmp_path) not in json.dumps(result)
    # The second time, the network is not needed: everything is cached.
    monkeypatch.setattr(Fvd, "setup", lambda self, device: pytest.fail("the network was loaded again"))
    assert runner.invoke(app, command).stdout == done.stdout


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_reports_show_what_was_kept(network: Path, tmp_path: Path) -> None:
    made = ("run", "-q", "-m", "ground-truth", "-m", "frozen", "-m", "noise", "-m", "copy-reference")
    invoke(*made, "--task", "camera", "--limit", 3, "--metric", "temporal_flickering", "--results", tmp_path)
    mini = tmp_path / "mini"
    for name in ("ground-truth", "frozen", "noise"):
        # Without --task: the same cases under another name.
        invoke("score", mini / name, "--metric", f"fvd:model={network}")
    (table,) = json.loads(invoke("report", "--results", tmp_path, "--json"))
    assert [column["title"] for column in table["columns"]] == ["Temporal flickering", "FVD"]
    column = table["columns"][1]
    assert (column["arrow"], column["params"]["model"]) == ("\N{DOWNWARDS ARROW}", network.name)
    cells = {row["label"]: row["cells"][1] for row in table["rows"]}
    # Encoding leaves its traces on the ground truth as well.
    assert 0 < cells["ground-truth"]["mean"] < cells["frozen"]["mean"]
    assert (cells["frozen"]["n"], cells["frozen"]["total"], cells["frozen"]["complete"]) == (3, 3, True)
    assert (cells["copy-reference"]["mean"], cells["copy-reference"]["missing"]) == (None, 3)
    assert any(f"FVD is fvd v{Fvd.version}" in footer and "3 videos" in footer for footer in table["footers"])
    assert "FVD" in invoke("table", "--results", tmp_path, "--style", "wide")
    # Another video than the value was made from: it no longer counts.
    rows = mini / "frozen" / "generations.jsonl"
    rows.write_text(rows.read_text().replace('"sha256": "', '"sha256": "0').replace('"sha256":"', '"sha256":"0'))
    (table,) = json.loads(invoke("report", "--results", tmp_path, "--json"))
    cell = next(row["cells"][1] for row in table["rows"] if row["label"] == "frozen")
    assert cell["mean"] is None
    assert "its videos are others since: vapbench score" in cell["reason"]


def test_too_few_videos_have_no_value_and_are_no_failure(network: Path, tmp_path: Path) -> None:
    arguments = ("--task", "camera", "--limit", 1, "--metric", "temporal_flickering", "--results", tmp_path)
    invoke("run", "-q", "-m", "frozen", *arguments)
    said = invoke("score", tmp_path / "mini" / "frozen", "--metric", f"fvd:model={network}", "--json")
    assert json.loads(said)[0]["rows"][0]["cells"][0]["mean"] is None
    (table,) = json.loads(invoke("report", "--results", tmp_path, "--json"))
    cell = table["rows"][0]["cells"][1]
    assert (cell["mean"], cell["n"], cell["unscored"]) == (None, 0, 1)
    assert "at least 2 videos" in cell["reason"]
    (path,) = (tmp_path / "mini" / "frozen" / "sets").glob("*.json")
    path.write_text("{")
    with refuses(DataError, ErrorKind.DAMAGED, "fvd-eb704d00.json", "vapbench score"):
        summarise([RunFolder(tmp_path / "mini" / "frozen")])


def test_one_command_scores_clips_and_sets(network: Path, tmp_path: Path) -> None:
    arguments = ("--task", "camera", "--limit", 3, "--metric", "temporal_flickering", "--results", tmp_path)
    invoke("run", "-q", "-m", "frozen", *arguments)
    run, fvd = tmp_path / "mini" / "frozen", f"fvd:model={network}"
    both = ("--task", "camera", "--metric", fvd, "--metric", "first_frame_psnr")
    planned = json.loads(invoke("score", run, *both, "--dry-run", "--json"))
    assert (planned["sets"], [column["column"] for column in planned["columns"]]) == ([fvd], ["first_frame_psnr"])
    assert not (run / "sets").exists()
    (table,) = json.loads(invoke("score", run, *both, "--json"))
    assert [column["title"] for column in table["columns"]] == ["First frame PSNR", "FVD"]
    assert [cell["n"] for cell in table["rows"][0]["cells"]] == [3, 3]
    # Videos of one's own: taken in, then compared as a set.
    shutil.copytree(run / "videos", tmp_path / "mine")
    mine = ("score", tmp_path / "mine", "--task", "camera", "--results", tmp_path, "--name", "mine", "--json")
    (table,) = json.loads(invoke(*mine, "--metric", fvd))
    assert table["rows"][0]["cells"][0]["n"] == 3
    refused = CliRunner().invoke(app, ["score", str(run), "--limit", "2", "--metric", fvd])
    assert "takes every video of the task" in str(refused.exception)
    shutil.rmtree(run / "sets")
    vb.score(run, metrics=[fvd], task="camera", device="cpu", progress=False)
    assert vb.table(run, task="camera", metrics=["fvd"]).to_dataframe()["n"].tolist() == [3]
