"""motion_smoothness: can every second frame be predicted from its neighbours?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vapbench.clip import Frames
from vapbench.errors import NotApplicable
from vapbench.metrics.base import Need, Score
from vapbench.metrics.optical_flow import DisFlow, Flow, pad_frames, padding
from vapbench.metrics.temporal_flickering import mean_absolute_error

if TYPE_CHECKING:
    import torch

    from vapbench.cases import Case
    from vapbench.metrics.view import ClipView

FloatFrame = npt.NDArray[np.float32]

Interpolate = Callable[[Frames, Frames], FloatFrame]
"""Predict the frame half-way between two ``(H, W, 3)`` uint8 frames: ``(H, W, 3)`` float32, grey levels 0 to
255."""


def smoothness(frames: Frames, interpolate: Interpolate) -> Score:
    """Score frames by how well the even ones predict the odd ones, as VBench's ``motion_smoothness`` does.

    The odd frame between two even ones is compared with its prediction, clipped to 0..255 and truncated to
    whole grey levels: ``(255 - mean over odd frames of mean |frame - prediction|) / 255``. With an even
    number of frames the last one has no successor and is left out.

    Raises:
        NotApplicable: there are fewer than 3 frames.
    """
    if len(frames) < 3:
        raise NotApplicable(f"motion smoothness needs at least 3 frames, the clip has {len(frames)}")
    errors = []
    for odd in range(1, len(frames) - 1, 2):
        predicted = interpolate(frames[odd - 1], frames[odd + 1]).clip(0, 255).astype(np.uint8)
        errors.append(mean_absolute_error(frames[odd], predicted))
    return Score((255 - float(np.mean(errors))) / 255, {"mean_absolute_error": errors})


class WarpMotionSmoothness:
    """Smoothness of motion: how well a flow-warped neighbour predicts each odd frame.

    Formula: ``(255 - mean over odd frames of mean |frame - prediction|) / 255``, the prediction being both
    even neighbours warped half-way along DIS optical flow and blended by how consistent the two flows are.
    Range: 0 to 1, higher is smoother; a frozen video has 1, so read it next to the dynamic degree.
    Source: VBench's protocol for ``motion_smoothness`` with another interpolator than its AMT-S: compare it
    only with itself. No weights. Needs 3 frames.
    """

    name = "motion_smoothness[warp]"
    title = "Motion smoothness (warp)"
    version = 1
    higher_is_better = True
    unit = "fraction"
    scale = 100.0
    range = (0.0, 1.0)
    digits = 2
    needs: frozenset[Need] = frozenset()

    def __init__(self) -> None:
        """Nothing to choose."""
        self._interpolate: FlowInterpolator | None = None

    def setup(self, device: torch.device) -> None:
        """Make the interpolator; it runs on the CPU whatever the device."""
        self._interpolate = FlowInterpolator()

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the clip has fewer than 3 frames.
        """
        if self._interpolate is None:
            raise RuntimeError("call setup before score")
        return smoothness(clip.frames, self._interpolate)


class FlowInterpolator:
    """The frame half-way between two, by bidirectional DIS flow.

    The flows from the middle to either frame are approximated as in Super SloMo (Jiang et al. 2018, equation
    4); a pixel is taken more from the side where the flow and the opposite flow it leads to cancel, that is
    where it is not occluded.
    """

    def __init__(self) -> None:
        """Make the flow estimator."""
        import cv2

        self._cv2: Any = cv2
        self._flow = DisFlow()

    def __call__(self, first: Frames, second: Frames) -> FloatFrame:
        """Predict ``(H, W, 3)`` float32, grey levels 0 to 255, from two ``(H, W, 3)`` uint8 frames."""
        height, width = first.shape[:2]
        left, _, top, _ = padding(height, width)
        start, end = pad_frames(first), pad_frames(second)
        grey = self._flow.grey(start), self._flow.grey(end)
        forward, backward = self._flow(*grey), self._flow(grey[1], grey[0])
        to_start = (backward - forward) * np.float32(0.25)
        to_end = -to_start
        from_start = self._warp(start.astype(np.float32), to_start)
        from_end = self._warp(end.astype(np.float32), to_end)
        trust_start = self._warp(self._consistency(forward, backward), to_start)
        trust_end = self._warp(self._consistency(backward, forward), to_end)
        share = (trust_start / (trust_start + trust_end))[..., None]
        # Written so that two equal predictions give exactly themselves: truncation follows.
        middle = from_end + share * (from_start - from_end)
        return np.asarray(middle[top : top + height, left : left + width], dtype=np.float32)

    def _consistency(self, there: Flow, back: Flow) -> FloatFrame:
        """1 where following ``there`` and then ``back`` leads home, less the farther from it they end."""
        astray = there + self._warp(back, there)
        return np.asarray(1 / (1 + np.square(astray).sum(axis=-1)), dtype=np.float32)

    def _warp(self, image: FloatFrame, flow: Flow) -> FloatFrame:
        """Sample ``image`` at each pixel displaced by ``flow``, bilinearly; the border repeats."""
        rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
        warped = self._cv2.remap(
            image,
            columns + flow[..., 0],
            rows + flow[..., 1],
            self._cv2.INTER_LINEAR,
            borderMode=self._cv2.BORDER_REPLICATE,
        )
        return np.asarray(warped, dtype=np.float32)
