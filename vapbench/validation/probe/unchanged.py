"""Output unchanged: by pixels, what a counterfactual moved. A method that ignores its reference moves nothing."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from vapbench.core.clip import Frames, resize_clip
from vapbench.core.video import read_video

UNCHANGED = 1.0
"""Grey levels of 255, mean absolute difference. Equal frames differ by nothing where they are encoded here; services
encode them anew each time, which moves a pixel by less than this."""


def change(a: tuple[Path, str], b: tuple[Path, str]) -> float:
    """Mean absolute difference of two clips' pixels, 0..255; of clips of unlike size or length, as the first is.

    Args:
        a: a video and its hash.
        b: another.

    Raises:
        DataError: a file cannot be read.
    """
    if a[1] == b[1]:
        return 0.0
    first, second = _frames(a[0]), _frames(b[0])
    if first.shape != second.shape:
        count, height, width = first.shape[:3]
        second = resize_clip(read_video(b[0]), count, 8.0, height, width).frames
    pairs = zip(first, second, strict=True)
    return float(np.mean([np.abs(x.astype(np.int16) - y.astype(np.int16)).mean() for x, y in pairs]))


@lru_cache(maxsize=2)
def _frames(path: Path) -> Frames:
    return read_video(path).frames
