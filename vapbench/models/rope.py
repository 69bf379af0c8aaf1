"""Temporally biased rotary positions: where the reference videos sit on the target's time axis.

The expert attends to target and references in one sequence. Were a reference given the target's own
positions, a token of it would claim to show the same place at the same moment as its target twin.
Video-As-Prompt (arXiv 2510.20888) therefore moves the references in front of the target in time
and leaves space unchanged.

    before    -nT .. -1         the released models; the last of n references touches the target
    far       50 .. 50 + T - 1  far behind the target; one reference only
    shared    0 .. T - 1        the target's own positions, for the ablation without a bias

The shift of ``before`` is nT latent frames, so it grows with the clip; it is not a constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video import get_resize_crop_region_for_grid

from vapbench.errors import ErrorKind, UsageError

ReferenceRope = Literal["before", "far", "shared"]
Rotary = tuple[torch.Tensor, torch.Tensor]
"""Cosines and sines, each float32 [tokens, head_dim], every value twice (interleaved pairs)."""

FAR_START = 50


def target_positions(frames: int) -> torch.Tensor:
    """Return the target's temporal positions 0 .. T - 1, float32 [T]."""
    return torch.arange(frames, dtype=torch.float32)


def reference_positions(frames: int, references: int = 1, placement: ReferenceRope = "before") -> torch.Tensor:
    """Return the temporal positions of all references in their order, float32 [n * T].

    Args:
        frames: T, the latent frames (after temporal patching) of one video.
        references: n, the number of references.
        placement: where they go, see the module's docstring.

    Raises:
        UsageError: an unknown placement, or ``far`` with more than one reference, which the official code
            cannot do.
    """
    if placement == "before":
        return torch.arange(-references * frames, 0, dtype=torch.float32)
    if placement == "shared":
        return target_positions(frames).repeat(references)
    if placement == "far":
        if references != 1:
            raise UsageError(
                f"reference_rope='far' is defined for one reference, not {references}; use 'before'.",
                ErrorKind.CONFLICT,
                "reference_rope",
            )
        return target_positions(frames) + FAR_START
    raise UsageError(
        f"Unknown reference_rope {placement!r}; use one of {', '.join(get_args(ReferenceRope))}.",
        ErrorKind.UNKNOWN,
        "reference_rope",
    )


def cogvideox_rotary(
    positions: torch.Tensor,
    grid: tuple[int, int],
    base_grid: tuple[int, int] | None,
    head_dim: int,
    device: torch.device | str = "cpu",
) -> Rotary:
    """Return the CogVideoX table for given temporal positions.

    A quarter of the head's channels is for time, the rest is for space.

    Args:
        positions: temporal positions, float [frames].
        grid: rows and columns of patches.
        base_grid: rows and columns the model was trained at; another ``grid`` is fitted into it, as upstream
            does. None takes whole positions 0, 1, ... instead (CogVideoX 1.5).
        head_dim: channels of an attention head.
        device: where the table goes.
    """
    rows, columns = (torch.arange(size, dtype=torch.float32) for size in grid)
    if base_grid is not None:
        start, stop = get_resize_crop_region_for_grid(grid, base_grid[1], base_grid[0])
        rows, columns = (
            torch.linspace(low, high * (size - 1) / size, size)
            for low, high, size in zip(start, stop, grid, strict=True)
        )
    space = head_dim // 8 * 3
    axes = [(head_dim // 4, positions), (space, rows), (space, columns)]
    return _table(axes, torch.float32, device)


def wan_rotary(
    positions: torch.Tensor, grid: tuple[int, int], head_dim: int, device: torch.device | str = "cpu"
) -> Rotary:
    """Return the Wan table for given temporal positions [frames] and a grid of (rows, columns) of patches."""
    space = 2 * (head_dim // 6)
    rows, columns = (torch.arange(size, dtype=torch.float32) for size in grid)
    axes = [(head_dim - 2 * space, positions), (space, rows), (space, columns)]
    return _table(axes, torch.float64, device)


def _table(axes: Sequence[tuple[int, torch.Tensor]], dtype: torch.dtype, device: torch.device | str) -> Rotary:
    """Combine (channels, positions) of time, rows and columns; tokens run with columns fastest."""
    lengths = [len(positions) for _, positions in axes]
    parts = []
    for axis, (channels, positions) in enumerate(axes):
        cos_sin = torch.stack(get_1d_rotary_pos_embed(channels, positions, use_real=True, freqs_dtype=dtype))
        shape = [2, 1, 1, 1, channels]
        shape[1 + axis] = lengths[axis]
        parts.append(cos_sin.to(device).view(shape).expand(2, *lengths, channels))
    cos, sin = torch.cat(parts, dim=-1).flatten(1, 3)
    return cos, sin
