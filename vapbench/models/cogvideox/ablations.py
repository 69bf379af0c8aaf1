"""The paper's two alternative ways to let CogVideoX read one reference (arXiv 2510.20888, ablations).

Both have the expert's weights and neither has joint attention: the reference first runs alone through the
expert layers, at the target's own positions.

- Residual addition (as ControlNet): the expert's tokens are added to the target's after every expert block.
- Single encoder: the base attention then reads target and reference in one sequence, with the base weights.

The third alternative, a single branch without an expert, is a plain CogVideoX model and is not made here.
"""

from __future__ import annotations

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

    def _read(
        self, target: Tokens, reference: Reference, temb: torch.Tensor, rotary: Rotary | None
    ) -> tuple[Tokens, Reference]:
        video, text = self.forward(*target, temb, rotary)[:2]
        other = self._run_alone(reference, rotary)
        return Tokens(video + other.video, text + other.text), reference._replace(tokens=other)


class SingleEncoderBlock(_AloneFirstBlock):
    """Lets the base attention read the reference's tokens."""

    def _read(
        self, target: Tokens, reference: Reference, temb: torch.Tensor, rotary: Rotary | None
    ) -> tuple[Tokens, Reference]:
        other = self._run_alone(reference, rotary)
        both = Tokens(*(torch.cat(parts, dim=1) for parts in zip(target, other, strict=True)))
        normed, gates = modulate(self.norm1, both, temb)
        positions = None
        if rotary is not None and reference.rotary is not None:
            cos, sin = (torch.cat(parts) for parts in zip(rotary, reference.rotary, strict=True))
            positions = cos, sin
        mixed = F.scaled_dot_product_attention(*project(self.attn1, normed, positions))
        update = output(self.attn1, mixed, both.text.shape[1])
        update = Tokens(*(new[:, : old.shape[1]] for new, old in zip(update, target, strict=True)))
        target = feed_forward(self.norm2, self.ff, add(target, update, gates), temb)
        return target, reference._replace(tokens=other)
