"""Structure of a clip as a video: what pixel-aligned control is fed."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from vapbench.core.control import depth_to_rgb, flow_to_rgb
from vapbench.suites.mini.render import MiniClip, render_depth, render_flow

ControlKind = Literal["original", "depth", "flow"]
"""The clip itself; its depth; its optical flow."""

CONTROL_KINDS: tuple[ControlKind, ...] = get_args(ControlKind)


def render_control(spec: MiniClip, kind: ControlKind) -> npt.NDArray[np.uint8]:
    """The structure of a clip as the renderer knows it, colour-coded.

    Returns:
        ``(FRAMES, SIZE, SIZE, 3)`` uint8 RGB.

    Raises:
        UsageError: there is no such condition.
        DataError: there is no such scene.
    """
    if kind == "depth":
        return depth_to_rgb(render_depth(*spec.resolve()))
    return flow_to_rgb(render_flow(*spec.resolve())) if kind == "flow" else spec.render()
