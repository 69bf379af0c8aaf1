"""The arithmetic that hardware has, so that none is asked of it that it would imitate."""

from __future__ import annotations

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device is known to multiply in bfloat16 no slower than in float32.

    A CPU without such instructions takes tens of times as long in matrix products.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Private, but there is no public way to ask in every supported release; absent, the answer is no.
        known = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
        return any(bool(ask()) for ask in known if ask is not None)
    return False


def mixed_precision(device: torch.device) -> torch.autocast:
    """Return a context that computes in bfloat16 where that is no slower, else in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))
