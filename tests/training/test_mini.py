"""One command trains everything; its checkpoints load as the released ones do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vapbench.errors import UsageError, VapbenchError
from vapbench.files import file_sha256
from vapbench.methods.adapters import find_adapter, fingerprint
from vapbench.models import load_pipeline
from vapbench.suites.mini.cases import benchmark_cases
from vapbench.training import MiniConfig, train_mini
from vapbench.training.cards import is_finished, weights_identity
from vapbench.training.expert import base_sha256
from vapbench.training.gate import passes
from vapbench.training.mini import _Training
from vapbench.training.progress import Silent

FOLDERS = ("vae", "text_encoder", "tokenizer", "semantic", "classifier", "base", "expert")


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "diffusion_pytorch_model.safetensors")


@pytest.mark.parametrize("name", FOLDERS)
def test_a_card_tells_how_the_weights_came_to_be(trained: Path, name: str) -> None:
    card = json.loads((trained / name / "card.json").read_text())
    assert {"stage", "config", "data_version", "measured", "loss", "packages"} <= set(card)
    assert card["config"]["plan"]["seed"] >= 0
    assert card["loss"]
    for file, sha256 in card["sha256"].items():
        assert file_sha256(trained / name / file) == sha256


def test_weights_are_half_precision_safetensors(trained: Path) -> None:
    assert {tensor.dtype for tensor in tensors(trained / "base").values()} == {torch.float16}
    assert not list(trained.glob("[!w]*/**/*.bin")) + list(trained.glob("[!w]*/**/*.pt"))


def test_the_base_is_bit_identical_before_and_after_the_expert_trains(trained: Path) -> None:
    base, whole = tensors(trained / "base"), tensors(trained / "expert")
    for name, tensor in base.items():
        assert torch.equal(tensor, whole[name]), name
    trained_names = [name for name in whole if "_mot_ref" in name]
    assert any(not torch.equal(whole[name], base[name.replace("_mot_ref", "")]) for name in trained_names)
    card = json.loads((trained / "expert" / "card.json").read_text())
    pipeline = load_pipeline(trained / "vap", torch.float32)
    assert base_sha256(pipeline.transformer) == card["measured"]["base_sha256"]


def test_the_pipeline_generates_a_benchmark_case(trained: Path) -> None:
    case = benchmark_cases()[0]
    pipeline = load_pipeline(trained / "vap", torch.float32, "cpu")
    pipeline.set_progress_bar_config(disable=True)
    output = pipeline(
        case.target.render()[0],
        [case.reference.render()],
        case.target_caption,
        [case.reference_caption],
        num_frames=13,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(0),
    )
    assert output.frames.shape == (13, 64, 64, 3)
    assert np.isfinite(output.frames).all()


def test_a_second_call_keeps_what_is_there(trained: Path) -> None:
    before = {name: (trained / name / "card.json").stat().st_mtime_ns for name in FOLDERS}
    train_mini(trained, smoke=True, quiet=True)
    assert before == {name: (trained / name / "card.json").stat().st_mtime_ns for name in FOLDERS}


def test_a_base_built_on_another_autoencoder_is_not_taken_for_finished(trained: Path) -> None:
    config = MiniConfig().seeded(0).smoke().base
    built_on = {"vae": weights_identity(trained / "vae"), "text": weights_identity(trained / "text_encoder")}
    assert is_finished(trained / "base", config, built_on)
    assert not is_finished(trained / "base", config, built_on | {"vae": "another"})
    assert not is_finished(trained / "base", replace(config, late=1.0), built_on)


def test_a_base_that_misses_the_gate_is_not_steered(trained: Path) -> None:
    training = _Training(trained, MiniConfig(), torch.device("cpu"), Silent())
    with pytest.raises(VapbenchError, match="nothing that steers it"):
        training._check_gate()


def test_an_unknown_stage_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vae"):
        train_mini(tmp_path, until="vea", quiet=True)


def test_every_judge_must_agree_for_the_gate_to_pass() -> None:
    high, low = {"all": 0.9}, {"all": 0.7}
    assert passes({"plain/a": high, "plain/b": high, "benchmark/a": low})
    assert not passes({"plain/a": high, "plain/b": low})


def test_an_adapter_per_condition_is_trained_on_the_base_that_vap_holds(trained: Path) -> None:
    conditions = sorted(folder.name for folder in (trained / "lora").iterdir())
    assert len(conditions) == 2  # as many as the smoke form trains
    for name in conditions:
        adapter = find_adapter(trained / "lora", name)
        assert adapter is not None
        adapter.check(fingerprint(trained / "vap"), "vap")
        assert adapter.weights.stat().st_size < 100_000
    before = (trained / "lora" / conditions[0] / "card.json").stat().st_mtime_ns
    train_mini(trained, smoke=True, quiet=True)
    assert (trained / "lora" / conditions[0] / "card.json").stat().st_mtime_ns == before
