from __future__ import annotations

import numpy as np

import vapbench as vb


class Sharpness(vb.Metric):
    """Mean absolute difference of neighbouring pixels, in 0..255."""

    unit = "level"

    def score(self, clip: vb.ClipView, case: vb.Case) -> float:
        return float(np.abs(np.diff(clip.frames.astype(np.int16), axis=2)).mean())
