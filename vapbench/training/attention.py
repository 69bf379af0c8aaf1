"""Attention in plain products: faster than the fused kernel for the short sequences of tiny models on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional


@contextmanager
def plain_attention(device: torch.device) -> Iterator[None]:
    """Compute attention as two products and a softmax, on a CPU.

    On one core, with 176 tokens, PyTorch's fused kernel took half of a training step; this is twice as fast overall.
    """
    fused = functional.scaled_dot_product_attention
    if device.type == "cpu":
        functional.scaled_dot_product_attention = _attention  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = fused


def _attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: None = None, **_: Any
) -> torch.Tensor:
    query, key = (query * query.shape[-1] ** -0.5).to(value.dtype), key.to(value.dtype)
    return torch.matmul(torch.matmul(query, key.transpose(-1, -2)).softmax(dim=-1), value)
