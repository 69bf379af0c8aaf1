"""A folder is loaded whole or not at all, and the message names the file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.refusals import refuses
from vapbench.errors import ErrorKind, WeightsError
from vapbench.models import load_pipeline, load_transformer

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(vectors: Path, tmp_path: Path) -> Path:
    """A copy of a transformer folder."""
    return Path(shutil.copytree(vectors / "wan/interval_1ref/model", tmp_path / "transformer"))


@pytest.fixture
def pipeline_folder(vectors: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(vectors / "cogvideox_pipeline/pipeline", tmp_path / "pipeline"))


def edit_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


EXPERT = "blocks.0.attn1_mot_ref.to_q.weight"


@pytest.mark.parametrize(
    ("change", "kind", "field", "named"),
    [
        (lambda tensors: tensors.pop(EXPERT), ErrorKind.MISSING, "tensors", EXPERT),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), ErrorKind.UNKNOWN, "tensors", "extra"),
        (lambda tensors: tensors.update({EXPERT: torch.zeros(3, 3)}), ErrorKind.INVALID, EXPERT, "[3, 3]"),
    ],
)
def test_tensors_must_be_those_of_the_config(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], Any], kind: ErrorKind, field: str, named: str
) -> None:
    edit_weights(folder, change)
    with refuses(WeightsError, kind, field, WEIGHTS, named):
        load_transformer(folder)


def test_norm_added_q_of_old_checkpoints_is_ignored(folder: Path) -> None:
    edit_weights(folder, lambda tensors: tensors.update({"blocks.0.attn2.norm_added_q.weight": torch.ones(24)}))
    load_transformer(folder)


def test_an_expert_block_more_in_the_config_is_an_error(folder: Path) -> None:
    edit_json(folder / "config.json", block_idx_with_mot_ref=[0, 1, 2, 4])
    with refuses(WeightsError, ErrorKind.MISSING, "tensors", "blocks.1."):
        load_transformer(folder)


def test_an_impossible_config_names_its_file(folder: Path) -> None:
    edit_json(folder / "config.json", block_idx_with_mot_ref=[77])
    with refuses(WeightsError, ErrorKind.INVALID, "block_idx_with_mot_ref", folder / "config.json", 77):
        load_transformer(folder)


def test_shards_are_loaded_and_a_missing_one_is_named(folder: Path) -> None:
    whole = load_transformer(folder, torch.float32)
    whole.save_pretrained(folder, max_shard_size="200KB")
    (folder / WEIGHTS).unlink(missing_ok=True)
    again = load_transformer(folder, torch.float32)
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in whole.state_dict().items())
    shard = sorted(folder.glob("*-of-*.safetensors"))[1]
    shard.unlink()
    with refuses(WeightsError, ErrorKind.MISSING, shard.name):
        load_transformer(folder)


def test_a_cut_file_is_named(folder: Path) -> None:
    file = folder / WEIGHTS
    file.write_bytes(file.read_bytes()[:1000])
    with refuses(WeightsError, ErrorKind.DAMAGED, WEIGHTS):
        load_transformer(folder)


def test_pickled_weights_are_not_read(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "diffusion_pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    with refuses(WeightsError, ErrorKind.MISSING, WEIGHTS, "only safetensors"):
        load_transformer(folder)


def test_an_unknown_class_is_named_with_the_known_ones(folder: Path) -> None:
    edit_json(folder / "config.json", _class_name="OtherModel")
    with refuses(WeightsError, ErrorKind.UNKNOWN, "config.json", "OtherModel", "WanTransformer3DMOTModel"):
        load_transformer(folder)


@pytest.mark.parametrize(
    ("changes", "kind", "named"),
    [
        ({"_class_name": "FluxPipeline"}, ErrorKind.UNKNOWN, ("FluxPipeline", "CogVideoXImageToVideoMOTPipeline")),
        ({"vae": ["diffusers", "AutoencoderKL"]}, ErrorKind.UNKNOWN, ("AutoencoderKL;", "AutoencoderKLCogVideoX")),
        ({"text_encoder": [None, None]}, ErrorKind.INVALID, ("text_encoder",)),
        ({"safety_checker": ["somewhere", "Code"]}, ErrorKind.INVALID, ("safety_checker",)),
    ],
)
def test_model_index_must_name_known_classes(
    pipeline_folder: Path, changes: dict[str, Any], kind: ErrorKind, named: tuple[str, ...]
) -> None:
    edit_json(pipeline_folder / "model_index.json", **changes)
    with refuses(WeightsError, kind, "model_index.json", *named):
        load_pipeline(pipeline_folder)


@pytest.mark.parametrize(
    "missing",
    ["model_index.json", "scheduler", "vae/config.json", "text_encoder/model.safetensors", "tokenizer"],
)
def test_a_missing_part_is_named(pipeline_folder: Path, missing: str) -> None:
    path = pipeline_folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with refuses(WeightsError, ErrorKind.MISSING, path.name, missing):
        load_pipeline(pipeline_folder)


def test_a_text_encoder_that_lacks_tensors_is_an_error(pipeline_folder: Path) -> None:
    file = pipeline_folder / "text_encoder/model.safetensors"
    tensors = load_file(file)
    tensors.pop("encoder.block.0.layer.0.SelfAttention.q.weight")
    save_file(tensors, file, metadata={"format": "pt"})
    with refuses(WeightsError, ErrorKind.MISSING, "tensors", "text_encoder", "SelfAttention.q"):
        load_pipeline(pipeline_folder)


BASES = {"cogvideox": "CogVideoX", "wan": "Wan"}


@pytest.fixture(params=BASES)
def copied_base(request: pytest.FixtureRequest, vectors: Path, tmp_path: Path) -> Path:
    """A copy of the base's repository with the trained transformer put into it, as official training leaves it."""
    folder = Path(shutil.copytree(vectors / f"{request.param}_pipeline/pipeline", tmp_path / "copy"))
    base = BASES[request.param]
    changes: dict[str, Any] = {
        "_class_name": f"{base}ImageToVideoPipeline",
        "transformer": ["diffusers", f"{base}Transformer3DModel"],
    }
    if base == "Wan":
        changes["image_encoder"] = ["transformers", "CLIPVisionModelWithProjection"]
        changes["image_processor"] = ["transformers", "CLIPProcessor"]
        changes["boundary_ratio"] = None
        changes["transformer_2"] = [None, None]
        file = folder / "image_encoder" / "model.safetensors"
        save_file(load_file(file) | {"visual_projection.weight": torch.ones(16, 32)}, file, {"format": "pt"})
        unused = {"supported_effect_types": ["melt"], "num_ref_embeddings": 2}
        edit_json(folder / "transformer" / "config.json", **unused)
    edit_json(folder / "model_index.json", **changes)
    return folder


