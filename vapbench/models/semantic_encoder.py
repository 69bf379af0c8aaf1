"""The semantic encoder: a small video network in whose space clips of one condition lie close together.

``vapbench train mini`` trains it; metrics score with it, and the training of the base is judged by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from vapbench.checkpoints.tensors import check_tensors, read_json, weight_files
from vapbench.errors import ErrorKind, WeightsError
from vapbench.files.atomic import write_json
from vapbench.models.convolutions import convolve_in_planes

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SHARPNESS = 16.0
"""Of the softmax over cosines."""


class SemanticEncoder(nn.Module):
    """Clips to unit vectors; clips of one condition lie close together.

    It sees every frame beside its difference to the first frame, at half the resolution.
    """

    def __init__(self, widths: Sequence[int], dimension: int, conditions: Sequence[str]) -> None:
        """Make the layers; ``conditions`` are the classes it is trained on, in the order of :meth:`logits`."""
        super().__init__()
        self.conditions = tuple(conditions)
        self.config = {"widths": list(widths), "dimension": dimension, "conditions": list(conditions)}
        self.blocks = layers(widths)
        self.project = nn.Linear(2 * widths[-1], dimension)
        self.prototypes = nn.Parameter(torch.randn(len(conditions), dimension) * 0.1)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        """Embed videos ``(B, 3, F, H, W)`` in -1..1 as unit vectors ``(B, dimension)``."""
        features = self.blocks(beside_change(video))
        pooled = torch.cat([features.mean(dim=(2, 3, 4)), features.amax(dim=(2, 3, 4))], dim=1)
        embedding: torch.Tensor = functional.normalize(self.project(pooled).float(), dim=-1)
        return embedding

    def logits(self, video: torch.Tensor) -> torch.Tensor:
        """Scores ``(B, conditions)`` of the conditions."""
        scores: torch.Tensor = SHARPNESS * self(video) @ functional.normalize(self.prototypes, dim=-1).T
        return scores

    @torch.no_grad()
    def embed(self, clips: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Embed clips ``(B, F, H, W, 3)`` uint8."""
        device = self.prototypes.device
        return torch.cat([self(to_video(clips[i : i + 32]).to(device)) for i in range(0, len(clips), 32)])

    @torch.no_grad()
    def classify(self, clips: npt.NDArray[np.uint8]) -> list[str]:
        """The condition that each clip ``(B, F, H, W, 3)`` uint8 shows best."""
        return [self.conditions[place] for place in self.scores(clips).argmax(dim=1).tolist()]

    @torch.no_grad()
    def scores(self, clips: npt.NDArray[np.uint8]) -> torch.Tensor:
        """:meth:`logits` of clips ``(B, F, H, W, 3)`` uint8."""
        device = self.prototypes.device
        return torch.cat([self.logits(to_video(clips[i : i + 32]).to(device)) for i in range(0, len(clips), 32)])

    def save_pretrained(self, folder: Path) -> None:
        """Write ``config.json`` and float16 weights."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / CONFIG, {"_class_name": type(self).__name__, **self.config})
        save_file({name: value.half().contiguous() for name, value in self.state_dict().items()}, folder / WEIGHTS)

    @classmethod
    def from_pretrained(cls, folder: Path) -> SemanticEncoder:
        """Load what :meth:`save_pretrained` wrote, in float32 and evaluation mode.

        Raises:
            WeightsError: the folder is not complete, or holds another model.
        """
        config = {key: value for key, value in read_json(folder / CONFIG).items() if key[0] != "_"}
        try:
            model = cls(**config)
        except (TypeError, ValueError) as error:
            raise WeightsError(
                f"{folder / CONFIG} describes no semantic encoder: {error}", ErrorKind.INVALID, CONFIG
            ) from error
        check_tensors(
            weight_files(folder, "model"), {name: tuple(value.shape) for name, value in model.state_dict().items()}
        )
        model.load_state_dict({name: value.float() for name, value in load_file(folder / WEIGHTS).items()})
        convolve_in_planes(model)
        return model.eval()


def to_video(frames: npt.NDArray[np.uint8], device: torch.device | str = "cpu") -> torch.Tensor:
    """Turn ``(B, F, H, W, 3)`` uint8 into ``(B, 3, F, H, W)`` float32 in -1..1, channels last, on a device."""
    video = torch.from_numpy(frames).to(device).permute(0, 4, 1, 2, 3).float().div_(127.5).sub_(1)
    return video.contiguous(memory_format=torch.channels_last_3d)


def beside_change(video: torch.Tensor) -> torch.Tensor:
    """Frames ``(B, 3, F, H, W)`` beside their change since the first, ``(B, 6, F, H/2, W/2)``: what the layers see."""
    small = functional.avg_pool3d(video, (1, 2, 2))
    return torch.cat([small, small - small[:, :, :1]], dim=1)


def layers(widths: Sequence[int]) -> nn.Sequential:
    """Convolutions of these widths: all but the last halve the picture, those between the first and the last time."""
    strides = [(1, 2, 2)] + [(2, 2, 2)] * (len(widths) - 2) + [(1, 1, 1)]
    inputs = [6, *widths[:-1]]
    return nn.Sequential(*(_block(i, o, s) for i, o, s in zip(inputs, widths, strides, strict=True)))


def _block(inputs: int, outputs: int, stride: tuple[int, int, int]) -> nn.Sequential:
    convolution: Any = nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(8, outputs), nn.ReLU())
