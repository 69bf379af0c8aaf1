"""reference_leakage: does the video show the reference's content instead of its semantic?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vapbench.core.clip import Frames, linspace_indices
from vapbench.metrics.base import Change, Metric, Need, Score
from vapbench.metrics.features.dino import DinoMetric

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView

Reals = npt.NDArray[np.float64]

ALIKE = "the reference begins as the given first frame does"
"""Kind of the note on a case whose reference shows a picture that can hardly be told from its own."""

_SIDE = 32
_GREY_LEVEL = 1 / 255
_APART = 0.1
"""Share of the reference's scene that is in neither the given frame nor what changes, below which it is not told."""


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


class PixelReferenceLeakage(Metric):
    r"""How much of the reference's scene is in the output, beside its own scene and the reference's change.

    Formula: each output frame is explained, by least squares, by the given first frame, by what of the reference's
    first frame there is in the reference's frame of that moment (its projection), and by the rest of that frame, which
    is what the reference changes. The score is the share of the second, one for the clip:
    :math:`\sum_t \langle f_t, c_t \rangle / (\sum_t |c_t|^2 + T g^2)`, with f the output's frame and c the reference's
    scene, both less what the other two explain of them, and g one grey level a pixel. Pictures are 32 by 32 means of
    RGB, less their mean colour. The effect itself is among what the reference changes, and does not count.
    Range: -1 to 1, **lower** is better; a copy of the reference has 1, the own picture 0, and a still mix of three
    parts own and one part reference 0.25. Right videos are spread around 0.
    Source: a formula of our own; the failure is the one that the Video-As-Prompt paper attributes to pixel-aligned
    controls. No weights. Needs the reference and the first frame. What leaks to another place, as a subject that is
    taken over and put elsewhere, it does not see.
    """

    name = "reference_leakage[pixels]"
    title = "Reference leakage (pixels)"
    version = 1
    higher_is_better = False
    unit = "share"
    scale = 100.0
    range = (-1.0, 1.0)
    digits = 1
    needs: frozenset[Need] = frozenset({"reference", "image"})
    invariant_to: frozenset[Change] = frozenset({"rescaled", "mirrored-pair"})

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip against the (first) reference of its case."""
        own = _pictures(clip.image[None])[0]
        theirs = clip.reference.shared("pictures", lambda: _pictures(clip.reference.frames))
        return leaked(_pictures(clip.frames), own, theirs)


def leaked(output: Reals, own: Reals, reference: Reals) -> Score:
    """Score an output ``(T, N)`` by the given first frame ``(N,)`` and the reference ``(R, N)``, each of mean 0."""
    first, noise = reference[0], own.size * _GREY_LEVEL**2
    shared, weights, scenes = [], [], []
    for frame, moment in zip(output, linspace_indices(len(reference), len(output)), strict=True):
        scene = float(reference[moment] @ first) / (float(first @ first) + noise) * first
        known = np.stack([own, reference[moment] - scene], axis=1)
        both = np.stack([frame, scene], axis=1)
        frame_left, scene_left = (both - known @ np.linalg.solve(known.T @ known + noise * np.eye(2), known.T @ both)).T
        shared.append(float(frame_left @ scene_left))
        weights.append(float(scene_left @ scene_left))
        scenes.append(float(scene @ scene))
    value = float(np.clip(sum(shared) / (sum(weights) + noise * len(output)), -1, 1))
    apart = sum(weights) / (sum(scenes) + noise * len(output))
    per_frame = [round(share / (weight + noise), 4) for share, weight in zip(shared, weights, strict=True)]
    alike = apart < _APART
    note = f"{ALIKE}: what leaks can hardly be told from what is its own" if alike else ""
    return Score(value, {"per_frame": per_frame, "apart": apart}, note, ALIKE if alike else "")


def _pictures(frames: Frames) -> Reals:
    """``(T, 3072)``: each frame at 32 by 32, of 0..1, less its mean colour."""
    import cv2

    side = (_SIDE, _SIDE)
    small = [cv2.resize(np.ascontiguousarray(frame), side, interpolation=cv2.INTER_AREA) for frame in frames]
    pictures = np.stack(small).astype(np.float64) * _GREY_LEVEL
    return np.asarray((pictures - pictures.mean(axis=(1, 2), keepdims=True)).reshape(len(frames), -1))
