"""Contact sheets: clips as rows of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from vapbench.files.atomic import atomic_path


def save_sheet(path: Path, clips: npt.NDArray[np.uint8], frames: int = 7, gap: int = 2) -> None:
    """Save clips ``(N, F, H, W, 3)`` uint8 as a PNG, one row per clip, ``frames`` of each evenly."""
    count, length, height, width, _ = clips.shape
    chosen = np.linspace(0, length - 1, min(frames, length)).round().astype(int)
    sheet = np.full((count * (height + gap), len(chosen) * (width + gap), 3), 255, dtype=np.uint8)
    for row, clip in enumerate(clips):
        for column, index in enumerate(chosen):
            top, left = row * (height + gap), column * (width + gap)
            sheet[top : top + height, left : left + width] = clip[index]
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary)
