"""One command trains everything; its checkpoints load as the released ones do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import CogVideoXTransformer3DModel, WanVACEPipeline
from mini_recipe import STAGES, MiniConfig, train_mini
from mini_recipe.cards import is_finished, weights_identity
from mini_recipe.diffusion import table_at
from mini_recipe.expert import base_sha256, make_expert
from mini_recipe.gate import passes
from mini_recipe.single import make_single
from mini_recipe.text import tokenise
from mini_recipe.train import _Training
from mini_recipe.vace import control_inputs
from safetensors.torch import load_file

from tests.refusals import refuses
from vapbench.core.clip import Clip
from vapbench.errors import ErrorKind, UsageError, VapbenchError
from vapbench.files.atomic import file_sha256
from vapbench.methods.lora_files import find_adapter, fingerprint
from vapbench.metrics import resolve
from vapbench.metrics.features.clip import ClipWeights
from vapbench.metrics.view import ClipView
from vapbench.models import load_pipeline
from vapbench.models.rope import reference_positions, target_positions
from vapbench.running.progress import Silent
from vapbench.suites.mini.cases import benchmark_cases
from vapbench.suites.mini.controls import render_control

FOLDERS = (
    *("vae", "text_encoder", "tokenizer", "semantic", "classifier", "image_text", "quality"),
    *("base", "expert", "wan_vae", "vace"),
)


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


def test_a_single_branch_is_the_base_read_by_itself_and_all_of_it_trains(trained: Path) -> None:
    config = replace(MiniConfig(), stages=(*STAGES, "single"))
    train_mini(trained, config=config, only=["single"], smoke=True, quiet=True)
    base = tensors(trained / "base")
    whole = tensors(trained / "single" / "transformer")
    for name, tensor in whole.items():
        assert torch.equal(tensor, whole[name.replace("_mot_ref", "")]), name
    # Half precision hides how little a norm moves in three steps.
    matrices = [name for name, tensor in base.items() if tensor.ndim > 1 and name != "patch_embed.pos_embedding"]
    assert not [name for name in matrices if torch.equal(base[name], whole[name])]
    measured = json.loads((trained / "single" / "card.json").read_text())["measured"]
    judges = {f"plain/{name}" for name in ("semantic", "classifier")}
    assert set(measured["base_before"]) == set(measured["base_after"]) == judges
    assert {"accuracy", "accuracy_on_held_out_conditions"} <= set(measured)
    assert load_pipeline(trained / "single", torch.float32).transformer is not None


def test_a_single_branch_begins_as_the_expert_does(trained: Path) -> None:
    base: Any = CogVideoXTransformer3DModel.from_pretrained(trained / "base", torch_dtype=torch.float32)
    device, generator = torch.device("cpu"), torch.Generator().manual_seed(0)
    shape = (1, 4, base.config.in_channels, base.config.sample_height, base.config.sample_width)
    text = torch.randn(1, base.config.max_text_seq_length, base.config.text_embed_dim, generator=generator)
    inputs = [torch.randn(shape, generator=generator) for _ in range(2)]
    outputs = [
        model(
            inputs[0],
            text,
            torch.tensor([500]),
            image_rotary_emb=table_at(target_positions(4), model.config, device),
            reference_hidden_states=inputs[1],
            reference_encoder_hidden_states=text,
            reference_rotary_emb=table_at(reference_positions(4), model.config, device),
            return_dict=False,
        )[0]
        for model in (make_single(base), make_expert(base))
    ]
    assert torch.equal(*outputs)
    single = make_single(base)
    assert len(list(single.parameters())) == len(list(base.parameters()))


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


def test_metrics_read_the_encoders_offline(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    texts = (
        f"text_alignment[mini-clip]:weights={trained}/image_text",
        f"aesthetic_quality[mini]:weights={trained}/image_text,head={trained}/quality",
    )
    minis = benchmark_cases()[:2]
    # The clip and the caption are all that these two look at.
    case = SimpleNamespace(caption=minis[0].target_caption)
    another_name = SimpleNamespace(caption=case.caption.replace(minis[0].condition, "mini_bequno"))
    for text in texts:
        metric, _ = resolve(text)
        metric.setup(torch.device("cpu"))
        clip = Clip(minis[0].target.render(), 8)
        scores = [metric.score(ClipView(clip, c, torch.device("cpu")), c).value for c in (case, another_name)]  # type: ignore[arg-type]
        assert scores[0] is not None and scores[0] == scores[1]


def test_the_image_text_encoder_is_the_one_that_was_trained(trained: Path) -> None:
    encoder = ClipWeights.of("mini", trained / "image_text").load(torch.device("cpu"))
    captions = [case.target_caption for case in benchmark_cases()]
    with torch.no_grad():
        wanted = encoder.model.encode_text(tokenise(encoder.tokenizer.tokenizer, captions), normalize=True)
    for caption, features in zip(captions[:5], wanted, strict=False):
        found, dropped = encoder.text_features(caption)
        assert dropped == 0
        torch.testing.assert_close(found, features)


def test_upstreams_pipeline_draws_under_structure_control(trained: Path) -> None:
    pipeline = WanVACEPipeline.from_pretrained(trained / "vace")
    pipeline.set_progress_bar_config(disable=True)
    case = benchmark_cases()[0]
    first, control = case.target.render()[0], render_control(case.reference, "depth")
    video, mask = control_inputs(first, control)
    output = pipeline(
        prompt=case.target_caption,
        video=video,
        mask=mask,
        height=64,
        width=64,
        num_frames=13,
        num_inference_steps=2,
        max_sequence_length=pipeline.tokenizer.model_max_length,
        generator=torch.Generator().manual_seed(0),
    )
    assert output.frames.shape == (1, 13, 64, 64, 3)
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
    with refuses(VapbenchError, ErrorKind.LIMIT, "gate"):
        training._check_gate()


def test_an_unknown_stage_is_refused_by_name(tmp_path: Path) -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "stage", "vea", "vae"):
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
