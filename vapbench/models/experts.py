"""What both Mixture-of-Transformers models share: expert twins, their names and their initialisation.

An expert layer is called after its base twin, with one path component suffixed ``_mot_ref``, and has its
shapes (official repository bytedance/Video-As-Prompt @0f30aed). Twins are made here by copying the base
layer, so both hold by construction, and so does the initialisation of the paper (arXiv 2510.20888): the
expert starts as the base.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any, Self, TypeVar

import torch
from torch import nn

from vapbench.errors import ErrorKind, UsageError

SUFFIX = "_mot_ref"

Layer = TypeVar("Layer", nn.Module, nn.Parameter)


def twin(layer: Layer) -> Layer:
    """Return an expert layer that equals its base layer and shares no memory with it."""
    return copy.deepcopy(layer)


def base_name(name: str) -> str:
    """Return the base parameter that an expert parameter is the twin of."""
    return name.replace(SUFFIX, "")


@torch.no_grad()
def initialise_expert(transformer: nn.Module) -> list[str]:
    """Set every expert tensor to its base twin, as training does before its first step.

    Returns:
        The names of the tensors set.
    """
    state = transformer.state_dict()
    names = [name for name in state if SUFFIX in name]
    for name in names:
        state[name].copy_(state[base_name(name)])
    return names


class ExpertModel:
    """Mixin of the two transformers, placed before the upstream class."""

    _cp_plan = None  # Upstream's plan splits the target's sequence only; joint attention would need both.

    config: Any

    @classmethod
    def from_base(cls, base: Any, block_idx_with_mot_ref: Sequence[int]) -> Self:
        """Return this model with the weights of an upstream base model and an expert equal to them.

        Args:
            base: an upstream ``CogVideoXTransformer3DModel`` or ``WanTransformer3DModel``.
            block_idx_with_mot_ref: the blocks that get an expert, e.g. ``range(0, 40, 4)`` as the released
                Wan model.

        Raises:
            UsageError: the base holds tensors that this model has no place for.
        """
        make: Any = cls
        model = make(**_public(base.config), block_idx_with_mot_ref=list(block_idx_with_mot_ref))
        state = base.state_dict()
        unexpected = model.load_state_dict(state, strict=False).unexpected_keys
        if unexpected:
            raise UsageError(
                f"{cls.__name__} has no place for {', '.join(unexpected[:3])} of {type(base).__name__}.",
                ErrorKind.CONFLICT,
                "base",
            )
        initialise_expert(model)
        for name, parameter in model.named_parameters():  # Device and type of the base, which mixes types.
            parameter.data = parameter.data.to(state[base_name(name)])
        return model  # type: ignore[no-any-return]

    def _base_config(self, base_class: type) -> dict[str, Any]:
        """Return the part of the config that the upstream constructor takes."""
        fields = inspect.signature(base_class).parameters
        return {name: value for name, value in self.config.items() if name in fields}

    def _check_expert_config(self, num_layers: int, head_dim: int) -> None:
        blocks = self.config.block_idx_with_mot_ref
        distinct = set(blocks)
        if not distinct or len(distinct) != len(blocks) or not distinct <= set(range(num_layers)):
            raise UsageError(
                f"block_idx_with_mot_ref must name blocks of 0..{num_layers - 1}, each once, not {blocks}.",
                ErrorKind.INVALID,
                "block_idx_with_mot_ref",
            )
        if self.config.attention_head_dim_mot_ref not in (None, head_dim):
            raise UsageError(
                f"attention_head_dim_mot_ref is {self.config.attention_head_dim_mot_ref}, but joint "
                f"attention needs the base's {head_dim}; set it to null.",
                ErrorKind.INVALID,
                "attention_head_dim_mot_ref",
            )

    def fuse_qkv_projections(self) -> None:
        """Refuse: the joint attention reads the separate projections of both streams."""
        raise UsageError(
            f"{type(self).__name__} does not support fused QKV projections.", ErrorKind.INVALID, "fuse_qkv_projections"
        )


def _public(config: Any) -> dict[str, Any]:
    return {name: value for name, value in config.items() if not name.startswith("_")}
