"""subject_consistency and background_consistency: does what is shown stay what it is?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import Metric, Score
from vapbench.metrics.features.clip import ClipModelMetric, ClipWeights
from vapbench.metrics.features.dino import DinoMetric
from vapbench.metrics.features.precision import Precision

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView


def consistency(features: torch.Tensor) -> Score:
    """Score unit-length features ``(T, D)`` by how alike each frame is to the one before it and to the first.

    The mean over frames from the second on of ``(max(0, cos to the previous) + max(0, cos to the first)) / 2``.

    Raises:
        NotApplicable: there is one frame.
    """
    if len(features) < 2:
        raise NotApplicable("consistency compares frames; the clip has one", ErrorKind.NOT_APPLICABLE, "frames")
    wide = features.double()
    previous = (wide[1:] * wide[:-1]).sum(dim=1).clamp(0, 1)
    first = (wide[1:] @ wide[0]).clamp(0, 1)
    parts = {"to_previous": previous.tolist(), "to_first": first.tolist()}
    return Score(float((previous + first).mean() / 2), parts)


class _Consistency(Metric):
    version = 1
    higher_is_better = True
    unit = "cosine"
    scale = 100.0
    range = (0.0, 1.0)
    digits = 2


class SubjectConsistency(DinoMetric, _Consistency):
    """Whether the subject keeps its looks.

    Formula: the mean over frames from the second on of the mean of ``max(0, cos)`` to the previous frame and to the
    first, between DINO ViT-B/16 features.
    Range: 0 to 1, higher is steadier; a frozen video has 1, so read it next to the dynamic degree.
    Source: VBench, dimension ``subject_consistency``, preprocessing included. VBench's own aggregate weighs videos by
    their frames; here every video counts once. Weights: DINO (Apache-2.0). Needs 2 frames.
    """

    name = "subject_consistency"
    title = "Subject consistency"

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the clip has one frame.
        """
        return consistency(self.encoder.whole_frames(clip))


class BackgroundConsistency(ClipModelMetric, _Consistency):
    """Whether the scene keeps its looks.

    Formula: that of ``subject_consistency`` between CLIP ViT-B/32 features.
    Range: 0 to 1, higher is steadier; a frozen video has 1, so read it next to the dynamic degree.
    Source: VBench, dimension ``background_consistency``, preprocessing included (that of ``aesthetic_quality``).
    VBench's own aggregate weighs videos by their frames; here every video counts once. Weights: OpenAI CLIP (MIT).
    Needs 2 frames.
    """

    name = "background_consistency"
    title = "Background consistency"

    def __init__(self, weights: Path | None = None, precision: Precision = "exact") -> None:
        """Choose the checkpoint.

        Args:
            weights: CLIP ViT-B/32 (a checkpoint, or a folder with ``open_clip_config.json``); by default OpenAI's
                from the catalogue.
            precision: ``exact``, or ``fast`` for CLIP in bfloat16 where the hardware has it.

        Raises:
            UsageError: there is no such checkpoint.
        """
        super().__init__(ClipWeights.of("ViT-B-32", weights, precision))

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the clip has one frame.
        """
        return consistency(self.encoder.image_features(clip))
