"""The frame half-way between two, by AMT-S, as VBench's ``motion_smoothness`` asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vapbench.checkpoints.state_dict import load_tensors
from vapbench.errors import ErrorKind, NotApplicable, WeightsError
from vapbench.metrics.features.flow import padding
from vapbench.metrics.features.precision import Precision, arithmetic
from vapbench.metrics.memory import pairs_at_once, spans

if TYPE_CHECKING:
    import torch

    from vapbench.models.vision.correlation import Volumes

_MULTIPLE = 16
_SMALLEST_SIDE = 128
_MOST_PAIRS_AT_ONCE = 4


class AmtInterpolator:
    """AMT-S on the pairs of a sequence."""

    def __init__(self, checkpoint: Path, device: torch.device, precision: Precision = "exact") -> None:
        """Load ``checkpoint`` (the public one's parameter names) onto ``device``.

        Raises:
            WeightsError: the checkpoint is absent, damaged, or not of AMT-S.
        """
        import torch

        from vapbench.models.vision.amt import AmtS

        model = AmtS()
        try:
            model.load_state_dict(load_tensors(checkpoint, numpy_values=True))
        except RuntimeError as error:
            raise WeightsError(
                f"{checkpoint}: not a checkpoint of AMT-S; fetch amt-s again.", ErrorKind.INVALID, "weights"
            ) from error
        # The last layout is the faster one for convolutions of many pixels and few channels.
        self.model: Any = model.eval().to(device).to(memory_format=torch.channels_last)
        self._device, self._precision = device, precision

    def __call__(self, frames: torch.Tensor, memory: int, batch: int | None = None) -> Iterator[torch.Tensor]:
        """Predict the frame between each frame and the next.

        Args:
            frames: ``(K, 3, H, W)`` uint8 RGB; sent to the model's device piece by piece.
            memory: bytes to work in. Where one pair does not fit, its correlation is computed in pieces.
            batch: pairs at a time; by default as many as ``memory`` leaves room for.

        Yields:
            ``(n, 3, H, W)`` uint8 of the next pairs, truncated to whole grey levels; K - 1 in all.

        Raises:
            NotApplicable: the frames are too small.
        """
        height, width = frames.shape[-2:]
        left, right, top, bottom = padding(height, width, _MULTIPLE)
        if min(height + top + bottom, width + left + right) < _SMALLEST_SIDE:
            raise NotApplicable(
                f"{width}x{height} is too small for AMT: padded sides must reach {_SMALLEST_SIDE} px; "
                "motion_smoothness[warp] takes smaller ones",
                ErrorKind.NOT_APPLICABLE,
                "size",
            )
        batch = batch or pairs_at_once(self._device, memory, amt_pair_bytes(height, width), _MOST_PAIRS_AT_ONCE)
        volumes: tuple[Volumes, Volumes] = {}, {}
        for start, stop in spans(len(frames) - 1, batch):
            with arithmetic(self._device, self._precision):
                padded = self._prepare(frames[start : stop + 1])
                predicted = self.model(padded[:-1], padded[1:], budget=memory // 2, volumes=volumes).frame
            kept = predicted[..., top : top + height, left : left + width]
            yield (kept.float() * 255).byte()

    def _prepare(self, frames: torch.Tensor) -> torch.Tensor:
        import torch
        from torch.nn.functional import pad

        floats = frames.to(self._device).float() / 255
        padded = pad(floats, padding(floats.shape[-2], floats.shape[-1], _MULTIPLE), mode="replicate")
        return padded.contiguous(memory_format=torch.channels_last)


def amt_pair_bytes(height: int, width: int) -> int:
    """Bytes AMT takes for one pair: two correlation volumes, padded, and some 150 full-size maps."""
    cells = -(-height // _MULTIPLE) * -(-width // _MULTIPLE) * 4
    return 4 * (cells * cells * 4 * 3 // 2) + 600 * height * width
