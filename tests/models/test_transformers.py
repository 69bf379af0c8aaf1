"""The transformers reproduce the official ones, block by block, with the released tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import CogVideoXTransformer3DModel, WanTransformer3DModel

from tests.models.conftest import Case
from tests.refusals import refuses
from vapbench.errors import ErrorKind, UsageError
from vapbench.models import (
    CogVideoXTransformer3DMOTModel,
    WanTransformer3DMOTModel,
    initialise_expert,
    load_transformer,
)
from vapbench.models.rope import cogvideox_rotary, reference_positions

TOLERANCE = 1e-5
"""Activations are of order 1; the vectors' own README allows 2e-5."""


def cogvideox_inputs(case: Case) -> dict[str, Any]:
    inputs = case.inputs
    timesteps = [inputs[name] for name in sorted(inputs) if name.startswith("timestep_list_mot_ref")]
    return {
        "hidden_states": inputs["hidden_states"],
        "encoder_hidden_states": inputs["encoder_hidden_states"],
        "timestep": inputs["timestep"],
        "ofs": inputs.get("ofs"),
        "image_rotary_emb": case.rotary("image_rotary_emb"),
        "reference_hidden_states": inputs["hidden_states_mot_ref"],
        "reference_encoder_hidden_states": inputs["encoder_hidden_states_mot_ref"],
        "reference_rotary_emb": case.rotary("image_rotary_emb_mot_ref"),
        "reference_timesteps": torch.stack(timesteps, dim=1) if timesteps else None,
        "effect_types": case.spec["effect_types"],
    }


def wan_inputs(case: Case) -> dict[str, Any]:
    inputs = case.inputs
    return {
        "hidden_states": inputs["hidden_states"],
        "timestep": inputs["timestep"],
        "encoder_hidden_states": inputs["encoder_hidden_states"],
        "encoder_hidden_states_image": inputs["encoder_hidden_states_image"],
        "reference_hidden_states": inputs["hidden_states_mot_ref"],
        "reference_timestep": inputs["timestep_list_mot_ref"][0],
        "reference_encoder_hidden_states": inputs["encoder_hidden_states_mot_ref"],
        "reference_encoder_hidden_states_image": inputs["encoder_hidden_states_image_mot_ref"],
    }


def run(model: Any, blocks: Any, inputs: dict[str, Any], update_all: bool) -> tuple[Any, dict[int, Any]]:
    """Return the output and what each block returned; ``update_all`` computes the dead end as well."""
    seen: dict[int, Any] = {}
    hooks = []
    for index, block in enumerate(blocks):
        if update_all and hasattr(block, "updates_reference"):
            block.updates_reference = True

        def keep(_module: Any, _inputs: Any, outputs: Any, index: int = index) -> None:
            seen[index] = outputs

        hooks.append(block.register_forward_hook(keep))
    with torch.no_grad():
        result = model(**inputs)
    for hook in hooks:
        hook.remove()
    return result, seen


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


def test_cogvideox_equals_the_official_model(cogvideox_case: Case) -> None:
    model = load_transformer(cogvideox_case.folder / "model", torch.float32)
    inputs, expected = cogvideox_inputs(cogvideox_case), cogvideox_case.outputs
    lean = model(**inputs).sample
    result, seen = run(model, model.transformer_blocks, inputs, update_all=True)
    close(result.sample, expected["sample"])
    close(lean, expected["sample"])
    if "sample_mot_ref" in expected:
        close(result.reference_sample, expected["sample_mot_ref"])
    for index, outputs in seen.items():
        if f"block_{index}.hidden_states" not in expected:
            continue
        close(outputs[0], expected[f"block_{index}.hidden_states"])
        close(outputs[1], expected[f"block_{index}.encoder_hidden_states"])
        if len(outputs) == 3:
            for name, part in zip(("hidden_states", "encoder_hidden_states"), outputs[2].tokens, strict=True):
                merged = part.reshape(len(outputs[0]), -1, part.shape[-1])
                close(merged, expected[f"block_{index}.{name}_mot_ref"])


def test_wan_equals_the_official_model(wan_case: Case) -> None:
    model = load_transformer(wan_case.folder / "model", torch.float32)
    inputs, expected = wan_inputs(wan_case), wan_case.outputs
    lean = model(**inputs).sample
    result, seen = run(model, model.blocks, inputs, update_all=True)
    close(result.sample, expected["sample"])
    close(lean, expected["sample"])
    for index, outputs in seen.items():
        if f"block_{index}.hidden_states" not in expected:
            continue
        video, reference = outputs if isinstance(outputs, tuple) else (outputs, None)
        close(video, expected[f"block_{index}.hidden_states"])
        if reference is not None:
            close(reference.video, expected[f"block_{index}.hidden_states_mot_ref"])


