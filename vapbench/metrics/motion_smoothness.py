"""motion_smoothness: can every second frame be predicted from its neighbours?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vapbench.checkpoints.catalogue import require
from vapbench.checkpoints.metric_files import given_or_catalogued, present
from vapbench.core.clip import Frames
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import Metric, Score
from vapbench.metrics.features.amt import AmtInterpolator
from vapbench.metrics.features.flow import DisFlow, Flow, pad_frames, padding
from vapbench.metrics.features.precision import Precision
from vapbench.metrics.temporal_flickering import mean_absolute_error

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
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
    errors = []
    for odd in compared_frames(len(frames)):
        predicted = interpolate(frames[odd - 1], frames[odd + 1]).clip(0, 255).astype(np.uint8)
        errors.append(mean_absolute_error(frames[odd], predicted))
    return _from_errors(errors)


def compared_frames(total: int) -> range:
    """Indices of the frames between two others that are kept, every odd one.

    Raises:
        NotApplicable: there are fewer than 3 frames.
    """
    if total < 3:
        raise NotApplicable(
            f"motion smoothness needs at least 3 frames, the clip has {total}", ErrorKind.NOT_APPLICABLE, "frames"
        )
    return range(1, total - 1, 2)


def _from_errors(errors: list[float]) -> Score:
    return Score((255 - float(np.mean(errors))) / 255, {"mean_absolute_error": errors})


class AmtMotionSmoothness(Metric):
    """Smoothness of motion: how well AMT-S predicts each odd frame from its neighbours.

    Formula: ``(255 - mean over odd frames of mean |frame - prediction|) / 255``, the prediction being AMT-S's frame
    half-way between the even neighbours, truncated to whole grey levels.
    Range: 0 to 1, higher is smoother; a frozen video has nearly 1, so read it next to the dynamic degree.
    Source: VBench, dimension ``motion_smoothness``. Weights: AMT-S (CC BY-NC 4.0: not for commercial use). Needs 3
    frames, sides of at least 128 px once padded to multiples of 16.
    """

    name = "motion_smoothness[amt]"
    title = "Motion smoothness"
    version = 1
    higher_is_better = True
    unit = "fraction"
    scale = 100.0
    range = (0.0, 1.0)
    digits = 2

    def __init__(self, weights: Path | None = None, precision: Precision = "exact") -> None:
        """Choose the checkpoint.

        Args:
            weights: a checkpoint of AMT-S; by default the catalogue's ``amt-s``.
            precision: ``exact``, or ``fast`` for AMT in bfloat16 where the hardware has it.

        Raises:
            UsageError: there is no such checkpoint.
        """
        self._given = present(weights)
        self._precision: Precision = precision

    def weights(self) -> tuple[Path, ...]:
        """The checkpoint, if it is on this machine."""
        return given_or_catalogued(self._given, "amt-s")

    def setup(self, device: torch.device) -> None:
        """Load AMT-S onto ``device``.

        Raises:
            NotApplicable: the checkpoint is not on this machine.
            WeightsError: it is no checkpoint of AMT-S.
        """
        self._interpolator = AmtInterpolator(self._given or require("amt-s"), device, self._precision)

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the clip has fewer than 3 frames, or is too small for AMT.
        """
        compared = compared_frames(len(clip))
        frames = clip.tensor
        predictions = self._interpolator(frames[0 : compared[-1] + 2 : 2], clip.memory)
        errors: list[float] = []
        for predicted in predictions:
            start = len(errors)
            shown = frames[list(compared[start : start + len(predicted)])].to(predicted.device)
            # Grey levels are whole: their sum in float64 is exact, so neither order nor device moves it.
            errors += (shown.double() - predicted.double()).abs().flatten(1).mean(dim=1).tolist()
        return _from_errors(errors)


class WarpMotionSmoothness(Metric):
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

    def __init__(self) -> None:
        """Nothing to choose."""

    def setup(self, device: torch.device) -> None:
        """Make the interpolator; it runs on the CPU whatever the device."""
        self._interpolate = FlowInterpolator()

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the clip has fewer than 3 frames.
        """
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
