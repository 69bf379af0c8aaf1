"""The paper's two alternative ways to let CogVideoX read one reference (arXiv 2510.20888, ablations).

Both have the expert's weights and neither has joint attention: the reference first runs alone through the
expert layers, at the target's own positions.

- Residual addition (as ControlNet): the expert's tokens are added to the target's after every expert block.
- Single encoder: the base attention then reads target and reference in one sequence, with the base weights.

The third alternative, a single branch without an expert, is a plain CogVideoX model and is not made here.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from vapbench.models.cogvideox.block import (
    CogVideoXExpertBlock,
    Reference,
    Tokens,
    add,
    feed_forward,
    modulate,
    output,
    project,
)
from vapbench.models.rope import Rotary


class _AloneFirstBlock(CogVideoXExpertBlock):
    def _run_alone(self, reference: Reference, rotary: Rotary | None) -> Tokens:
        """Run the reference through the expert layers as through a plain block, at the target's positions."""
        normed, gates = modulate(self.norm1_mot_ref, reference.tokens, reference.temb)
        text_length = normed.text.shape[1]
        mixed = F.scaled_dot_product_attention(*project(self.attn1_mot_ref, normed, rotary))
        update = output(self.attn1_mot_ref, mixed, text_length)
        tokens = add(reference.tokens, update, gates)
        return feed_forward(self.norm2_mot_ref, self.ff_mot_ref, tokens, reference.temb)


class ResidualAdditionBlock(_AloneFirstBlock):
    """Adds the reference's tokens to the target's."""

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
        inputs = hidden_states, encoder_hidden_states, temb, image_rotary_emb, attention_kwargs
        video, text = super().forward(*inputs)[:2]
        if reference is None:
            return video, text
        other = self._run_alone(reference, image_rotary_emb)
        return video + other.video, text + other.text, reference._replace(tokens=other)


class SingleEncoderBlock(_AloneFirstBlock):
    """Lets the base attention read the reference's tokens."""

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
            inputs = hidden_states, encoder_hidden_states, temb, image_rotary_emb, attention_kwargs
            return super().forward(*inputs)
        target, other = (
            Tokens(hidden_states, encoder_hidden_states),
            self._run_alone(reference, image_rotary_emb),
        )
        both = Tokens(*(torch.cat(parts, dim=1) for parts in zip(target, other, strict=True)))
        normed, gates = modulate(self.norm1, both, temb)
        rotary = None
        if image_rotary_emb is not None and reference.rotary is not None:
            cos, sin = (torch.cat(parts) for parts in zip(image_rotary_emb, reference.rotary, strict=True))
            rotary = cos, sin
        mixed = F.scaled_dot_product_attention(*project(self.attn1, normed, rotary))
        update = output(self.attn1, mixed, both.text.shape[1])
        update = Tokens(*(new[:, : old.shape[1]] for new, old in zip(update, target, strict=True)))
        target = feed_forward(self.norm2, self.ff, add(target, update, gates), temb)
        return target.video, target.text, reference._replace(tokens=other)
