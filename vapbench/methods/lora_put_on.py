"""Put an adapter on a transformer: its layers at their scales, whoever trained it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from safetensors import safe_open

from vapbench.errors import ErrorKind, WeightsError
from vapbench.files.text import some
from vapbench.methods.lora_forms import Layer


def put_on(transformer: Any, layers: Sequence[Layer], name: str) -> None:
    """Add an adapter to a transformer, active, in float32.

    Loaders read patterns of ranks and alphas differently from version to version, so none is left to read: scales are
    multiplied into the factors, and factors of smaller rank are filled up with zeros.

    Args:
        transformer: the base, without an adapter of this name.
        layers: what to change.
        name: the adapter's, without dots.
    """
    import torch
    from peft import LoraConfig
    from peft.utils import set_peft_model_state_dict
    from torch.nn.functional import pad

    rank = max(layer.rank for layer in layers)
    modules = "|".join(re.escape(layer.module) for layer in layers)
    transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=f"(?:{modules})"), name)
    state: dict[str, torch.Tensor] = {}
    with safe_open(layers[0].down.file, framework="pt") as file:
        for layer in layers:
            down, up = (file.get_tensor(tensor.name).float() for tensor in (layer.down, layer.up))
            missing = rank - layer.rank
            weight = transformer.get_submodule(layer.module).weight
            down = down.reshape(layer.rank, *weight.shape[1:])
            up = (layer.scale * up).reshape(len(weight), layer.rank, *[1] * (weight.ndim - 2))
            state[f"{layer.module}.lora_A.weight"] = torch.cat([down, down.new_zeros(missing, *down.shape[1:])])
            state[f"{layer.module}.lora_B.weight"] = pad(up, (0, 0) * (weight.ndim - 2) + (0, missing))
    outcome = set_peft_model_state_dict(transformer, state, name)
    if outcome.unexpected_keys:
        raise WeightsError(
            f"{layers[0].down.file}: peft has no place for {some(outcome.unexpected_keys)}.",
            ErrorKind.UNKNOWN,
            "tensors",
        )
    for parameter_name, parameter in transformer.named_parameters():
        if f".{name}." in parameter_name:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(False)
