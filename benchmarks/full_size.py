"""Count parameters and operations of the full-size methods from their published configurations.

    python benchmarks/full_size.py

Nothing is downloaded: models are built on torch's meta device. The numbers are those of the cards' ``size`` and of the
table in docs/guides/full-size.md; tests/test_full_size.py compares them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    CogVideoXTransformer3DModel,
    WanTransformer3DModel,
    WanVACETransformer3DModel,
)
from transformers import CLIPVisionConfig, CLIPVisionModel, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from vapbench.models import CogVideoXTransformer3DMOTModel, WanTransformer3DMOTModel

STEPS, PASSES = 50, 2  # denoising steps; with and without the caption
COGVIDEOX_TOKENS, WAN_TOKENS, COGVIDEOX_TEXT = 13 * 30 * 45, 13 * 30 * 52, 226

_COGVIDEOX: dict[str, Any] = {
    "num_attention_heads": 48,
    "attention_head_dim": 64,
    "in_channels": 32,
    "out_channels": 16,
    "time_embed_dim": 512,
    "text_embed_dim": 4096,
    "num_layers": 42,
    "sample_width": 90,
    "sample_height": 60,
    "sample_frames": 49,
    "use_rotary_positional_embeddings": True,
    "use_learned_positional_embeddings": True,
}
_WAN: dict[str, Any] = {
    "num_attention_heads": 40,
    "attention_head_dim": 128,
    "in_channels": 36,
    "out_channels": 16,
    "ffn_dim": 13824,
    "num_layers": 40,
    "image_dim": 1280,
    "added_kv_proj_dim": 5120,
}
_VACE: dict[str, dict[str, Any]] = {
    "14b": {
        "num_attention_heads": 40,
        "ffn_dim": 13824,
        "num_layers": 40,
        "vace_layers": [0, 5, 10, 15, 20, 25, 30, 35],
        "vace_in_channels": 96,
    },
    "1.3b": {
        "num_attention_heads": 12,
        "ffn_dim": 8960,
        "num_layers": 30,
        "vace_layers": list(range(0, 30, 2)),
        "vace_in_channels": 96,
    },
}
_T5 = {
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}
_CLIP = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "patch_size": 14,
}
_COGVIDEOX_VAE: dict[str, Any] = {
    "down_block_types": ("CogVideoXDownBlock3D",) * 4,
    "up_block_types": ("CogVideoXUpBlock3D",) * 4,
    "block_out_channels": (128, 256, 256, 512),
    "latent_channels": 16,
    "layers_per_block": 3,
}


@cache
def count(name: str) -> float:
    """Parameters of a component, in billions."""
    with torch.device("meta"):
        models: dict[str, Any] = {
            "cogvideox": lambda: CogVideoXTransformer3DModel(**_COGVIDEOX),
            "vap": lambda: CogVideoXTransformer3DMOTModel(**_COGVIDEOX, block_idx_with_mot_ref=list(range(41))),
            "wan": lambda: WanTransformer3DModel(**_WAN),
            "vap-wan": lambda: WanTransformer3DMOTModel(**_WAN, block_idx_with_mot_ref=list(range(0, 40, 4))),
            "vace-14b": lambda: WanVACETransformer3DModel(**_VACE["14b"]),
            "vace-1.3b": lambda: WanVACETransformer3DModel(**_VACE["1.3b"]),
            "t5": lambda: T5EncoderModel(T5Config(vocab_size=32128, **_T5)),
            "umt5": lambda: UMT5EncoderModel(UMT5Config(vocab_size=256384, **_T5)),
            "clip": lambda: CLIPVisionModel(CLIPVisionConfig(**_CLIP)),
            "cogvideox-vae": lambda: AutoencoderKLCogVideoX(**_COGVIDEOX_VAE),
            "wan-vae": lambda: AutoencoderKLWan(),
        }
        model = models[name]()
    return sum(parameter.numel() for parameter in model.parameters()) / 1e9


def petaflop(linear: float, tokens: int, attention: list[tuple[int, int, int]]) -> float:
    """Operations of a video: two per parameter and token, and those of attention.

    Args:
        linear: parameters that each token meets, in billions.
        tokens: of the video, and of the text where it goes through the same blocks.
        attention: (layers, tokens, width) of each kind of self-attention.
    """
    one = 2 * linear * 1e9 * tokens + sum(4 * layers * n * n * width for layers, n, width in attention)
    return one * PASSES * STEPS / 1e15


def counts() -> dict[str, tuple[dict[str, float], float]]:
    """Parameters in billions by component, and operations of a video, of each method."""
    cogvideox, wan = COGVIDEOX_TOKENS + COGVIDEOX_TEXT, WAN_TOKENS
    t5, umt5, clip = count("t5"), count("umt5"), count("clip")
    small, large = count("cogvideox"), count("wan")
    base = {"text_encoder": t5, "vae": count("cogvideox-vae")}
    wan_base = {"text_encoder": umt5, "image_encoder": clip, "vae": count("wan-vae")}
    vace_base = {"text_encoder": umt5, "vae": count("wan-vae")}
    joint = [(41, 2 * cogvideox, 3072), (1, cogvideox, 3072)]
    joint_wan = [(10, 2 * wan, 5120), (30, wan, 5120)]
    return {
        "i2v": ({"transformer": small, **base}, petaflop(small, cogvideox, [(42, cogvideox, 3072)])),
        "i2v-wan": ({"transformer": large, **wan_base}, petaflop(large, wan, [(40, wan, 5120)])),
        # Each stream meets its own half of the parameters.
        "vap": ({"transformer": count("vap"), **base}, petaflop(count("vap"), cogvideox, joint)),
        "vap-wan": ({"transformer": count("vap-wan"), **wan_base}, petaflop(count("vap-wan"), wan, joint_wan)),
        "vace-original": (
            {"transformer": count("vace-14b"), **vace_base},
            petaflop(count("vace-14b"), wan, [(48, wan, 5120)]),
        ),
        "vace-original:size=1.3b": (
            {"transformer": count("vace-1.3b"), **vace_base},
            petaflop(count("vace-1.3b"), wan, [(45, wan, 1536)]),
        ),
    }


def main() -> None:
    """Print a line per method."""
    for name, (parameters, operations) in counts().items():
        parts = ", ".join(f"{part}: {billions:.2f}" for part, billions in parameters.items())
        print(f"{name:24} parameters: {{{parts}}}  petaflop: {operations:.0f}")


if __name__ == "__main__":
    main()
