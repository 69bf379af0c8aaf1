"""What each system is run with is its authors' own, is shown, and is keyed; rows made before stay what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vapbench.methods import resolve
from vapbench.methods.protocol import protocol_table
from vapbench.running.plan import keyed_parameters, plan_run, run_name
from vapbench.suites import find_suite

COMMITTED = Path(__file__).parents[2] / "results" / "mini"


@pytest.mark.parametrize("name", ["vap", "i2v", "lora", "vace-original", "vace-depth", "vace-flow"])
def test_committed_rows_keep_their_keys(name: str, tmp_path: Path) -> None:
    method = resolve(name, suite="mini")
    assert run_name(method) == name
    plan = plan_run("mini", "all", method, find_suite("mini").cases(None), [0], tmp_path)
    keys = {job.case.id: job.key for job in plan.jobs}
    rows = map(json.loads, (COMMITTED / name / "generations.jsonl").read_text().splitlines())
    made = {row["case"]: row["key"] for row in rows if row["status"] == "ok"}
    assert len(made) >= 54
    assert made == {case: keys[case] for case in made}


@pytest.mark.parametrize(
    ("name", "negative"),
    [("vap", "wan"), ("vap-wan", "wan"), ("i2v", ""), ("lora", ""), ("i2v-wan", "wan"), ("vace-depth", "wan")],
)
def test_every_system_has_its_own_negative_prompt(name: str, negative: str) -> None:
    method = resolve(name, suite="vap-data")
    assert method.parameters["negative_prompt"] == negative
    text = method.method.negative_text()  # type: ignore[attr-defined]
    assert text.startswith("Bright tones, overexposed") if negative else text == ""
    other = resolve(f"{name}:negative_prompt=blurry", suite="vap-data")
    assert keyed_parameters(other)["negative_prompt"] == "blurry"
    assert run_name(other) != name


def test_what_came_later_is_keyed_where_it_changes_frames() -> None:
    for name in ("i2v-wan", "vace-original"):
        assert keyed_parameters(resolve(name, suite="vap-data"))["negative_prompt"] == "wan"
    assert keyed_parameters(resolve("vace-original", suite="vap-data"))["shift"] == 16.0
    assert "negative_prompt" not in keyed_parameters(resolve("vap", suite="vap-data"))


SYSTEMS = ("vap", "vap-wan", "i2v", "i2v-wan", "lora", "vace-original", "vace-depth", "vace-flow")


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_has_a_whole_table(name: str) -> None:
    method, clip = resolve(name, suite="vap-data"), {"frames": 49.0, "height": 480.0, "width": 720.0}
    assert method.card is not None
    rows = protocol_table(method.card.protocol, method.parameters, method.changed, {**clip, **method.clip})
    assert [item for item, _, _ in rows] == ["steps", "guidance", "shift", "negative prompt", "size"]
    assert all(value and source for _, value, source in rows)
    assert rows[-1][1].endswith("480x832" if "wan" in name or "vace" in name else "480x720")


def test_what_the_command_sets_is_said_to_be_its_own() -> None:
    method = resolve("vace-original:shift=5,negative_prompt=,height=240", suite="vap-data")
    assert method.card is not None
    clip = {"frames": 49.0, "height": 480.0, "width": 832.0}
    rows = {item: rest for item, *rest in protocol_table(method.card.protocol, method.parameters, method.changed, clip)}
    assert rows["shift"] == ["5", "this command"]
    assert rows["negative prompt"] == ["empty", "this command"]
    assert rows["size"] == ["49 frames of 240x832", "this command"]
    assert rows["steps"][1] == "VACE's vace_wan_inference.py"
