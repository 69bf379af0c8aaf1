"""temporal_flickering: how little neighbouring frames differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vapbench.core.clip import Frames
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import Change, Metric, Score

if TYPE_CHECKING:
    from vapbench.core.case import Case
    from vapbench.metrics.view import ClipView


class TemporalFlickering(Metric):
    """Similarity of neighbouring frames, pixel by pixel.

    Formula: ``(255 - mean over neighbouring pairs of mean |frame[t+1] - frame[t]|) / 255``.
    Range: 0 to 1, higher is steadier; a frozen video has 1, so read it next to the dynamic degree.
    Source: VBench, dimension ``temporal_flickering``. No weights. Needs 2 frames.
    """

    name = "temporal_flickering"
    title = "Temporal flickering"
    version = 1
    higher_is_better = True
    unit = "fraction"
    scale = 100.0
    range = (0.0, 1.0)
    digits = 2
    invariant_to: frozenset[Change] = frozenset({"reversed", "mirrored", "mirrored-pair"})

    def score(self, clip: ClipView, case: Case) -> Score:
        """Score one clip.

        Raises:
            NotApplicable: the clip has fewer than 2 frames.
        """
        if len(clip) < 2:
            raise NotApplicable(
                "temporal flickering compares neighbouring frames; the clip has one", ErrorKind.NOT_APPLICABLE, "frames"
            )
        frames = clip.frames
        errors = [mean_absolute_error(frames[i], frames[i + 1]) for i in range(len(frames) - 1)]
        return Score((255 - float(np.mean(errors))) / 255, {"mean_absolute_error": errors})


def mean_absolute_error(first: Frames, second: Frames) -> float:
    """Mean of ``|first - second|`` over all pixels and channels, in grey levels 0 to 255."""
    difference = np.maximum(first, second) - np.minimum(first, second)
    return float(difference.mean(dtype=np.float64))
