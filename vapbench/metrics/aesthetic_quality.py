"""aesthetic_quality: how much people would like the look of the frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.checkpoints.catalogue import require
from vapbench.checkpoints.metric_files import given_or_catalogued, present
from vapbench.checkpoints.state_dict import load_tensors
from vapbench.errors import ErrorKind, WeightsError
from vapbench.metrics.base import Score
from vapbench.metrics.features.clip import ClipModelMetric, ClipWeights
from vapbench.metrics.features.precision import Precision, exact_float32

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView


class AestheticQuality(ClipModelMetric):
    """LAION's aesthetic rating of the frames.

    Formula: ``mean over all frames of (w . f + b) / 10``, with ``f`` the unit-length CLIP ViT-L/14 feature of
    a frame and ``w, b`` LAION's linear head ``sa_0_4_vit_l_14``.
    Range: ratings were given from 1 to 10, so about 0.1 to 1, not clipped; higher is better.
    Source: VBench, dimension ``aesthetic_quality``, preprocessing included. Weights: OpenAI CLIP (MIT), LAION
    aesthetic predictor v1 (MIT).
    """

    name = "aesthetic_quality"
    title = "Aesthetic quality"
    version = 1
    higher_is_better = True
    unit = "rating / 10"
    scale = 100.0
    digits = 2

    def __init__(self, weights: Path | None = None, head: Path | None = None, precision: Precision = "exact") -> None:
        """Choose the checkpoints.

        Args:
            weights: CLIP ViT-L/14 (a checkpoint, or a folder with ``open_clip_config.json``); by default
                OpenAI's from the catalogue.
            head: the linear head (``weight (1, D)``, ``bias (1,)``); by default the catalogue's
                ``laion-aesthetic``.
            precision: ``exact``, or ``fast`` for CLIP in bfloat16 where the hardware has it.

        Raises:
            UsageError: there is no such checkpoint.
        """
        super().__init__(ClipWeights.of("ViT-L-14", weights, precision))
        self._given_head = present(head)

    def weights(self) -> tuple[Path, ...]:
        """The checkpoints, as far as they are on this machine."""
        return (*super().weights(), *given_or_catalogued(self._given_head, "laion-aesthetic"))

    def setup(self, device: torch.device) -> None:
        """Load CLIP and the head onto ``device``.

        Raises:
            NotApplicable: a checkpoint is not on this machine.
            WeightsError: one is of another model, or the two do not fit.
        """
        head = load_head(self._given_head or require("laion-aesthetic"))
        super().setup(device)
        self._head = head[0].to(device), head[1].to(device)

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            WeightsError: the head is for features of another length.
        """
        features, weight = self.encoder.image_features(clip), self._head[0]
        if features.shape[1] != weight.shape[1]:
            raise WeightsError(
                f"the aesthetic head takes {weight.shape[1]} features, this CLIP gives {features.shape[1]}; "
                "use the two that belong together.",
                ErrorKind.CONFLICT,
                "head",
            )
        ratings = rate(features, *self._head).cpu().double().tolist()
        return Score(sum(ratings) / len(ratings), {"per_frame": ratings})


def load_head(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Read a linear head: weight ``(1, D)`` and bias ``(1,)``, float32.

    Raises:
        WeightsError: the file is absent, damaged, or holds something else.
    """
    tensors = load_tensors(path)
    weight, bias = tensors.get("weight"), tensors.get("bias")
    if weight is None or bias is None or weight.ndim != 2 or len(weight) != 1 or bias.shape != (1,):
        raise WeightsError(
            f"{path}: not a linear head with one output; fetch laion-aesthetic again.", ErrorKind.INVALID, "head"
        )
    return weight.float(), bias.float()


def rate(features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Rating / 10 of every frame, ``(T,)``, from unit-length features ``(T, D)``."""
    from torch.nn.functional import linear

    with exact_float32(features.device):
        return linear(features, weight, bias)[:, 0] / 10
