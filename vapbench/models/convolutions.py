"""Three-dimensional convolutions of small clips on a CPU."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.nn.functional import conv2d, pad

_FEW = 20_480
"""torch's own bound: a float32 clip alone in its batch, of no more channels, frames and rows multiplied than this, is
mostly convolved by copying every neighbourhood (``slow_conv3d``), not by oneDNN."""


def convolve_in_planes(model: nn.Module) -> None:
    """Let the 3-D convolutions of a model, in place, take small clips on a CPU frame by frame.

    A 3-D convolution is a sum of 2-D ones, one for each frame of its kernel. torch computes those
    by oneDNN, several times as fast; results differ by rounding. Larger clips, and other devices, go the usual way.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv3d) and _is_plain(module):
            module._conv_forward = partial(_convolve, module)  # type: ignore[method-assign]


def _is_plain(module: nn.Conv3d) -> bool:
    whole = module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return whole and module.groups == 1 and module.dilation == (1, 1, 1)


def _convolve(self: nn.Conv3d, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Convolve ``(B, C, T, H, W)``."""
    depth, stride, (around, *padding) = self.kernel_size[0], self.stride, [int(side) for side in self.padding]
    small = x.ndim == 5 and len(x) == 1 and x.shape[1] * x.shape[2] * x.shape[3] <= _FEW
    usual = x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu")
    if not small or usual or x.shape[2] + 2 * around < depth:
        made: torch.Tensor = nn.Conv3d._conv_forward(self, x, weight, bias)
        return made
    frames = (pad(x, (0, 0, 0, 0, around, around)) if around else x).transpose(1, 2)[0]  # (T, C, H, W)
    past = (len(frames) - depth) // stride[0] * stride[0] + 1
    parts = [
        conv2d(frames[k : k + past : stride[0]], weight[:, :, k], None if k else bias, stride[1:], padding)
        for k in range(depth)
    ]
    return sum(parts[1:], parts[0])[None].transpose(1, 2)
