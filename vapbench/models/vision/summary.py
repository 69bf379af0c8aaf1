"""open_clip's vision transformers without what nobody reads of their last block."""

from __future__ import annotations

from typing import Any

from open_clip.transformer import VisionTransformer
from torch import Tensor, nn


def skip_unread_tokens(visual: nn.Module) -> None:
    """Where a transformer is read at its class token alone, let its last block compute no other one.

    All others are still attended to. Of 24 blocks, that saves most of one.
    """
    if isinstance(visual, VisionTransformer) and visual.attn_pool is None and visual.pool_type == "tok":
        blocks: Any = visual.transformer.resblocks
        blocks[-1] = _SummaryBlock(blocks[-1])


class _SummaryBlock(nn.Module):
    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, attn_mask: None = None) -> Tensor:
        """Tokens ``(n, L, D)`` to the first one, ``(n, 1, D)``."""
        block, seen = self.block, self.block.ln_1(x)
        summary = x[:, :1] + block.ls_1(block.attention(seen[:, :1], seen, seen))
        out: Tensor = summary + block.ls_2(block.mlp(block.ln_2(summary)))
        return out
