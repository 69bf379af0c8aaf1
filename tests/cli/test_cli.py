"""The command line as a user meets it: by exit code and output, and where it matters in a process of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.command import in_a_new_process, vapbench
from tests.conftest import moving_clip
from vapbench.cli import app
from vapbench.core.video import write_video
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter

PARITY = Path(__file__).parents[1] / "data" / "parity" / "vap" / "cogvideox_pipeline" / "pipeline"


def test_run_ends_with_a_table_and_where_to_look_next(tmp_path: Path) -> None:
    what = ("-m", "frozen", "-m", "ground-truth", "--task", "camera", "--limit", "2")
    arguments = ("run", *what, "--metric", "temporal_flickering", "--results", tmp_path)
    done = in_a_new_process(*arguments)
    assert done.returncode == 0, done.stderr
    assert "mini · camera · 2 cases x 1 seed" in done.stdout
    assert "frozen" in done.stdout
    assert f"vapbench show {tmp_path}/mini/" in done.stdout
    assert "frozen · generate: 2/2" in done.stderr
    again = vapbench(*arguments)
    assert again.stdout == done.stdout
    assert again.stderr == ""


def test_vap_generates_and_is_scored_end_to_end(tmp_path: Path) -> None:
    method = f"vap:weights={PARITY},steps=2,frames=9,height=64,width=96"
    arguments = ("run", "-m", method, "--dtype", "float32", "--task", "motion", "--limit", "1", "--results", tmp_path)
    done = vapbench(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    (table,) = json.loads(done.stdout)
    assert table["rows"][0]["label"] == "vap steps=2,frames=9,height=64,width=96"
    (run,) = (tmp_path / "mini").iterdir()
    assert run.name.startswith("vap~")
    assert RunFolder(run).manifest().document["identity"]["weights"].keys() == {"sha256"}


def test_runs_are_listed_with_what_tells_them_apart() -> None:
    results = Path(__file__).parents[2] / "results"
    rows = json.loads(vapbench("list", "runs", "--results", results, "--json").stdout)
    runs = {Path(row["name"]).name: row for row in rows}
    assert runs["vap"]["title"] == "vap"
    assert "vap reference=shuffled" in {row["title"] for row in rows}
    assert runs["lora"]["no video"] == 12, "the zero-shot conditions, for which no LoRA may be trained"


def test_metrics_are_listed_with_the_weights_they_lack(tmp_path: Path) -> None:
    listed = json.loads(vapbench("list", "metrics", "--json", VAPBENCH_CACHE=str(tmp_path), VAPBENCH_WEIGHTS="").stdout)
    metrics = {row["name"]: row for row in listed}
    assert metrics["dynamic_degree[raft]"]["weights"] == ["raft-large (not here)"]
    assert "score RUN" in metrics["fvd"]["title"] and "torchmetrics:image.<Class>" in metrics


def test_report_show_list_and_check_read_what_run_wrote(tmp_path: Path) -> None:
    vapbench("run", "-m", "frozen", "--task", "style", "--limit", "2", "--results", tmp_path, "-q")
    run = tmp_path / "mini" / "frozen"
    assert "frozen" in vapbench("report", "--results", tmp_path).stdout
    listed = json.loads(vapbench("list", "runs", "--results", tmp_path, "--json").stdout)
    assert [(row["title"], row["videos"]) for row in listed] == [("frozen", 2)]
    page = vapbench("show", run)
    assert page.returncode == 0, page.stderr
    assert (run / "show.html").stat().st_size > 10_000
    named = [vapbench(command, "frozen", "--results", tmp_path).stdout for command in ("show", "status")]
    assert named[0].strip() == str(run / "show.html")
    assert named == [vapbench(command, run).stdout for command in ("show", "status")]
    assert vapbench("check", tmp_path).returncode == 0
    video = next((run / "videos").glob("*.mp4"))
    write_video(video, moving_clip())
    broken = vapbench("check", tmp_path)
    assert broken.returncode == 3
    assert "1 video missing or changed since" in broken.stdout


def test_videos_you_have_are_scored_and_missing_ones_listed(tmp_path: Path) -> None:
    outputs = tmp_path / "my outputs, v2"
    vapbench("run", "-m", "ground-truth", "--task", "camera", "--limit", "3", "--results", tmp_path / "r", "-q")
    videos = sorted((tmp_path / "r/mini/ground-truth/videos").glob("*.mp4"))
    outputs.mkdir()
    for video in videos[:2]:
        (outputs / f"{video.name.split('__')[0]}.mp4").write_bytes(video.read_bytes())
    done = vapbench(
        "score", outputs, "--name", "mymethod", "--task", "camera", "--limit", "3", "--results", tmp_path / "r"
    )
    assert done.returncode == 0, done.stderr
    assert "mymethod: 2 of 3 cases found; missing: " in done.stderr
    assert "2/3" in done.stdout
    assert len(list(outputs.iterdir())) == 2, "nothing is written into the user's folder"
    rescored = vapbench(
        "score", tmp_path / "r/mini/mymethod", "--task", "camera", "--limit", "3", "--metric", "temporal_flickering"
    )
    assert rescored.returncode == 0, rescored.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "-m", "vpa"], 2, "Unknown method 'vpa'. Did you mean vap"),
        (["run", "-m", "vap:stpes=3"], 2, "vap has no parameter 'stpes'. Did you mean steps"),
        (["run", "-m", "frozen", "--task", "camrea"], 2, "Unknown task 'camrea'. Did you mean camera"),
        (["run", "-m", "frozen", "--metric", "fvd:model=X"], 2, "vapbench score RUN --metric fvd:model=X"),
        (["run", "-m", "frozen", "--metric", "aesthetics"], 2, "Unknown metric 'aesthetics'. Did you mean aesthetic"),
        (["run", "-m", "frozen", "--suite", "vapdata"], 2, "Unknown suite 'vapdata'. Did you mean vap-data"),
        (["run", "-m", "frozen", "--suite", "vap-data"], 2, "add --data DIR"),
        (["run", "-m", "frozen", "--suite", "gallery", "--data", "nowhere"], 3, "nowhere: no such folder"),
        (["run", "-m", "frozen", "--device", "cuda:99"], 2, "--device cuda:99 is not usable here"),
        (["run", "-m", "frozen", "--max-failures", "lots"], 2, "--max-failures lots: give a count"),
        (["run", "-m", "frozen", "-m", "noise", "--name", "x"], 2, "--name x cannot stand for 2 methods"),
        (["run", "-m", "vap:weights=./none"], 3, "./none: no such checkpoint folder"),
        (["report"], 2, "No runs in runs"),
        (["show", "nowhere"], 2, "No run 'nowhere' in runs"),
        (["show", "runs/nowhere"], 3, "runs/nowhere is no run folder"),
        (["status", "nowhere"], 2, "No run 'nowhere' in runs"),
        (["check", "vpa"], 3, "Unknown method 'vpa'"),
        (["run", "-m", "frozen", "--colour"], 2, "No such option"),
    ],
)
def test_a_mistake_gets_one_sentence_and_its_exit_code(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = (
        vapbench(*arguments, "--limit", "1", cwd=tmp_path)
        if arguments[0] == "run"
        else vapbench(*arguments, cwd=tmp_path)
    )
    assert message in (done.stderr + done.stdout).replace("\n", " ")
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_other_results_and_other_writers_are_refused(tmp_path: Path) -> None:
    arguments = ("run", "-m", "frozen", "--task", "camera", "--limit", "1", "--results", tmp_path, "-q")
    vapbench(*arguments)
    folder = RunFolder(tmp_path / "mini" / "frozen")
    with RunWriter(folder):
        busy = in_a_new_process(*arguments, "--refresh", "all")
    assert busy.returncode == 3
    assert "is being written by" in busy.stderr
    manifest = {**folder.manifest().document}
    manifest["identity"] = {**manifest["identity"], "version": 99}
    folder.manifest_path.write_text(json.dumps(manifest))
    other = vapbench(*arguments)
    assert other.returncode == 3
    assert "version: 99 there, 1 now" in other.stderr.replace("\n", " ")


def test_failures_over_the_threshold_end_with_1_and_keep_the_rest(tmp_path: Path) -> None:
    method = tmp_path / "half"
    method.mkdir()
    (method / "card.yaml").write_text("name: half\ntitle: Half\nsummary: S.\nkind: unified\nclass: Half\n")
    (method / "method.py").write_text(
        "from vapbench import Clip, Method\nimport numpy as np\n\nclass Half(Method):\n    version = 1\n"
        "    def setup(self, device): ...\n"
        "    def generate(self, case, seed):\n        if seed: raise ValueError('odd seed')\n"
        "        return Clip(np.zeros((3, 64, 64, 3), np.uint8), 8)\n"
    )
    done = vapbench(
        *("run", "-m", method, "--task", "camera", "--limit", "2", "--seed", "0", "--seed", "1"),
        *("--metric", "temporal_flickering", "--results", tmp_path / "r"),
    )
    assert done.returncode == 1
    assert "ValueError: odd seed" in done.stderr
    assert "--refresh failed" in done.stderr.replace("\n", " ")
    statuses = [row.status for row in RunFolder(tmp_path / "r/mini/half").current()]
    assert "ok" in statuses
    assert "failed" in statuses


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = vapbench("run", "-m", "frozen", "--task", "camera", "--results", tmp_path / "r", "--dry-run")
    assert done.returncode == 0
    assert "to make   14" in done.stdout
    assert not (tmp_path / "r").exists()


def test_options_can_be_set_in_the_environment(tmp_path: Path) -> None:
    done = vapbench("run", "-m", "frozen", "--limit", "1", "-q", VAPBENCH_TASK="style", VAPBENCH_RESULTS=str(tmp_path))
    assert done.returncode == 0
    assert "mini · style" in done.stdout


def test_mini_data_prepared_as_files_gives_the_same_cases_and_videos(tmp_path: Path) -> None:
    assert vapbench("data", "prepare", "mini", "--out", tmp_path / "data").returncode == 0
    common = ("run", "-m", "frozen", "--task", "zero-shot", "--limit", "3", "-q", "--metric", "temporal_flickering")
    assert vapbench(*common, "--results", tmp_path / "a").returncode == 0
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "name: mini-files\ntitle: T\nreader: vapbench.suites.vap_data:load\ndata: required\n"
        "clip: {frames: 13, fps: 8, height: 64, width: 64}\nmetrics: []\n"
    )
    done = vapbench(*common, "--suite", suite, "--data", tmp_path / "data", "--results", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    ours, theirs = (
        {row.case: row.sha256 for row in RunFolder(tmp_path / path).current()}
        for path in ("a/mini/frozen", "b/mini-files/frozen")
    )
    assert ours == theirs
    verified = vapbench("data", "verify", "--suite", "vap-data", "--data", tmp_path / "data")
    assert "0 unreadable videos" in verified.stdout


def test_a_stage_of_the_mini_models_that_is_misspelt_is_named(tmp_path: Path) -> None:
    wrong = vapbench("train", "mini", "--out", tmp_path, "--smoke", "--until", "txt")
    assert (wrong.returncode, "Did you mean text" in wrong.stderr) == (2, True)


@pytest.mark.slow
def test_a_stage_of_the_mini_models_is_trained_by_one_command(tmp_path: Path) -> None:
    done = vapbench("train", "mini", "--out", tmp_path, "--smoke", "--until", "vae", "--device", "cpu", "-q")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "vae" / "card.json").is_file()
    assert not (tmp_path / "text_encoder").exists()


def test_weights_are_listed_with_their_licence() -> None:
    rows = json.loads(vapbench("data", "weights", "list", "--json").stdout)
    assert all(row["licence"] and row["source"] for row in rows)


def test_videos_of_another_length_and_rate_are_told_wherever_their_numbers_are(tmp_path: Path) -> None:
    results = tmp_path / "r"
    few = ("--task", "camera", "--limit", "2", "--metric", "temporal_flickering", "--results", results)
    vapbench("run", "-m", "frozen", "-q", *few)
    (tmp_path / "slow").mkdir()
    for case in json.loads((results / "mini/frozen/manifest.json").read_text())["cases"]:
        write_video(tmp_path / "slow" / f"{case}.mp4", moving_clip(frames=39, height=64, width=64, fps=24.0))
    said = "slow: 39 frames at 24 fps against the suite's 13 at 8 (2 of 2 clips)."
    scored = vapbench("score", tmp_path / "slow", *few)
    assert scored.returncode == 0 and said in scored.stdout, scored.stderr
    assert "--method frozen" not in scored.stdout.replace("vapbench run --method frozen --method ground-truth", "")
    for command in (("report",), ("compare", "slow", "frozen"), ("table", "--style", "wide")):
        done = vapbench(*command, "--results", results)
        assert said in done.stdout and "frozen: 13" not in done.stdout, done.stderr
    row = json.loads((results / "mini/slow/generations.jsonl").read_text().splitlines()[0])
    assert (row["frames"], row["height"], row["width"], row["fps"]) == (39, 64, 64, 24.0)
    vapbench("show", "slow", "--results", results)
    page = (results / "mini/slow/show.html").read_text()
    assert page.count("39 frames at 24 fps against the suite&#39;s 13 at 8.") == 2


def test_threads_do_not_wait_busily_unless_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY")
    CliRunner().invoke(app, ["list", "suites"])
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    CliRunner().invoke(app, ["list", "suites"])
    assert os.environ["OMP_WAIT_POLICY"] == "active"
