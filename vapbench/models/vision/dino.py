"""DINO's vision transformer (Caron et al. 2021), for features that tell one subject from another.

Parameter names are those of the public checkpoint ``dino_vitbase16_pretrain.pth``; sizes are read from the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, scaled_dot_product_attention

from vapbench.errors import ErrorKind, WeightsError

_HEAD_WIDTH = 64


class DinoVit(nn.Module):
    """A plain vision transformer that takes images of any size."""

    def __init__(self, shapes: Mapping[str, torch.Size]) -> None:
        """Build it with random weights, of the sizes that a checkpoint's ``shapes`` (name to shape) imply.

        Raises:
            WeightsError: the names are not DINO's.
        """
        super().__init__()
        try:
            width, channels, height, across = shapes["patch_embed.proj.weight"]
            layers = 1 + max(int(name.split(".")[1]) for name in shapes if name.startswith("blocks."))
            positions = shapes["pos_embed"]
        except (KeyError, ValueError, IndexError) as error:
            raise WeightsError(
                f"not a DINO checkpoint ({error}); fetch dino-vit-b-16 again.", ErrorKind.INVALID, "weights"
            ) from error
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(positions))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, width, (height, across), (height, across))})
        self.blocks = nn.ModuleList(_Block(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(n, D)`` of prepared images ``(n, 3, H, W)``: the class token, not normalised.

        Rows and columns beyond a multiple of the patch are left out, as a convolution does.
        """
        patches = self.patch_embed["proj"](images)
        place = self._positions(*patches.shape[-2:])
        x = patches.flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + place
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.norm(x)[:, 0]
        return features

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Positions brought to a grid of patches, by a bicubic filter.

        DINO adds 0.1 to the number of patches before it divides, and takes that factor literally: kept, because
        features of frames that are not square depend on it.
        """
        summary, learnt = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        side = round(learnt.shape[1] ** 0.5)
        if (rows, columns) == (side, side):
            return self.pos_embed
        square = learnt.transpose(1, 2).unflatten(2, (side, side))
        factors = ((rows + 0.1) / side, (columns + 0.1) / side)
        fitted = interpolate(square, scale_factor=factors, mode="bicubic", align_corners=False)
        return torch.cat([summary, fitted.flatten(2).transpose(1, 2)], dim=1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        heads = x.shape[-1] // _HEAD_WIDTH
        query, key, value = self.attn["qkv"](self.norm1(x)).unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = x + self.attn["proj"](mixed)
        out: Tensor = x + self.mlp["fc2"](gelu(self.mlp["fc1"](self.norm2(x))))
        return out