@pytest.fixture
def cogvideox_example(vectors: Path) -> tuple[Any, dict[str, Any]]:
    case = Case(vectors / "cogvideox/interval_2ref_batch2")
    return load_transformer(case.folder / "model", torch.float32), cogvideox_inputs(case)


@pytest.fixture
def wan_example(vectors: Path) -> tuple[Any, dict[str, Any]]:
    case = Case(vectors / "wan/interval_1ref")
    return load_transformer(case.folder / "model", torch.float32), wan_inputs(case)


@pytest.mark.parametrize("family", ["cogvideox", "wan"])
def test_without_a_reference_it_is_the_base_model(family: str, request: pytest.FixtureRequest) -> None:
    model, inputs = request.getfixturevalue(f"{family}_example")
    base_class = CogVideoXTransformer3DModel if family == "cogvideox" else WanTransformer3DModel
    base = base_class(**model._base_config(base_class)).eval()
    own = {name: tensor for name, tensor in model.state_dict().items() if "_mot_ref" not in name}
    base.load_state_dict(own)
    plain = {name: value for name, value in inputs.items() if not name.startswith(("reference", "effect"))}
    with torch.no_grad():
        torch.testing.assert_close(model(**plain).sample, base(**plain).sample, atol=2e-6, rtol=0)


def test_moving_the_references_in_time_changes_cogvideox(
    cogvideox_example: tuple[Any, dict[str, Any]],
) -> None:
    model, inputs = cogvideox_example
    with torch.no_grad():
        before = model(**inputs).sample
        shared = cogvideox_rotary(reference_positions(3, 2, "shared"), (4, 6), (4, 6), 16)
        after = model(**{**inputs, "reference_rotary_emb": shared}).sample
    assert (before - after).abs().max() > 1e-3


def test_moving_the_reference_in_time_changes_wan(wan_example: tuple[Any, dict[str, Any]]) -> None:
    model, inputs = wan_example
    with torch.no_grad():
        samples = [model(**inputs, reference_rope=rope).sample for rope in ("before", "shared", "far")]
    assert (samples[0] - samples[1]).abs().max() > 1e-3
    assert (samples[0] - samples[2]).abs().max() > 1e-3


@pytest.mark.parametrize("family", ["cogvideox", "wan"])
def test_the_expert_starts_as_the_base(family: str, request: pytest.FixtureRequest) -> None:
    model, _ = request.getfixturevalue(f"{family}_example")
    names = initialise_expert(model)
    state = model.state_dict()
    assert set(names) == {name for name in state if "_mot_ref" in name}
    for name in names:
        assert torch.equal(state[name], state[name.replace("_mot_ref", "")]), name


@pytest.mark.parametrize("family", ["cogvideox", "wan"])
def test_a_base_model_grows_an_expert(family: str, request: pytest.FixtureRequest) -> None:
    model, _ = request.getfixturevalue(f"{family}_example")
    base_class = CogVideoXTransformer3DModel if family == "cogvideox" else WanTransformer3DModel
    base = base_class(**model._base_config(base_class)).to(torch.bfloat16)
    grown = type(model).from_base(base, [1])
    state = grown.state_dict()
    assert grown.config.block_idx_with_mot_ref == [1]
    for name, tensor in base.state_dict().items():
        assert torch.equal(state[name], tensor), name
    assert all(torch.equal(state[name], state[name.replace("_mot_ref", "")]) for name in state)
    assert {parameter.dtype for parameter in grown.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("family", ["cogvideox", "wan"])
def test_saving_and_loading_keeps_everything(family: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    model, _ = request.getfixturevalue(f"{family}_example")
    model.save_pretrained(tmp_path)
    again = load_transformer(tmp_path, torch.float32)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["_class_name"] in ("CogVideoXTransformer3DMOTModel", "WanTransformer3DMOTModel")
    assert type(again) is type(model)
    assert {k: v for k, v in again.config.items() if k[0] != "_"} == {
        k: v for k, v in model.config.items() if k[0] != "_"
    }
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


@pytest.mark.parametrize("family", ["cogvideox", "wan"])
def test_gradient_checkpointing_gives_the_same_expert_gradients(family: str, request: pytest.FixtureRequest) -> None:
    model, inputs = request.getfixturevalue(f"{family}_example")
    gradients = []
    for enabled in (False, True):
        model.zero_grad()
        model.enable_gradient_checkpointing() if enabled else model.disable_gradient_checkpointing()
        model(**inputs).sample.square().mean().backward()
        found = {n: p.grad.clone() for n, p in model.named_parameters() if "_mot_ref" in n and p.grad is not None}
        gradients.append(found)
    assert gradients[0].keys() == gradients[1].keys() != set()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_release_size_cogvideox_has_the_released_tensors(vectors: Path) -> None:
    with init_empty_weights():
        model = CogVideoXTransformer3DMOTModel(
            num_attention_heads=48,
            in_channels=32,
            num_layers=42,
            use_rotary_positional_embeddings=True,
            use_learned_positional_embeddings=True,
            block_idx_with_mot_ref=list(range(41)),
        )
    check_release(model, vectors / "vap_cog_release_keys_block0.json", "transformer_blocks", 2018, 11.005e9)


def test_release_size_wan_has_the_released_tensors(vectors: Path) -> None:
    with init_empty_weights():
        model = WanTransformer3DMOTModel(
            in_channels=36,
            image_dim=1280,
            added_kv_proj_dim=5120,
            block_idx_with_mot_ref=list(range(0, 40, 4)),
        )
    check_release(model, vectors / "vap_wan_release_keys_block0.json", "blocks", 1643, 20.674e9)


def check_release(model: torch.nn.Module, keys: Path, blocks: str, tensors: int, parameters: float) -> None:
    state = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    listed = json.loads(keys.read_text())
    others = {name for name in state if name.startswith(f"{blocks}.") and not name.startswith(f"{blocks}.0.")}
    assert {name: shape for name, shape in state.items() if name not in others} == listed
    assert len(state) == tensors
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(parameters, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"block_idx_with_mot_ref": [0, 9]}, ErrorKind.INVALID),
        ({"block_idx_with_mot_ref": []}, ErrorKind.INVALID),
        ({"attention_head_dim_mot_ref": 8}, ErrorKind.INVALID),
        ({"reference_train_mode": "reference_dependent"}, ErrorKind.UNKNOWN),
        ({"ablation_single_encoder": True, "ablation_residual_addition": True}, ErrorKind.CONFLICT),
    ],
)
def test_configs_that_cannot_be_followed_are_refused(
    change: dict[str, Any], kind: ErrorKind, cogvideox_example: tuple[Any, dict[str, Any]]
) -> None:
    config = {**cogvideox_example[0].config, **change}
    with refuses(UsageError, kind, *change):
        CogVideoXTransformer3DMOTModel.from_config(config)


