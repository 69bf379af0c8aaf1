"""dynamic_degree: does the video move?

The rule is VBench's (dimension ``dynamic_degree``); two optical flows can feed it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vapbench.checkpoints.catalogue import require
from vapbench.checkpoints.metric_files import given_or_catalogued, present
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import Metric, Score
from vapbench.metrics.features.flow import DisFlow, Flow, RaftFlow, pad_frames, padding
from vapbench.metrics.features.precision import Precision, arithmetic

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView


_RAFT_SMALLEST_SIDE = 128
"""Below it, the coarsest level of RAFT's correlation pyramid is one cell wide and cannot be sampled."""
_GUARD = 0.01
"""A fast decision that magnitudes off by this share could turn is made again, exactly."""


def sampling_interval(fps: float) -> int:
    """Every how many frames VBench looks: about 8 frames per second (ties round to even)."""
    return max(1, round(fps / 8))


def pairs_needed(kept: int) -> int:
    """How many pairs must move for a video of ``kept`` sampled frames: 4 of 16, rounded (ties to even)."""
    return round(4 * kept / 16)


def motion_threshold(height: int, width: int) -> float:
    """Pixels of flow above which a pair moves: 6 on a shorter side of 256."""
    return 6 * min(height, width) / 256


def fastest_share(height: int, width: int) -> int:
    """How many pixels the fastest 5 % of a frame are."""
    return int(0.05 * height * width)


def is_dynamic(magnitudes: Sequence[float], threshold: float, need: int) -> bool:
    """Whether at least ``need`` pairs lie strictly above the threshold; no pair, no motion."""
    moving = sum(magnitude > threshold for magnitude in magnitudes)
    return bool(magnitudes) and moving >= need


def may_turn(magnitudes: Sequence[float], threshold: float, need: int) -> bool:
    """Whether the decision is another if all magnitudes are 1 % less or 1 % more."""
    less, more = ([magnitude * (1 + change) for magnitude in magnitudes] for change in (-_GUARD, _GUARD))
    return is_dynamic(less, threshold, need) != is_dynamic(more, threshold, need)


class _DynamicDegree(Metric):
    """VBench's decision, given one magnitude per pair of sampled frames."""

    version = 1
    higher_is_better = True
    unit = "share of videos"
    scale = 100.0
    range = (0.0, 1.0)
    digits = 2

    def __init__(self, vbench_quirks: bool) -> None:
        self.vbench_quirks = vbench_quirks

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip: 1 dynamic, 0 not.

        Raises:
            NotApplicable: too few sampled frames, or frames too small for the flow.
        """
        interval = sampling_interval(clip.clip.fps)
        kept = range(0, len(clip), interval)
        if len(kept) <= 2 and not self.vbench_quirks:
            raise NotApplicable(
                f"too few frames: {len(kept)} after sampling every {interval}, at least 3 are needed",
                ErrorKind.NOT_APPLICABLE,
                "frames",
            )
        self._check_size(clip.clip.height, clip.clip.width)
        threshold, need = motion_threshold(clip.clip.height, clip.clip.width), pairs_needed(len(kept))
        measured = self._measure(clip, interval, threshold, need) if len(kept) > 1 else _Measured([])
        magnitudes = measured.magnitudes
        parts: dict[str, Any] = {
            "fps": clip.clip.fps,
            "interval": interval,
            "frames": len(kept),
            "magnitudes": magnitudes,
            "threshold": threshold,
            "need": need,
            "moving": sum(magnitude > threshold for magnitude in magnitudes),
            "motion_magnitude": statistics.median(magnitudes) / threshold if magnitudes else None,
            **measured.parts,
        }
        return Score(float(is_dynamic(magnitudes, threshold, need)), parts)

    def _check_size(self, height: int, width: int) -> None:
        """Raise NotApplicable if the flow cannot take such frames."""

    def _measure(self, clip: ClipView, interval: int, threshold: float, need: int) -> _Measured:
        """Per pair of neighbouring sampled frames: mean flow of the fastest 5 % of pixels, in pixels."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Measured:
    magnitudes: list[float]
    parts: Mapping[str, Any] = field(default_factory=dict)


