"""Encodings that generations share: what shows the same pictures is encoded once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_MOST = 16
"""Videos kept: five cases' worth. Seeds of one case come one after another, so that more would rarely be asked for."""


class EncodedOnce:
    """An autoencoder's ``encode`` that remembers the last videos it was given.

    It keeps distributions, in main memory, not samples of them: a sample takes its randomness from the seed, so every
    seed gets the latents it would have got.
    """

    def __init__(self, encode: Callable[[Any], Any]) -> None:
        """Remember for ``encode``, which turns pixels into diffusers' ``AutoencoderKLOutput``."""
        self._encode = encode
        self._kept: dict[bytes, torch.Tensor] = {}

    def __call__(self, video: torch.Tensor) -> Any:
        """Return the posterior of ``video``, as ``encode`` does."""
        from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
        from diffusers.models.modeling_outputs import AutoencoderKLOutput

        key = _digest(video)
        parameters = self._kept.pop(key, None)
        if parameters is None:
            parameters = self._encode(video).latent_dist.parameters.cpu()
        self._kept[key] = parameters
        if len(self._kept) > _MOST:
            del self._kept[next(iter(self._kept))]
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(parameters.to(video.device)))


def _digest(video: torch.Tensor) -> bytes:
    import torch

    content = video.detach().cpu().contiguous().view(torch.uint8).numpy()
    return hashlib.sha256(f"{video.dtype} {tuple(video.shape)}".encode() + content.tobytes()).digest()
