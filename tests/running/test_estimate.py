"""How long a run would take: measured where it was, computed where not, and saying which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import vapbench
from tests.refusals import refuses
from vapbench.errors import ErrorKind, UsageError
from vapbench.methods import resolve
from vapbench.methods.hardware import GPUS, find_gpu
from vapbench.results.rows import GenerationRow, ScoreRow
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter
from vapbench.running.estimate import Machines, Work, estimate, seconds_by_card

CLIP = {"frames": 49, "fps": 16, "height": 480, "width": 720}
H100 = Machines(2, 4, GPUS["h100"])


def earlier(path: Path, seconds: list[float], name: str = "vap", **parameters: Any) -> RunFolder:
    """A run whose rows took so long, and whose scores took a tenth of it."""
    folder = RunFolder(path)
    with RunWriter(folder) as writer:
        identity = {"suite": "vap-data", "name": name, "version": 1, "parameters": parameters}
        writer.begin(identity, {}, {})
        for number, took in enumerate(seconds):
            common: dict[str, Any] = {"case": f"c{number}", "condition": "vidu_orbit", "category": "camera", "seed": 0}
            writer.append(GenerationRow(f"g{number}", status="ok", seconds=took, **common))
            score: dict[str, Any] = {"metric": "m", "version": 1, "params": {}, "video_sha256": "", "case_sha256": ""}
            writer.append(ScoreRow(f"s{number}", status="ok", value=0.5, seconds=took / 10, **common, **score))
        common["case"] = "failed"
        writer.append(GenerationRow("f", status="failed", seconds=0.1, **common))
        writer.end({}, "cuda")
    return folder


def test_without_rows_the_card_is_asked_and_said_so() -> None:
    vap = resolve("vap", suite="vap-data")
    found = estimate(Work(vap, "vap-data", 48, CLIP), ["m"], H100, [])
    assert found.generating.seconds == pytest.approx(103 / 0.4)
    assert found.generating.source.startswith("not measured: 103 petaflop by its card")
    assert found.scoring.source == "not measured, and not counted"
    assert found.device_hours == pytest.approx(48 * 103 / 0.4 / 3600)
    # 48 videos on 8 devices are 6 rounds.
    assert found.wall_hours == pytest.approx(6 * 103 / 0.4 / 3600)
    assert found.weights_gb == pytest.approx(32, abs=0.1)
    assert found.videos_gb == pytest.approx(48 * (49 * 480 * 720 * 0.4 / 8) / 1e9, rel=0.01)
    assert "not measured" in found.storage
    assert seconds_by_card(vap, "vap-data", GPUS["a100"]).seconds == pytest.approx(103 / 0.4 / 0.312)


def test_measured_rows_win_and_failed_ones_do_not_count(tmp_path: Path) -> None:
    vap = resolve("vap", suite="vap-data")
    rows = earlier(tmp_path / "run", [300, 100, 100, 120])
    found = estimate(Work(vap, "vap-data", 16, CLIP), ["m", "n"], H100, [rows])
    assert (found.generating.seconds, found.generating.measured) == (110, True)
    assert "median of 4 rows" in found.generating.source
    assert "made on cuda" in found.generating.source
    assert found.scoring.seconds == 11
    assert found.scoring.source.endswith("without n")
    assert found.device_hours == pytest.approx(16 * 121 / 3600)
    # Scored beside the next video: two rounds, and the scores of the last.
    assert found.wall_hours == pytest.approx((2 * 110 + 11) / 3600)


@pytest.mark.parametrize("other", [{"name": "i2v"}, {"steps": 10}])
def test_rows_of_another_method_or_other_parameters_measure_nothing(tmp_path: Path, other: dict[str, Any]) -> None:
    vap = resolve("vap", suite="vap-data")
    rows = earlier(tmp_path / "run", [100] * 4, **other)
    assert not estimate(Work(vap, "vap-data", 16, CLIP), [], H100, [rows]).generating.measured


def test_what_nobody_knows_is_no_zero(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text("name: own\ntitle: Own\nsummary: s\nkind: unified\nclass: Own\n")
    (tmp_path / "method.py").write_text(
        "from vapbench import Method\n\n\nclass Own(Method):\n    def generate(self, case, seed): ...\n"
    )
    found = estimate(Work(resolve(str(tmp_path)), "vap-data", 16, CLIP), [], H100, [])
    assert (found.generating.seconds, found.device_hours, found.wall_hours) == (None, None, None)


def test_an_unknown_gpu_is_refused_with_a_suggestion() -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "gpu", "Did you mean h100"):
        find_gpu("h10")


def test_the_papers_protocol_is_planned_for_machines_that_are_not_here(tmp_path: Path) -> None:
    plan = ["plan", "--suite", "vap-data", "-m", "vap", "-m", "vace-depth", "-m", "frozen", "--nodes", "8"]
    done = vapbench(*plan, "--gpu", "l40s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "on 8 nodes x 8 L40S (48 GB)" in done.stdout
    assert "54 GB do not fit into one L40S" in done.stdout
    assert "together" in done.stdout
    document = json.loads(vapbench(*plan, "--json", cwd=tmp_path).stdout)
    assert [method["name"] for method in document["methods"]] == ["vap", "vace-depth", "frozen"]
    assert document["machines"]["nodes"] == 8
    assert not list(tmp_path.iterdir())


def test_a_plan_measures_by_the_run_itself_as_far_as_it_has_got(tmp_path: Path) -> None:
    common = ["-m", "frozen", "--task", "camera", "--metric", "temporal_flickering", "--results", "r"]
    assert vapbench("run", *common, "--limit", "4", "--device", "cpu", cwd=tmp_path).returncode == 0
    text = vapbench("plan", *common, cwd=tmp_path).stdout
    assert "to make   10 (4 finished)" in text
    assert "measured: median of 4 rows of r/mini/frozen, made on cpu" in text
    assert "measured: mean of 4 videos" in text
    refused = vapbench("plan", *common, "--measured", "nowhere", cwd=tmp_path)
    assert refused.returncode == 2
    assert "No run 'nowhere'" in refused.stderr
