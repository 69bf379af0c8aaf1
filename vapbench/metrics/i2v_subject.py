"""i2v_subject: does the video show the subject of the first frame it was given?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import Need, Score
from vapbench.metrics.features.dino import DinoMetric

if TYPE_CHECKING:
    import torch

    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView

_CLOSEST, _STEADY, _STEADIEST_LEAST = 0.4, 0.3, 0.3


def image_kept(image: torch.Tensor, frames: torch.Tensor) -> Score:
    """Score unit-length features of an image ``(D,)`` and of frames ``(T, D)``.

    ``0.4 max cos+(image, frame) + 0.3 mean cos+(consecutive) + 0.3 min cos+(consecutive)``, with ``cos+`` the cosine
    or 0 if it is negative.

    Raises:
        NotApplicable: there is one frame.
    """
    if len(frames) < 2:
        raise NotApplicable(
            "i2v_subject compares consecutive frames; the clip has one", ErrorKind.NOT_APPLICABLE, "frames"
        )
    wide = frames.double()
    to_image = (wide @ image.double()).clamp(0, 1)
    consecutive = (wide[1:] * wide[:-1]).sum(dim=1).clamp(0, 1)
    value = _CLOSEST * to_image.max() + _STEADY * consecutive.mean() + _STEADIEST_LEAST * consecutive.min()
    return Score(float(value), {"to_image": to_image.tolist(), "consecutive": consecutive.tolist()})


class I2vSubject(DinoMetric):
    """Whether the video keeps the subject of its first frame.

    Formula: ``0.4 max cos+(image, frame) + 0.3 mean cos+(consecutive frames) + 0.3 min cos+(consecutive frames)``
    between DINO ViT-B/16 features.
    Range: 0 to 1, higher is closer; a frozen first frame has about 1, so read it next to the dynamic degree.
    Source: VBench-I2V, dimension ``i2v_subject``, preprocessing included. Weights: DINO (Apache-2.0). Needs the first
    frame given to the method, and 2 frames.
    """

    name = "i2v_subject"
    title = "First frame kept"
    version = 1
    higher_is_better = True
    unit = "cosine"
    scale = 100.0
    range = (0.0, 1.0)
    digits = 2
    needs: frozenset[Need] = frozenset({"image"})

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the clip has one frame.
        """
        return image_kept(self.encoder.cropped_still(clip.image), self.encoder.cropped_frames(clip))
