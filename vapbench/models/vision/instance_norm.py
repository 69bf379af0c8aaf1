"""Instance normalisation that does not leave the layout convolutions are fastest in."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import group_norm


class InstanceNorm(nn.InstanceNorm2d):
    """``InstanceNorm2d`` without parameters; bfloat16 stays in the channels-last layout.

    The original copies such maps to the other layout, and the next convolution copies them back. Group
    normalisation with one channel a group is the same formula and copies nothing, but sums in float32 what the
    original sums in float64: far below bfloat16's own rounding, not below float32's, which so takes the long way.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of each map of ``(n, C, h, w)``."""
        if x.element_size() < 4:
            return group_norm(x, self.num_features, eps=self.eps)
        return super().forward(x)
