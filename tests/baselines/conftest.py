"""Tiny random checkpoints of the real classes, saved as pipelines are saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    CogVideoXImageToVideoPipeline,
    CogVideoXTransformer3DModel,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
    WanVACEPipeline,
    WanVACETransformer3DModel,
)
from mini_recipe.diffusion import make_scheduler
from mini_recipe.text import make_tokenizer
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)

from vapbench.core.case import ClipSpec
from vapbench.files.atomic import digest, file_sha256, write_json
from vapbench.models import CogVideoXImageToVideoMOTPipeline, CogVideoXTransformer3DMOTModel
from vapbench.models.loading import COMPONENTS
from vapbench.training.lora_run import train_loras

TEXT_WIDTH = 16
ClipProcessor = COMPONENTS["image_processor"]["CLIPImageProcessor"]
CLIP = ClipSpec(frames=13, fps=8, height=64, width=64)
CONDITIONS = ("mini_bolumo", "mini_lesuvo")


@pytest.fixture(autouse=True, scope="session")
def _two_threads() -> None:
    torch.set_num_threads(2)


def _tokenizer() -> T5Tokenizer:
    return make_tokenizer(["A target. A reference."])


def _t5(config: type[Any], model: type[Any]) -> Any:
    sizes = {"d_model": TEXT_WIDTH, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    return model(config(vocab_size=32, feed_forward_proj="gated-gelu", **sizes)).eval()


def _cogvideox_transformer(seed: int = 0) -> CogVideoXTransformer3DModel:
    torch.manual_seed(seed)
    model = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8,
        out_channels=4,
        time_embed_dim=16,
        text_embed_dim=TEXT_WIDTH,
        num_layers=2,
        sample_width=8,
        sample_height=8,
        sample_frames=13,
        temporal_compression_ratio=4,
        max_text_seq_length=64,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=True,
    )
    return model.eval()


def cogvideox_parts(transformer: Any) -> dict[str, Any]:
    torch.manual_seed(1)
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
    )
    return {
        "tokenizer": _tokenizer(),
        "text_encoder": _t5(T5Config, T5EncoderModel),
        "vae": vae.eval(),
        "transformer": transformer,
        "scheduler": make_scheduler(),
    }


def save_cogvideox(folder: Path, seed: int = 0) -> Path:
    CogVideoXImageToVideoPipeline(**cogvideox_parts(_cogvideox_transformer(seed))).save_pretrained(folder)
    return folder


def _wan_vae() -> AutoencoderKLWan:
    torch.manual_seed(1)
    return AutoencoderKLWan(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    ).eval()


def _wan_parts() -> dict[str, Any]:
    return {
        "tokenizer": _tokenizer(),
        "text_encoder": _t5(UMT5Config, UMT5EncoderModel),
        "vae": _wan_vae(),
        "scheduler": UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
    }


@pytest.fixture(scope="session")
def cogvideox_i2v(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cogvideox(tmp_path_factory.mktemp("i2v"))


@pytest.fixture(scope="session")
def vap_around_it(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Video-As-Prompt on the base of ``cogvideox_i2v``."""
    folder = tmp_path_factory.mktemp("vap")
    whole = CogVideoXTransformer3DMOTModel.from_base(_cogvideox_transformer(), [0, 1])
    CogVideoXImageToVideoMOTPipeline(**cogvideox_parts(whole)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def wan_i2v(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wan")
    parts = _wan_parts()
    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
    )
    transformer = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=12,
        out_channels=4,
        text_dim=TEXT_WIDTH,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        image_dim=8,
        added_kv_proj_dim=24,
    )
    WanImageToVideoPipeline(
        **parts,
        transformer=transformer.eval(),
        image_encoder=CLIPVisionModel(vision).eval(),
        image_processor=ClipProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def wan_vace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vace")
    parts = _wan_parts()
    torch.manual_seed(0)
    transformer = WanVACETransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=TEXT_WIDTH,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        vace_layers=[0, 1],
        vace_in_channels=8 + 64,
    )
    # Upstream begins with a control that changes nothing.
    for block in transformer.vace_blocks:
        torch.nn.init.normal_(block.proj_out.weight, std=0.2)
    WanVACEPipeline(**parts, transformer=transformer.eval()).save_pretrained(folder)
    return folder


def train(output: Path, base: Path, conditions: tuple[str, ...] = CONDITIONS, **more: object) -> list[str]:
    settings: dict[str, object] = {"suite": "mini", "data": None, "weights": str(base), "clip": CLIP}
    return train_loras(output, conditions, **{**settings, "smoke": True, "quiet": True, **more})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def adapters(cogvideox_i2v: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("loras")
    assert train(output, cogvideox_i2v) == list(CONDITIONS)
    for name in CONDITIONS:
        # Two steps move hardly a level of a pixel; what they moved counts.
        amplify(output / name)
    return output


def amplify(folder: Path, seed: int = 0) -> None:
    """Put larger random numbers in an adapter's place, and say so in its card."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = folder / "pytorch_lora_weights.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    torch.manual_seed(int(digest([folder.name, seed])[:8], 16))
    save_file({name: torch.randn_like(tensor.float()).half() for name, tensor in tensors.items()}, path, metadata)
    card = json.loads((folder / "card.json").read_text())
    write_json(folder / "card.json", card | {"sha256": file_sha256(path)})