def test_a_copied_base_with_a_trained_transformer_is_the_released_model(
    copied_base: Path, vectors: Path, caplog: pytest.LogCaptureFixture
) -> None:
    family = "wan" if (copied_base / "image_encoder").is_dir() else "cogvideox"
    whole, copied = (
        load_pipeline(folder, torch.float32) for folder in (vectors / f"{family}_pipeline/pipeline", copied_base)
    )
    assert type(copied) is type(whole)
    for name, component in whole.components.items():
        assert type(copied.components[name]) is type(component)
        if isinstance(component, torch.nn.Module):
            own, other = component.state_dict(), copied.components[name].state_dict()
            assert own.keys() == other.keys()
            assert all(torch.equal(own[key], other[key]) for key in own)
    assert dict(whole.scheduler.config) == dict(copied.scheduler.config)
    assert f"model_index.json names {BASES[family]}ImageToVideoPipeline" in caplog.text
    if family == "wan":
        assert copied.scheduler.config.flow_shift == 3.0
        for told in ("its projection is not used", "its tokenizer is not used", "supported_effect_types, num_ref_emb"):
            assert told in caplog.text


def test_a_transformer_alone_takes_the_rest_from_its_base(
    copied_base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained = tmp_path / "trained"
    shutil.copytree(copied_base / "transformer", trained / "transformer")
    shutil.copytree(copied_base / "scheduler", trained / "scheduler")
    # The base's own transformer, which is not looked at.
    shutil.rmtree(copied_base / "transformer")
    for folder in (trained, trained / "transformer"):
        assert load_pipeline(folder, torch.float32, base=copied_base).transformer.dtype == torch.float32
    assert "The scheduler beside the transformer: those of base= are used" in caplog.text
    for folder in (trained, trained / "transformer"):
        with refuses(WeightsError, ErrorKind.MISSING, "model_index.json", "base=FOLDER_OR_HUB_ID"):
            load_pipeline(folder)


def test_a_config_of_the_bases_class_with_an_experts_fields_is_an_expert(folder: Path) -> None:
    edit_json(folder / "config.json", _class_name="WanTransformer3DModel")
    assert type(load_transformer(folder)).__name__ == "WanTransformer3DMOTModel"
    (folder / "config.json").write_text(
        json.dumps(
            {k: v for k, v in json.loads((folder / "config.json").read_text()).items() if not k.startswith("block_idx")}
        )
    )
    with refuses(WeightsError, ErrorKind.UNKNOWN, "config.json", "WanTransformer3DModel", "i2v-wan"):
        load_transformer(folder)


def test_a_base_without_an_expert_never_runs_with_a_random_one(copied_base: Path) -> None:
    file = next((copied_base / "transformer").glob("*.safetensors"))
    save_file({name: tensor for name, tensor in load_file(file).items() if "_mot_ref" not in name}, file)
    with refuses(WeightsError, ErrorKind.MISSING, "tensors", "config.json"):
        load_pipeline(copied_base)


def test_a_base_of_another_family_is_refused(vectors: Path) -> None:
    wan, cogvideox = (vectors / f"{name}_pipeline/pipeline" for name in ("wan", "cogvideox"))
    with refuses(WeightsError, ErrorKind.UNKNOWN, "model_index.json", "CogVideoXImageToVideoMOTPipeline", "WanImage"):
        load_pipeline(wan / "transformer", base=cogvideox)


@pytest.mark.parametrize("family", ["cogvideox", "wan"])
def test_a_saved_pipeline_names_the_official_classes(
    family: str, request: pytest.FixtureRequest, tmp_path: Path, vectors: Path
) -> None:
    request.getfixturevalue(family).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "model_index.json").read_text())
    official = json.loads((vectors / f"{family}_pipeline/pipeline/model_index.json").read_text())
    for name in ("_class_name", "transformer", "vae", "scheduler", "text_encoder"):
        assert saved[name] == official[name]
    assert saved.get("image_processor") == official.get("image_processor")
    load_pipeline(tmp_path)


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, vapbench.models; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
