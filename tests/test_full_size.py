"""The plan of the full protocol, and the counts it rests on."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tests.command import in_a_new_process
from vapbench.methods import methods
from vapbench.methods.hardware import Size, footprint

ROOT = Path(__file__).parents[1]
OFFLINE = {"HF_HUB_OFFLINE": "1"}


def test_cards_declare_what_the_configurations_count() -> None:
    counted = runpy.run_path(str(ROOT / "benchmarks" / "full_size.py"))["counts"]()
    sizes = {entry.name: entry.card.size for entry in methods() if entry.card and entry.card.size}
    assert set(sizes) >= {"vap", "vap-wan", "i2v", "i2v-wan", "lora", "vace-original", "vace-depth", "vace-flow"}
    same = {"lora": "i2v", "vace-depth": "vace-original", "vace-flow": "vace-original"}
    others = {"Wan-AI/Wan2.1-VACE-1.3B-diffusers": "vace-original:size=1.3b"}
    same |= others
    sizes |= {weights: size for entry in methods() if entry.card for weights, size in entry.card.sizes.items()}
    assert set(sizes) >= set(others)
    for name, size in sizes.items():
        parameters, petaflop = counted[same.get(name, name)]
        assert dict(size.parameters) == pytest.approx(parameters, abs=0.006), name
        assert size.petaflop == pytest.approx(petaflop, abs=0.6), name


def test_offload_and_type_move_the_estimate() -> None:
    size = Size(parameters={"transformer": 10.0, "text_encoder": 5.0}, petaflop=36.0, activations_gb=8)
    assert footprint(size, {}, 100).memory_gb == 38
    assert footprint(size, {"dtype": "float32"}, 1).memory_gb == 68
    assert footprint(size, {"offload": "model"}, 1).memory_gb == 28
    assert footprint(size, {"offload": "sequential"}, 1).memory_gb == 9
    assert footprint(size, {}, 100).hours == pytest.approx(2.5)
    assert footprint(size, {"steps": 25}, 100).hours == pytest.approx(1.25)


def test_the_papers_protocol_is_planned_without_weights_or_data(tmp_path: Path) -> None:
    names = ("vap", "vace-depth", "i2v", "lora")
    arguments = [part for name in names for part in ("--method", name)]
    done = in_a_new_process(
        "run", "--suite", "vap-data", "--task", "all", *arguments, "--dry-run", cwd=tmp_path, **OFFLINE
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("48 (24 conditions)") == 4
    assert "ByteDance/Video-As-Prompt-CogVideoX-5B (not on this machine)" in done.stdout
    assert "about 46 GB (46 GB with --offload none, 36 GB with --offload model" in done.stdout
    for line in (
        r"  guidance +6, on its cosine schedule +the same: use_dynamic_cfg",
        r"  shift +16 +the same: sample_shift",
        r"  negative prompt +Wan's own \(Bright tones, overexposed, …\) +diffusers' example",
        r"  negative prompt +empty +CogVideoX's inference/cli_demo.py",
        r"  size +49 frames of 480x832 +VACE's 480p",
    ):
        assert re.search(line, done.stdout), line
    assert "49 frames of 480x832" in done.stdout
    assert "together about 99 GB to fetch, " in done.stdout  # 32 + 46 + 21, and lora's base is that of i2v
    assert "device hours to generate" in done.stdout
    assert "motion_smoothness[amt]   lacks amt-s (12 MB)" in done.stdout
    assert "vapbench data weights fetch clip-vit-l-14 viclip-l-14 amt-s raft-large laion-aesthetic" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("weights", "says", "never"),
    [
        ("Wan-AI/Wan2.1-VACE-1.3B-diffusers", "about 16 GB to fetch", "17.34 B"),
        ("someone/else", "memory    not known: the card counts Wan-AI/Wan2.1-VACE-14B-diffusers", "17.34 B"),
    ],
)
def test_other_weights_are_not_given_the_size_of_the_usual_ones(
    weights: str, says: str, never: str, tmp_path: Path
) -> None:
    command = ("run", "--suite", "vap-data", "-m", f"vace-original:weights={weights}", "--dry-run")
    done = in_a_new_process(*command, cwd=tmp_path, **OFFLINE)
    assert says in done.stdout and never not in done.stdout


def test_a_plan_without_methods_is_that_of_the_papers_table(tmp_path: Path) -> None:
    done = in_a_new_process("plan", "--nodes", "8", "--gpu", "l40s", cwd=tmp_path, **OFFLINE)
    assert done.returncode == 0, done.stderr
    for name in ("vap", "vace-original", "vace-depth", "vace-flow", "i2v", "lora"):
        assert f"vap-data · {name}\n" in done.stdout
    assert "frozen" not in done.stdout and "vap-wan" not in done.stdout
    assert "do not fit into one L40S; --offload model would fit" in done.stdout
