"""The CogVideoX expert block of Video-As-Prompt (arXiv 2510.20888).

Two streams run through it: the target (frozen base weights) and the references (expert weights). They meet in
one place, :func:`joint_attention`. References stay separate sequences, folded into the batch as [B * n, ...],
and lie side by side only while they attend.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXBlock
from torch import nn

from vapbench.models.experts import twin
from vapbench.models.rope import Rotary


class Tokens(NamedTuple):
    """One stream: ``video`` [B, S, D] and ``text`` [B, L, D]."""

    video: torch.Tensor
    text: torch.Tensor


class Reference(NamedTuple):
    """The reference stream of n references, folded into the batch."""

    tokens: Tokens
    """[B * n, S, D] and [B * n, L, D]."""
    temb: torch.Tensor
    """Time embedding of each reference [B * n, E]."""
    rotary: Rotary | None
    """Biased positions of all n references, [n * S, head_dim] each."""


def joint_attention(
    base: Any,
    expert: Any,
    target: Tokens,
    reference: Tokens,
    rotary: Rotary | None,
    reference_rotary: Rotary | None,
    update_reference: bool = True,
) -> tuple[Tokens, Tokens]:
    """Let target and references attend to everything, each stream through its own projections.

    The sequence is [target text, target video, text of references 1..n, video of references 1..n], without a
    mask. Without ``update_reference`` only the target asks, and the references come back as they are.
    """
    batch, text_length = target.text.shape[:2]
    queries, keys, values = project(base, target, rotary)
    side_by_side = Tokens(*(torch.unflatten(part, 0, (batch, -1)).flatten(1, 2) for part in reference))
    reference_queries, reference_keys, reference_values = project(expert, side_by_side, reference_rotary)

    target_length = queries.shape[2]
    if update_reference:
        queries = torch.cat([queries, reference_queries], dim=2)
    mixed = F.scaled_dot_product_attention(
        queries, torch.cat([keys, reference_keys], dim=2), torch.cat([values, reference_values], dim=2)
    )
    target = output(base, mixed[:, :, :target_length], text_length)
    if update_reference:
        reference_text_length = side_by_side.text.shape[1]
        merged = output(expert, mixed[:, :, target_length:], reference_text_length)
        references = reference.text.shape[0] // batch
        reference = Tokens(*(torch.unflatten(part, 1, (references, -1)).flatten(0, 1) for part in merged))
    return target, reference


def project(attention: Any, tokens: Tokens, rotary: Rotary | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return queries, keys and values [B, heads, L + S, head_dim]; only video tokens carry positions."""
    sequence = torch.cat([tokens.text, tokens.video], dim=1)
    queries, keys, values = (
        layer(sequence).unflatten(2, (attention.heads, -1)).transpose(1, 2)
        for layer in (attention.to_q, attention.to_k, attention.to_v)
    )
    queries, keys = attention.norm_q(queries), attention.norm_k(keys)
    if rotary is not None:
        video = slice(tokens.text.shape[1], None)
        queries[:, :, video] = apply_rotary_emb(queries[:, :, video], rotary)
        keys[:, :, video] = apply_rotary_emb(keys[:, :, video], rotary)
    return queries, keys, values


def output(attention: Any, mixed: torch.Tensor, text_length: int) -> Tokens:
    """Return the tokens of what the heads attended to [B, heads, L + S, head_dim]."""
    mixed = mixed.transpose(1, 2).flatten(2)
    for layer in attention.to_out:
        mixed = layer(mixed)
    return Tokens(video=mixed[:, text_length:], text=mixed[:, :text_length])


class CogVideoXExpertBlock(CogVideoXBlock):  # type: ignore[misc]
    """A CogVideoX block with an expert twin of every layer.

    ``updates_reference`` is False in a model's last expert block: no later layer reads the references, so
    what they would become is not computed.
    """

    def __init__(self, *args: Any, updates_reference: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.updates_reference = updates_reference
        self.norm1_mot_ref = twin(self.norm1)
        self.attn1_mot_ref = twin(self.attn1)
        self.norm2_mot_ref = twin(self.norm2)
        self.ff_mot_ref = twin(self.ff)

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        temb: torch.Tensor,
        image_rotary_emb: Rotary | None = None,
        attention_kwargs: dict[str, Any] | None = None,
        reference: Reference | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor] | tuple[torch.Tensor, torch.Tensor, Reference]:
        """Return the target's video and text and, when there is one, the reference stream."""
        if reference is None:
            return super().forward(  # type: ignore[no-any-return]
                hidden_states, encoder_hidden_states, temb, image_rotary_emb, attention_kwargs
            )
        target = Tokens(hidden_states, encoder_hidden_states)
        target, reference = self._read(target, reference, temb, image_rotary_emb)
        return target.video, target.text, reference

    def _read(
        self, target: Tokens, reference: Reference, temb: torch.Tensor, rotary: Rotary | None
    ) -> tuple[Tokens, Reference]:
        """Let the target read the reference; both as they are after this block."""
        other = reference.tokens
        normed, gates = modulate(self.norm1, target, temb)
        other_normed, other_gates = modulate(self.norm1_mot_ref, other, reference.temb)
        mixed, other_mixed = joint_attention(
            self.attn1,
            self.attn1_mot_ref,
            normed,
            other_normed,
            rotary,
            reference.rotary,
            self.updates_reference,
        )
        target = feed_forward(self.norm2, self.ff, add(target, mixed, gates), temb)
        if self.updates_reference:
            other = add(other, other_mixed, other_gates)
            other = feed_forward(self.norm2_mot_ref, self.ff_mot_ref, other, reference.temb)
        return target, reference._replace(tokens=other)


def modulate(norm: nn.Module, tokens: Tokens, temb: torch.Tensor) -> tuple[Tokens, Tokens]:
    """Return the tokens shifted and scaled by the timestep, and the gates of the residual branch."""
    video, text, video_gate, text_gate = norm(tokens.video, tokens.text, temb)
    return Tokens(video, text), Tokens(video_gate, text_gate)


def add(tokens: Tokens, update: Tokens, gates: Tokens) -> Tokens:
    """Add a gated residual branch."""
    return Tokens(*(old + gate * new for old, new, gate in zip(tokens, update, gates, strict=True)))


def feed_forward(norm: nn.Module, layer: nn.Module, tokens: Tokens, temb: torch.Tensor) -> Tokens:
    """Add the feed-forward branch."""
    normed, gates = modulate(norm, tokens, temb)
    text_length = tokens.text.shape[1]
    update = layer(torch.cat([normed.text, normed.video], dim=1))
    return add(tokens, Tokens(update[:, text_length:], update[:, :text_length]), gates)
