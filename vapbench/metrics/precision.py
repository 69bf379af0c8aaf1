"""The arithmetic of learned metrics: float32, the same on every device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


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
