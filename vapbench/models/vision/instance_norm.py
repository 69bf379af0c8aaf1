"""Instance normalisation that does not leave the layout convolutions are fastest in."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import group_norm

_PIXELS = (2, 3)


class InstanceNorm(nn.InstanceNorm2d):
    """``InstanceNorm2d`` without parameters that stays in the channels-last layout.

    The original copies such maps to the other layout, and the next convolution copies them back, which takes a CPU
    longer than the norm. Float32 is centred before it is squared, which loses nothing to a mean far from zero. In
    bfloat16, group normalisation with one channel a group is the same formula in one step; it subtracts squares, whose
    error is far below bfloat16's own rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of each map of ``(n, C, h, w)``."""
        if x.element_size() < 4:
            return group_norm(x, self.num_features, eps=self.eps)
        centred = x - x.mean(_PIXELS, keepdim=True)
        variance = centred.square().mean(_PIXELS, keepdim=True)
        return centred.mul_((variance + self.eps).rsqrt_())
