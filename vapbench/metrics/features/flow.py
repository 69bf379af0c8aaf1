"""Optical flow for metrics: RAFT (learned) and DIS (OpenCV, no weights).

Flow is ``(…, 2)`` or ``(…, 2, H, W)`` with u (columns) first, in pixels from the first frame to the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from vapbench.core.clip import Frames
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.memory import pairs_at_once

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from vapbench.models.vision.correlation import Volumes

Flow = npt.NDArray[np.float32]

_DIS_SMALLEST_SIDE = 12
_DEFAULT_MEMORY = 4 << 30
_MOST_PAIRS_AT_ONCE = 8


def padding(height: int, width: int, multiple: int = 8) -> tuple[int, int, int, int]:
    """Left, right, top and bottom margins that centre a frame in sides that are multiples of ``multiple``."""
    across, down = -width % multiple, -height % multiple
    return across // 2, across - across // 2, down // 2, down - down // 2


def pad_frames(frames: Frames, multiple: int = 8) -> Frames:
    """Repeat the border of ``(…, H, W, 3)`` frames up to multiples of ``multiple``, evenly on both sides."""
    left, right, top, bottom = padding(frames.shape[-3], frames.shape[-2], multiple)
    widths = [(0, 0)] * (frames.ndim - 3) + [(top, bottom), (left, right), (0, 0)]
    return np.pad(frames, widths, mode="edge")


class DisFlow:
    """Dense Inverse Search (Kroeger et al. 2016), OpenCV's *medium* preset, on grey frames.

    Its result does not depend on OpenCV's thread count (tested), so no global setting is touched.
    """

    def __init__(self) -> None:
        """Make the estimator; it keeps no state between calls."""
        import cv2

        self._cv2 = cv2
        self._estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def grey(self, frame: Frames) -> npt.NDArray[np.uint8]:
        """Luma of an ``(H, W, 3)`` RGB frame: ``(H, W)`` uint8."""
        return cast("npt.NDArray[np.uint8]", self._cv2.cvtColor(np.ascontiguousarray(frame), self._cv2.COLOR_RGB2GRAY))

    def __call__(self, first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> Flow:
        """Flow ``(H, W, 2)`` float32 between two grey frames whose sides are multiples of 8.

        Raises:
            NotApplicable: the frames are 8 x 8, which OpenCV refuses.
        """
        if max(first.shape) < _DIS_SMALLEST_SIDE:
            raise NotApplicable(
                "frames of up to 8x8 px are too small for optical flow", ErrorKind.NOT_APPLICABLE, "size"
            )
        return cast("Flow", self._estimator.calc(first, second, cast("Any", None)))


class RaftFlow:
    """RAFT (Teed & Deng 2020) as torchvision's ``raft_large``, run as VBench runs it: float32, 20 updates."""

    def __init__(self, checkpoint: Path, device: torch.device) -> None:
        """Load ``checkpoint`` (torchvision's parameter names) onto ``device``.

        Raises:
            WeightsError: the checkpoint is absent, damaged, or not of ``raft_large``.
        """
        from vapbench.models.vision.raft import RaftSequence, load_raft

        self.model = load_raft(checkpoint, device)
        self._sequence = RaftSequence(self.model)

    def __call__(
        self, frames: torch.Tensor, batch: int | None = None, memory: int = _DEFAULT_MEMORY
    ) -> Iterator[torch.Tensor]:
        """Flow between neighbours of a sequence.

        Args:
            frames: ``(K, 3, H, W)`` uint8 RGB, sides at least 128 once padded; sent to the model's device piece by
                piece.
            batch: pairs at a time; by default as many as ``memory`` leaves room for.
            memory: bytes to work in. Where one pair does not fit, its correlation is computed in pieces.

        Yields:
            Flow ``(n, 2, H', W')`` float32 of the next pairs, on the padded grid; K - 1 pairs in all.
        """
        import torch

        device = next(self.model.parameters()).device
        batch = batch or pairs_at_once(device, memory, raft_pair_bytes(*frames.shape[-2:]), _MOST_PAIRS_AT_ONCE)
        last: tuple[torch.Tensor, torch.Tensor] | None = None
        volumes: Volumes = {}
        for start in range(0, len(frames) - 1, batch):
            stop = min(start + batch + 1, len(frames))
            images = normalise(frames[start + 1 if last else start : stop].to(device))
            features = torch.cat([self._sequence.features(image[None]) for image in images])
            if last:
                images, features = torch.cat([last[0], images]), torch.cat([last[1], features])
            yield self._sequence.flow(images[:-1], features[:-1], features[1:], memory // 2, volumes)
            last = images[-1:], features[-1:]


def raft_pair_bytes(height: int, width: int) -> int:
    """Bytes RAFT takes for one pair: its correlation volume, padded, and some 200 maps of a quarter's size."""
    cells = -(-height // 8) * -(-width // 8)
    return 2 * (cells * cells * 4 * 3 // 2) + 400 * height * width


def normalise(frames: torch.Tensor) -> torch.Tensor:
    """``(n, 3, H, W)`` uint8 to float32 in -1..1, border repeated evenly up to multiples of 8."""
    from torch.nn.functional import pad

    return pad(2 * (frames.float() / 255) - 1, padding(*frames.shape[-2:]), mode="replicate")
