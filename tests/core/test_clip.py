from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import moving_clip
from vapbench.core.clip import Clip, linspace_indices, resize_clip
from vapbench.errors import DataError


@pytest.mark.parametrize(
    ("frames", "word"),
    [
        (np.zeros((4, 8, 8), np.uint8), "T, H, W, 3"),
        (np.zeros((4, 3, 8, 8), np.uint8), "channel last"),
        (np.zeros((4, 8, 8, 3), np.float32), "uint8"),
        (np.zeros((0, 8, 8, 3), np.uint8), "at least one frame"),
        ([[1, 2]], "list"),
    ],
)
def test_unusable_frames_are_refused_with_what_to_do(frames: object, word: str) -> None:
    with pytest.raises(DataError, match=word):
        Clip(frames, 8.0)  # type: ignore[arg-type]


def test_from_float_rounds_and_refuses_nan() -> None:
    frames = np.full((2, 4, 4, 3), 0.5, np.float32)
    assert Clip.from_float(frames, 8).frames[0, 0, 0, 0] == 128
    frames[0, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="1 of 96 values are NaN"):
        Clip.from_float(frames, 8)


@pytest.mark.parametrize(("count", "wanted"), [(49, 49), (81, 49), (13, 49), (1, 5), (7, 1)])
def test_evenly_keeps_both_ends(count: int, wanted: int) -> None:
    indices = linspace_indices(count, wanted)
    assert len(indices) == wanted
    assert indices == sorted(indices)
    assert indices[0] == 0
    assert indices[-1] == (count - 1 if wanted > 1 else 0)


def test_fit_gives_the_size_asked_for_and_leaves_a_fitting_clip_alone() -> None:
    clip = moving_clip(frames=9)
    fitted = resize_clip(clip, frames=5, fps=16, height=16, width=24)
    assert fitted.frames.shape == (5, 16, 24, 3)
    assert fitted.fps == 16
    assert np.array_equal(resize_clip(clip, 9, 8, 32, 48).frames, clip.frames)
