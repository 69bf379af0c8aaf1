"""reference_leakage: does the video show the reference's content instead of its semantic?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vapbench.metrics.base import Need, Score
from vapbench.metrics.features.dino import DinoMetric

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView


def closest(frames: torch.Tensor, reference: torch.Tensor) -> Score:
    """Score unit-length features of output frames ``(T, D)`` and reference frames ``(R, D)``: the highest cosine."""
    cosines = (frames.double() @ reference.double().T).clamp(-1, 1)
    best = cosines.max(dim=1)
    frame = int(best.values.argmax())
    parts = {"per_frame": best.values.tolist(), "frame": frame, "reference_frame": int(best.indices[frame])}
    return Score(float(best.values.max()), parts)


class ReferenceLeakage(DinoMetric):
    """How much the output looks like the reference video it should only take the semantic from.

    Formula: the highest cosine between any output frame and any reference frame, of DINO ViT-B/16 features.
    Range: -1 to 1, **lower** is better; a copy of the reference has 1. The floor is not 0: two videos of unlike
    subjects in one style are alike to some degree, so compare methods on the same cases.
    Source: the failure that the Video-As-Prompt paper attributes to pixel-aligned controls, which copy the reference's
    structure; the preprocessing is that of ``subject_consistency``. Weights: DINO (Apache-2.0). Needs the reference.
    """

    name = "reference_leakage"
    title = "Reference leakage"
    version = 1
    higher_is_better = False
    unit = "cosine"
    scale = 100.0
    range = (-1.0, 1.0)
    digits = 2
    needs: frozenset[Need] = frozenset({"reference"})

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip against the (first) reference of its case."""
        return closest(self.encoder.whole_frames(clip), self.encoder.whole_frames(clip.reference))
