"""Write a full-size checkpoint of Video-As-Prompt on CogVideoX-5B with random weights, in the released layout.

    python benchmarks/full_weights.py FOLDER              32 GB, half a minute on 16 cores
    python benchmarks/full_weights.py FOLDER --layers 1   the same layout with few layers: shows that it loads

Random weights cost what trained ones do, and show noise.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import full_size
import torch
from diffusers import AutoencoderKLCogVideoX
from safetensors.torch import save_file
from transformers import T5Config, T5EncoderModel

from vapbench.models import CogVideoXTransformer3DMOTModel

_SMALL_PARTS = Path(__file__).parents[1] / "tests/data/parity/vap/cogvideox_pipeline/pipeline"
_SHARD_BYTES = 5e9
_SCALE = 0.02


def write_checkpoint(folder: Path, layers: int | None = None) -> None:
    """Write every part; ``layers`` cuts the transformer and the text encoder."""
    for part in ("tokenizer", "scheduler"):
        shutil.copytree(_SMALL_PARTS / part, folder / part)
    shutil.copy(_SMALL_PARTS / "model_index.json", folder)
    transformer, text = dict(full_size._COGVIDEOX), dict(full_size._T5)
    if layers:
        transformer["num_layers"] = layers + 1
        text["num_layers"] = layers
    experts = list(range(transformer["num_layers"] - 1))
    with torch.device("meta"):
        parts: dict[str, tuple[Any, str]] = {
            "transformer": (
                CogVideoXTransformer3DMOTModel(**transformer, block_idx_with_mot_ref=experts),
                "diffusion_pytorch_model",
            ),
            "vae": (AutoencoderKLCogVideoX(**full_size._COGVIDEOX_VAE, scaling_factor=0.7), "diffusion_pytorch_model"),
            "text_encoder": (T5EncoderModel(T5Config(vocab_size=32128, **text)), "model"),
        }
    noise = torch.randn(1 << 24)
    for part, (model, stem) in parts.items():
        if hasattr(model, "save_config"):
            model.save_config(folder / part)
        else:
            model.config.save_pretrained(folder / part)
        shapes = {
            name: tensor.shape for name, tensor in model.state_dict().items() if name != "encoder.embed_tokens.weight"
        }
        _write_shards(folder / part, stem, shapes, noise)


def _write_shards(folder: Path, stem: str, shapes: Mapping[str, torch.Size], noise: torch.Tensor) -> None:
    shards = list(_shards(shapes))
    names = [f"{stem}-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    if len(shards) == 1:
        names = [f"{stem}.safetensors"]
    for name, shard in zip(names, shards, strict=True):
        save_file({key: _random(shapes[key], key, noise) for key in shard}, folder / name, metadata={"format": "pt"})
    if len(shards) > 1:
        where = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
        index = {"metadata": {"total_size": sum(2 * shape.numel() for shape in shapes.values())}, "weight_map": where}
        (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def _shards(shapes: Mapping[str, torch.Size]) -> Iterator[list[str]]:
    shard: list[str] = []
    size = 0
    for name, shape in shapes.items():
        if shard and size + 2 * shape.numel() > _SHARD_BYTES:
            yield shard
            shard, size = [], 0
        shard.append(name)
        size += 2 * shape.numel()
    yield shard


def _random(shape: torch.Size, name: str, noise: torch.Tensor) -> torch.Tensor:
    """Weights in bfloat16 that keep activations in range: norms are the identity, matrices scaled by their inputs."""
    count = shape.numel()
    if len(shape) <= 1:
        return torch.full(shape, float(name.endswith("weight")), dtype=torch.bfloat16)
    scale = min(1.0, (shape[0] / count) ** 0.5 / _SCALE) * _SCALE
    return (noise * scale).to(torch.bfloat16).repeat(-(-count // len(noise)))[:count].view(shape).clone()


def main() -> None:
    """Write a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int)
    asked = parser.parse_args()
    write_checkpoint(asked.folder, asked.layers)


if __name__ == "__main__":
    main()
