"""The Wan expert block of Video-As-Prompt (arXiv 2510.20888).

Two streams run through it: the target (frozen base weights) and the reference (expert weights). They meet in
one place, :func:`joint_attention`; each reads its own caption and image by cross-attention.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.transformer_wan import WanTransformerBlock
from torch import nn

from vapbench.models.experts import SUFFIX, twin
from vapbench.models.rope import Rotary


class Condition(NamedTuple):
    """What a stream is conditioned on."""

    context: torch.Tensor
    """Image tokens, then text tokens [B, 257 + 512, D]."""
    modulation: torch.Tensor
    """Projected timestep [B or 1, 6, D]."""
    rotary: Rotary
    """Positions of the video tokens [S, head_dim]."""


class Reference(NamedTuple):
    """The reference stream."""

    video: torch.Tensor
    """[B, S, D]."""
    condition: Condition


class Layers(NamedTuple):
    """One stream's weights in a block."""

    scale_shift_table: nn.Parameter
    attn1: nn.Module
    norm2: nn.Module
    attn2: nn.Module
    ffn: nn.Module


def joint_attention(
    base: Any,
    expert: Any,
    target: torch.Tensor,
    reference: torch.Tensor,
    rotary: Rotary,
    reference_rotary: Rotary,
    update_reference: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Let target and reference video attend to everything, each stream through its own projections.

    The sequence is [target video, reference video], without text and without a mask. Without
    ``update_reference`` only the target asks, and the reference comes back as it is.
    """
    queries, keys, values = _project(base, target, rotary)
    reference_queries, reference_keys, reference_values = _project(expert, reference, reference_rotary)

    target_length = queries.shape[2]
    if update_reference:
        queries = torch.cat([queries, reference_queries], dim=2)
    mixed = F.scaled_dot_product_attention(
        queries, torch.cat([keys, reference_keys], dim=2), torch.cat([values, reference_values], dim=2)
    )
    target = _output(base, mixed[:, :, :target_length])
    if update_reference:
        reference = _output(expert, mixed[:, :, target_length:])
    return target, reference


def _project(attention: Any, video: torch.Tensor, rotary: Rotary) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return queries, keys and values [B, heads, S, head_dim]; the norms span all heads."""
    queries, keys, values = (
        tokens.unflatten(2, (attention.heads, -1)).transpose(1, 2)
        for tokens in (
            attention.norm_q(attention.to_q(video)),
            attention.norm_k(attention.to_k(video)),
            attention.to_v(video),
        )
    )
    return apply_rotary_emb(queries, rotary), apply_rotary_emb(keys, rotary), values


def _output(attention: Any, mixed: torch.Tensor) -> torch.Tensor:
    mixed = mixed.transpose(1, 2).flatten(2)
    for layer in attention.to_out:
        mixed = layer(mixed)
    return mixed


class WanExpertBlock(WanTransformerBlock):  # type: ignore[misc]
    """A Wan block with an expert twin of every layer that has weights.

    ``updates_reference`` is False in a model's last expert block: no later layer reads the reference, so what
    it would become is not computed.
    """

    def __init__(self, *args: Any, updates_reference: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.updates_reference = updates_reference
        for name in Layers._fields:
            setattr(self, name + SUFFIX, twin(getattr(self, name)))

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        temb: torch.Tensor,
        rotary_emb: Rotary,
        reference: Reference | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, Reference]:
        """Return the target's video and, when there is one, the reference stream."""
        if reference is None:
            return super().forward(  # type: ignore[no-any-return]
                hidden_states, encoder_hidden_states, temb, rotary_emb
            )
        base = Layers(*(getattr(self, name) for name in Layers._fields))
        expert = Layers(*(getattr(self, name + SUFFIX) for name in Layers._fields))
        modulation = _modulation(base, temb)
        other_modulation = _modulation(expert, reference.condition.modulation)

        cos, sin = rotary_emb  # Upstream's tables are [1, S, 1, head_dim].
        mixed, other_mixed = joint_attention(
            base.attn1,
            expert.attn1,
            modulate(self.norm1, hidden_states, *modulation[:2]),
            modulate(self.norm1, reference.video, *other_modulation[:2]),
            (cos.flatten(0, 2), sin.flatten(0, 2)),
            reference.condition.rotary,
            self.updates_reference,
        )
        video = self._finish(base, hidden_states, mixed, encoder_hidden_states, modulation)
        if self.updates_reference:
            other = self._finish(expert, reference.video, other_mixed, reference.condition.context, other_modulation)
            reference = reference._replace(video=other)
        return video, reference

    def _finish(
        self,
        layers: Layers,
        video: torch.Tensor,
        mixed: torch.Tensor,
        context: torch.Tensor,
        modulation: tuple[torch.Tensor, ...],
    ) -> torch.Tensor:
        """Add the attended tokens, then cross-attention to the stream's context, then feed-forward."""
        _, _, gate, feed_shift, feed_scale, feed_gate = modulation
        video = (video.float() + mixed * gate).type_as(video)
        video = video + layers.attn2(layers.norm2(video.float()).type_as(video), context)
        update: torch.Tensor = layers.ffn(modulate(self.norm3, video, feed_shift, feed_scale))
        return (video.float() + update.float() * feed_gate).type_as(video)


def _modulation(layers: Layers, timestep: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return shift, scale, gate of the attention and the feed-forward, float32 [B or 1, 1, D]."""
    return (layers.scale_shift_table + timestep.float()).chunk(6, dim=1)


def modulate(norm: nn.Module, video: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Normalise [B, S, D] in float32, then scale and shift by the timestep."""
    normed: torch.Tensor = norm(video.float())
    return (normed * (1 + scale) + shift).type_as(video)
