"""Faults that generated frames have: blur, noise, blocks, ghosts."""

from __future__ import annotations

import torch
from torch.nn import functional

FAULTS = {"blur": "Blurred.", "noise": "Noisy.", "blocks": "Blocky.", "ghost": "Ghosted."}
"""Each fault, and what a caption of a frame that has it begins with."""


def degrade(
    frames: torch.Tensor, fault: str, strengths: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    """Give frames a fault that generated ones have.

    Args:
        frames: ``(N, 3, H, W)`` uint8.
        fault: one of ``FAULTS``.
        strengths: range from which each frame's strength is drawn, within 0..1.
        generator: on the CPU.

    Returns:
        Frames like those given.
    """
    low, high = strengths
    strength = low + (high - low) * torch.rand(len(frames), 1, 1, 1, generator=generator)
    clean = frames.float()
    if fault == "noise":
        faulty = clean + 60 * strength * torch.randn(clean.shape, generator=generator)
    elif fault == "ghost":
        # The picture a few pixels on shines through, as where a model cannot decide on a place.
        shift = int(torch.randint(4, 9, (), generator=generator))
        faulty = torch.lerp(clean, clean.roll((shift // 2, shift), dims=(2, 3)), 0.5 * strength)
    else:
        faulty = torch.lerp(clean, _blurred(clean) if fault == "blur" else _blocky(clean), strength)
    return faulty.round().clamp(0, 255).to(torch.uint8)


def _blurred(images: torch.Tensor) -> torch.Tensor:
    for _ in range(3):
        images = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    return images


def _blocky(images: torch.Tensor) -> torch.Tensor:
    """Blocks of 4 x 4 pixels that keep little more than their mean."""
    means = functional.avg_pool2d(images, 4)
    return functional.interpolate(means, scale_factor=4, mode="nearest")