def test_wan_takes_and_never_reads_what_the_official_model_does(wan_example: tuple[Any, dict[str, Any]]) -> None:
    unused = {"supported_effect_types": ["melt"], "num_ref_embeddings": 3}
    model = WanTransformer3DMOTModel.from_config({**wan_example[0].config, **unused})
    assert model.state_dict().keys() == wan_example[0].state_dict().keys()
    with refuses(UsageError, ErrorKind.INVALID, "reference_train_mode"):
        WanTransformer3DMOTModel.from_config({**wan_example[0].config, "reference_train_mode": "reference_independent"})


def test_wan_takes_one_reference(wan_example: tuple[Any, dict[str, Any]]) -> None:
    model, inputs = wan_example
    inputs["reference_hidden_states"] = inputs["reference_hidden_states"].repeat(1, 1, 2, 1, 1)
    with refuses(UsageError, ErrorKind.INVALID, "reference_hidden_states"):
        model(**inputs)


def test_cogvideox_takes_whole_references(cogvideox_example: tuple[Any, dict[str, Any]]) -> None:
    model, inputs = cogvideox_example
    inputs["reference_hidden_states"] = inputs["reference_hidden_states"][:, :-1]
    with refuses(UsageError, ErrorKind.INVALID, "reference_hidden_states"):
        model(**inputs)


def test_effects_must_be_known(cogvideox_example: tuple[Any, dict[str, Any]]) -> None:
    model, inputs = cogvideox_example
    with refuses(UsageError, ErrorKind.UNKNOWN, "effect_types", "melt"):
        model(**{**inputs, "effect_types": ["melt", "melt"]})


def test_references_without_an_effect_get_none(cogvideox_example: tuple[Any, dict[str, Any]]) -> None:
    model, inputs = cogvideox_example
    known = {"supported_effect_types": ["melt", "inflate"]}
    model = CogVideoXTransformer3DMOTModel.from_config({**model.config, **known}).eval()
    with torch.no_grad():
        model.effect_embeddings["melt"].normal_()

    def output(*effects: str) -> torch.Tensor:
        with torch.no_grad():
            result: torch.Tensor = model(**{**inputs, "effect_types": effects or None}).sample
        return result

    # "inflate" has an embedding of zeros, so it is as good as none.
    assert torch.equal(output("melt"), output("melt", "inflate"))
    assert not torch.equal(output("melt"), output())
    with refuses(UsageError, ErrorKind.UNKNOWN, "effect_types", "2 references"):
        output("melt", "melt", "melt")


@pytest.mark.parametrize("family", ["cogvideox", "wan"])
def test_fused_projections_are_refused(family: str, request: pytest.FixtureRequest) -> None:
    model, _ = request.getfixturevalue(f"{family}_example")
    with refuses(UsageError, ErrorKind.INVALID, "fuse_qkv_projections"):
        model.fuse_qkv_projections()
