from __future__ import annotations

from typing import Any

import numpy as np

import vapbench as vb


class Sharpness:
    """Mean absolute difference of neighbouring pixels, in 0..255."""

    name, version, higher_is_better, unit, needs = "sharpness", 1, True, "level", frozenset[str]()

    def setup(self, device: Any) -> None:
        pass

    def score(self, clip: vb.ClipView, case: vb.Case) -> vb.Score:
        return vb.Score(float(np.abs(np.diff(clip.frames.astype(np.int16), axis=2)).mean()))