class RaftDynamicDegree(_DynamicDegree):
    """Whether the video moves, by RAFT optical flow.

    Formula: of frames sampled at about 8 per second, a pair moves if the mean flow of its fastest 5 % of
    pixels exceeds 6 px per 256 px of the shorter side; the video is dynamic if at least ``round(K / 4)`` of
    its K - 1 pairs move. ``parts["motion_magnitude"]`` is the continuous companion: the median over pairs of
    magnitude / threshold.
    Range: 0 or 1 per video, their mean is the share of dynamic videos; higher is more motion, not better
    motion.
    Source: VBench, dimension ``dynamic_degree``. Weights: torchvision ``raft_large`` ``C_T_V1`` (BSD-3).
    Needs 3 sampled frames, sides of at least 128 px once padded to multiples of 8.
    """

    name = "dynamic_degree[raft]"
    title = "Dynamic degree"

    def __init__(
        self, weights: Path | None = None, vbench_quirks: bool = False, precision: Precision = "exact"
    ) -> None:
        """Choose the checkpoint.

        Args:
            weights: a checkpoint of torchvision's ``raft_large``; by default the catalogue's ``raft-large``.
            vbench_quirks: score at most 2 sampled frames as VBench does (one pair: always dynamic).
            precision: ``exact``, or ``fast`` for RAFT in bfloat16 where the hardware has it; a decision that could
                turn if magnitudes were 1 % off is then made again exactly.

        Raises:
            UsageError: there is no such checkpoint.
        """
        super().__init__(vbench_quirks)
        self._given = present(weights)
        self._precision: Precision = precision

    def weights(self) -> tuple[Path, ...]:
        """The checkpoint, if it is on this machine."""
        return given_or_catalogued(self._given, "raft-large")

    def setup(self, device: torch.device) -> None:
        """Load RAFT onto ``device``.

        Raises:
            NotApplicable: the checkpoint is not on this machine.
            WeightsError: it is no checkpoint of ``raft_large``.
        """
        self._flow = RaftFlow(self._given or require("raft-large"), device)

    def _check_size(self, height: int, width: int) -> None:
        left, right, top, bottom = padding(height, width)
        if min(height + top + bottom, width + left + right) < _RAFT_SMALLEST_SIDE:
            raise NotApplicable(
                f"{width}x{height} is too small for RAFT: padded sides must reach {_RAFT_SMALLEST_SIDE} px; "
                "dynamic_degree[dis] takes smaller ones",
                ErrorKind.NOT_APPLICABLE,
                "size",
            )

    def _measure(self, clip: ClipView, interval: int, threshold: float, need: int) -> _Measured:
        magnitudes = self._magnitudes(clip, interval, self._precision)
        if self._precision == "exact":
            return _Measured(magnitudes)
        unsure = may_turn(magnitudes, threshold, need)
        return _Measured(
            self._magnitudes(clip, interval, "exact") if unsure else magnitudes, {"computed_again_exactly": unsure}
        )

    def _magnitudes(self, clip: ClipView, interval: int, precision: Precision) -> list[float]:
        magnitudes: list[float] = []
        with arithmetic(clip.device, precision):
            for flow in self._flow(clip.tensor[::interval], memory=clip.memory):
                length = flow.square().sum(dim=1).sqrt().flatten(1)
                fastest = length.topk(fastest_share(*flow.shape[-2:]), dim=1).values
                magnitudes += fastest.cpu().double().mean(dim=1).tolist()
        return magnitudes


class DisDynamicDegree(_DynamicDegree):
    """Whether the video moves, by DIS optical flow: no weights, small frames too.

    Formula: that of ``dynamic_degree[raft]`` with OpenCV's DIS flow (medium preset) in RAFT's place;
    sampling, padding, share of pixels and threshold are the same, the values are not: the two are different
    columns. ``parts["motion_magnitude"]`` is the continuous companion: the median over pairs of magnitude /
    threshold.
    Range: 0 or 1 per video, their mean is the share of dynamic videos; higher is more motion, not better
    motion.
    Source: the rule of VBench's ``dynamic_degree``. No weights. Needs 3 sampled frames.
    """

    name = "dynamic_degree[dis]"
    title = "Dynamic degree (DIS)"

    def __init__(self, vbench_quirks: bool = False) -> None:
        """Choose what happens with at most 2 sampled frames.

        Args:
            vbench_quirks: score them as VBench does (one pair: always dynamic) instead of leaving them
                unscored.
        """
        super().__init__(vbench_quirks)

    def setup(self, device: torch.device) -> None:
        """Make the estimator; it runs on the CPU whatever the device."""
        self._flow = DisFlow()

    def _measure(self, clip: ClipView, interval: int, threshold: float, need: int) -> _Measured:
        grey = [self._flow.grey(pad_frames(frame)) for frame in clip.frames[::interval]]
        return _Measured([_fastest(self._flow(grey[i], grey[i + 1])) for i in range(len(grey) - 1)])


def _fastest(flow: Flow) -> float:
    length = np.sqrt(np.square(flow).sum(axis=-1)).ravel()
    share = fastest_share(*flow.shape[:2])
    return float(np.partition(length, -share)[-share:].mean(dtype=np.float64))
