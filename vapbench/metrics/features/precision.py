"""The arithmetic of learned metrics: exact (float32, the same on every device), or fast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from torch import nn

Precision = Literal["exact", "fast"]
"""``exact``: float32 without TF32. ``fast``: networks in bfloat16 where the hardware has it, else as ``exact``."""


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute without gradients, in the precision asked for."""
    import torch

    with exact_float32(device), torch.autocast(device.type, torch.bfloat16, enabled=_in_bfloat16(device, precision)):
        yield


def round_weights(model: nn.Module, device: torch.device, precision: Precision) -> None:
    """Round the weights of matrix products now, where :func:`arithmetic` would round them in each call.

    A vision transformer takes an eighth less time, and half the memory. What is rounded no longer computes exactly.
    """
    from torch import nn

    if _in_bfloat16(device, precision):
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.MultiheadAttention):
                module.bfloat16()


def _in_bfloat16(device: torch.device, precision: Precision) -> bool:
    """Whether the networks run in bfloat16: only where it is no slower than float32."""
    from vapbench.models.arithmetic import has_bfloat16

    return precision == "fast" and has_bfloat16(device)


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Compute without gradients, without autocast and without TF32.

    TF32 keeps 10 bits of the mantissa, and cuDNN uses it by default: results would differ from the CPU's. The
    former settings come back at the end.
    """
    import torch

    cudnn: Any = torch.backends.cudnn  # its stubs lack `conv`
    matmul, convolution = torch.backends.cuda.matmul, cudnn.conv
    before = matmul.fp32_precision, convolution.fp32_precision
    matmul.fp32_precision = convolution.fp32_precision = "ieee"
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        matmul.fp32_precision, convolution.fp32_precision = before
