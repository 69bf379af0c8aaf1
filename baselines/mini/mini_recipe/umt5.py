"""Wan's text encoder class with the weights of the mini suite's T5."""

from __future__ import annotations

import torch
from transformers import T5EncoderModel, UMT5Config, UMT5EncoderModel

_BIAS = "SelfAttention.relative_attention_bias.weight"


@torch.no_grad()
def as_umt5(encoder: T5EncoderModel) -> UMT5EncoderModel:
    """Return a ``UMT5EncoderModel`` with the outputs of a T5 encoder.

    The two differ in one thing: T5's layers share the position bias of the first, UMT5's each have their own.
    """
    source = encoder.config
    model = UMT5EncoderModel(
        UMT5Config(
            vocab_size=source.vocab_size,
            d_model=source.d_model,
            d_kv=source.d_kv,
            d_ff=source.d_ff,
            num_layers=source.num_layers,
            num_heads=source.num_heads,
            relative_attention_num_buckets=source.relative_attention_num_buckets,
            relative_attention_max_distance=source.relative_attention_max_distance,
            feed_forward_proj=source.feed_forward_proj,
            layer_norm_epsilon=source.layer_norm_epsilon,
            dropout_rate=source.dropout_rate,
            is_encoder_decoder=False,
            use_cache=False,
        )
    )
    weights = dict(encoder.state_dict())
    shared = weights[f"encoder.block.0.layer.0.{_BIAS}"]
    for layer in range(source.num_layers):
        weights[f"encoder.block.{layer}.layer.0.{_BIAS}"] = shared
    model.load_state_dict(weights)
    return model.to(device=shared.device, dtype=shared.dtype).eval().requires_grad_(False)
