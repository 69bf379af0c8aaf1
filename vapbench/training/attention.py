"""Attention for the short sequences of tiny models on a CPU, where PyTorch's own is slow to train.

Its fused kernel is quick forward and slow backward; plain products spend most of their time on a softmax in float32.
Here the weights are made and kept in the inputs' precision, a few heads at a time, so that what one product leaves is
still in the core's cache for the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

_AT_ONCE = 2  # heads whose weights a core's cache holds

_fused = functional.scaled_dot_product_attention


@contextmanager
def quick_attention(device: torch.device) -> Iterator[None]:
    """Let ``scaled_dot_product_attention`` be the one of this module, on a CPU."""
    if device.type == "cpu":
        functional.scaled_dot_product_attention = _attention  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = _fused


def _attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: None = None, **_: Any
) -> torch.Tensor:
    query, key = query.to(value.dtype), key.to(value.dtype)
    if not torch.is_grad_enabled():
        return _fused(query, key, value)
    attended: torch.Tensor = _attend(query * query.shape[-1] ** -0.5, key, value)[0]
    return attended


@torch.library.custom_op("vapbench::attend", mutates_args=())
def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What scaled queries ``(B, heads, Q, D)`` find in keys and values ``(B, heads, K, D)``, and the weights."""
    found = torch.empty_like(query, memory_format=torch.contiguous_format)
    weights = query.new_empty(*query.shape[:-1], key.shape[-2])
    heads = [part.flatten(0, 1) for part in (query, key, value, weights, found)]
    for start in range(0, len(heads[0]), _AT_ONCE):
        q, k, v, w, f = (part[start : start + _AT_ONCE] for part in heads)
        torch.softmax(torch.bmm(q, k.transpose(1, 2)), dim=-1, out=w)
        torch.bmm(w, v, out=f)
    return found, weights


@torch.library.custom_op("vapbench::attend_backward", mutates_args=())
def _attend_backward(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, weights: torch.Tensor, gradient: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of scaled queries, keys and values, from that of what was found."""
    of_query, of_key, of_value = (
        torch.empty_like(part, memory_format=torch.contiguous_format) for part in (query, key, value)
    )
    heads = [part.flatten(0, 1) for part in (query, key, value, weights, gradient, of_query, of_key, of_value)]
    for start in range(0, len(heads[0]), _AT_ONCE):
        q, k, v, w, g, to_query, to_key, to_value = (part[start : start + _AT_ONCE] for part in heads)
        torch.bmm(w.transpose(1, 2), g, out=to_value)
        of_weights = torch.bmm(g, v.transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_weights, w, -1, w.dtype)
        torch.bmm(of_scores, k, out=to_query)
        torch.bmm(of_scores.transpose(1, 2), q, out=to_key)
    return of_query, of_key, of_value


@_attend.register_fake
def _(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return query.new_empty(query.shape), query.new_empty(*query.shape[:-1], key.shape[-2])


@_attend_backward.register_fake
def _(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, weights: torch.Tensor, gradient: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return query.new_empty(query.shape), key.new_empty(key.shape), value.new_empty(value.shape)


def _keep(ctx: Any, inputs: tuple[torch.Tensor, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])
    ctx.set_materialize_grads(False)  # Nothing asks for the weights' own.


def _back(ctx: Any, gradient: torch.Tensor, _: None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    found: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = _attend_backward(*ctx.saved_tensors, gradient)
    return found


_attend.register_autograd(_back, setup_context=_keep)
