"""Control videos: what pixel-aligned methods are given in place of the reference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vapbench.clip import Frames

Floats = npt.NDArray[np.float32]


def depth_as_grey(depth: Floats) -> Frames:
    """Depth of a clip as grey frames: near is white, one scale for the whole clip.

    Args:
        depth: ``(T, H, W)``, larger is nearer, in any unit.

    Returns:
        ``(T, H, W, 3)`` uint8.
    """
    low, high = float(depth.min()), float(depth.max())
    levels = (depth - low) / max(high - low, 1e-6)
    grey = np.rint(levels * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def flow_as_colours(flow: Floats) -> Frames:
    """Optical flow in the colours of Baker et al. (2011): hue is direction, saturation speed.

    Each frame has its own scale, its fastest pixel being saturated, as in the code of RAFT and of VACE's annotator.
    The first field is repeated in front, so that there are as many frames as in the clip.

    Args:
        flow: ``(T - 1, H, W, 2)`` in pixels, (right, down).

    Returns:
        ``(T, H, W, 3)`` uint8.
    """
    import torch
    from torchvision.utils import flow_to_image

    fields = torch.from_numpy(np.ascontiguousarray(np.moveaxis(flow, -1, 1), dtype=np.float32))
    colours = torch.stack([flow_to_image(field) for field in fields])
    frames: Frames = colours.permute(0, 2, 3, 1).numpy()
    return np.concatenate([frames[:1], frames])
