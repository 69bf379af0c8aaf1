"""ViCLIP: a video and a text in one space (Wang et al. 2023, "InternVid").

A CLIP whose image tower reads the patches of all frames as one sequence. Parameter names are those of the public
checkpoint ``ViClip-InternVid-10M-FLT.pth``; sizes are read from the checkpoint, so that small ones load as well.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from vapbench.errors import ErrorKind, WeightsError

_HEAD_WIDTH = 64


class ViClip(nn.Module):
    """Both towers."""

    def __init__(self, shapes: Mapping[str, torch.Size]) -> None:
        """Build it with random weights, of the sizes that a checkpoint's ``shapes`` (name to shape) imply.

        Raises:
            WeightsError: the names are not ViCLIP's.
        """
        super().__init__()
        try:
            self.vision_encoder = _VisionEncoder(_below("vision_encoder.", shapes))
            self.text_encoder = _TextEncoder(_below("text_encoder.", shapes))
        except (KeyError, ValueError, IndexError) as error:
            raise WeightsError(
                f"not a ViCLIP checkpoint ({error}); fetch viclip-l-14 again.", ErrorKind.INVALID, "weights"
            ) from error
        self.temp = nn.Parameter(torch.ones([]))

    @property
    def frames(self) -> int:
        """Frames a video must have."""
        return int(self.vision_encoder.temporal_positional_embedding.shape[1])

    @property
    def image_size(self) -> int:
        """Side of a frame, in pixels."""
        patches = self.vision_encoder.positional_embedding.shape[0] - 1
        return int(patches**0.5) * int(self.vision_encoder.conv1.weight.shape[-1])

    @property
    def context_length(self) -> int:
        """Tokens a text may have, beginning and end included."""
        return int(self.text_encoder.positional_embedding.shape[0])

    def encode_video(self, frames: Tensor) -> Tensor:
        """Features ``(n, D)`` of prepared videos ``(n, T, 3, S, S)``, not normalised."""
        features: Tensor = self.vision_encoder(frames)
        return features

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Features ``(n, D)`` of token ids ``(n, context_length)``, not normalised."""
        features: Tensor = self.text_encoder(tokens)
        return features


class _VisionEncoder(nn.Module):
    def __init__(self, shapes: Mapping[str, torch.Size]) -> None:
        super().__init__()
        width, channels, depth, height, across = shapes["conv1.weight"]
        patch = (depth, height, across)
        self.conv1 = nn.Conv3d(channels, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(shapes["positional_embedding"]))
        self.temporal_positional_embedding = nn.Parameter(torch.zeros(shapes["temporal_positional_embedding"]))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = _Transformer(width, _layers(shapes))
        self.proj = nn.Parameter(torch.zeros(shapes["proj"]))

    def forward(self, frames: Tensor) -> Tensor:
        """``(n, T, 3, S, S)`` to ``(n, D)``; one class token stands for the whole video."""
        patches = self.conv1(frames.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)
        place, moment = self.positional_embedding, self.temporal_positional_embedding
        tokens = patches + place[1:] + moment[:, :, None]
        # Patch by patch, each through all frames: the order the checkpoint was trained with.
        tokens = tokens.transpose(1, 2).flatten(1, 2)
        summary = (self.class_embedding + place[0]).expand(len(tokens), 1, -1)
        x = self.transformer(self.ln_pre(torch.cat([summary, tokens], dim=1)), wanted=1)
        features: Tensor = self.ln_post(x[:, 0]) @ self.proj
        return features


class _TextEncoder(nn.Module):
    def __init__(self, shapes: Mapping[str, torch.Size]) -> None:
        super().__init__()
        words, width = shapes["token_embedding.weight"]
        self.token_embedding = nn.Embedding(words, width)
        self.positional_embedding = nn.Parameter(torch.zeros(shapes["positional_embedding"]))
        self.transformer = _Transformer(width, _layers(shapes))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.zeros(shapes["text_projection"]))

    def forward(self, tokens: Tensor) -> Tensor:
        """``(n, L)`` token ids to ``(n, D)``, read where the text ends (its highest token id)."""
        x = self.token_embedding(tokens) + self.positional_embedding
        causal = torch.full((tokens.shape[1],) * 2, float("-inf"), device=tokens.device).triu_(1)
        x = self.ln_final(self.transformer(x, causal))
        features: Tensor = x[torch.arange(len(x)), tokens.argmax(dim=1)] @ self.text_projection
        return features


class _Transformer(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(width) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None, wanted: int | None = None) -> Tensor:
        """Tokens ``(n, L, D)`` to the same, or to the first ``wanted``: the last block computes no other."""
        *blocks, last = self.resblocks
        for block in blocks:
            x = block(x, mask)
        out: Tensor = last(x, mask, wanted)
        return out


class _Block(nn.Module):
    """Pre-norm attention and multilayer perceptron, as in CLIP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // _HEAD_WIDTH, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor, mask: Tensor | None, wanted: int | None = None) -> Tensor:
        x = x[:, :wanted] + self._attend(self.ln_1(x), mask, wanted)
        hidden = self.mlp["c_fc"](self.ln_2(x))
        out: Tensor = x + self.mlp["c_proj"]((1.702 * hidden).sigmoid_().mul_(hidden))
        return out

    def _attend(self, y: Tensor, mask: Tensor | None, wanted: int | None) -> Tensor:
        """What the module would do, without its copies and without holding every weight at once."""
        joint = linear(y, self.attn.in_proj_weight, self.attn.in_proj_bias)
        queries, keys, values = joint.unflatten(-1, (3, self.attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        read = scaled_dot_product_attention(queries[:, :, :wanted], keys, values, attn_mask=mask)
        out: Tensor = self.attn.out_proj(read.transpose(1, 2).flatten(2))
        return out


def _below(prefix: str, shapes: Mapping[str, torch.Size]) -> dict[str, torch.Size]:
    return {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}


def _layers(shapes: Mapping[str, torch.Size]) -> int:
    prefix = "transformer.resblocks."
    return 1 + max(int(name.removeprefix(prefix).split(".")[0]) for name in shapes if name.startswith(prefix))
