from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.conftest import moving_clip
from tests.refusals import refuses
from vapbench.core.clip import Clip, linspace_indices, resize_clip
from vapbench.errors import DataError, ErrorKind


@pytest.mark.parametrize(
    ("frames", "fps", "field"),
    [
        (np.zeros((4, 8, 8), np.uint8), 8.0, "frames"),
        (np.zeros((4, 3, 8, 8), np.uint8), 8.0, "frames"),
        (np.zeros((4, 8, 8, 3), np.float32), 8.0, "frames"),
        (np.zeros((0, 8, 8, 3), np.uint8), 8.0, "frames"),
        ([[1, 2]], 8.0, "frames"),
        (np.zeros((4, 8, 8, 3), np.uint8), 0.0, "fps"),
        (np.zeros((4, 8, 8, 3), np.uint8), float("nan"), "fps"),
    ],
)
def test_unusable_frames_are_refused(frames: object, fps: float, field: str) -> None:
    with refuses(DataError, ErrorKind.INVALID, field):
        Clip(frames, fps)  # type: ignore[arg-type]


def test_frames_with_the_channel_first_are_told_what_to_do() -> None:
    with refuses(DataError, ErrorKind.INVALID, "frames", "(4, 3, 8, 8)"):
        Clip(np.zeros((4, 3, 8, 8), np.uint8), 8.0)


def test_from_float_rounds_and_refuses_nan() -> None:
    frames = np.full((2, 4, 4, 3), 0.5, np.float32)
    assert Clip.from_float(frames, 8).frames[0, 0, 0, 0] == 128
    frames[0, 0, 0, 0] = np.nan
    with refuses(DataError, ErrorKind.INVALID, "frames"):
        Clip.from_float(frames, 8)


@pytest.mark.parametrize("scale", [255.0, -1.0, np.uint8(200), np.int64(3)])
def test_from_float_takes_nothing_but_0_to_1(scale: float) -> None:
    frames = np.linspace(0, 1, 96).reshape(2, 4, 4, 3) if isinstance(scale, float) else np.ones((2, 4, 4, 3), np.uint8)
    with refuses(DataError, ErrorKind.INVALID, "frames", "0..1"):
        Clip.from_float(frames * scale, 8)


def test_from_float_takes_a_tensor_and_what_overshoots_a_little() -> None:
    frames = torch.full((2, 4, 4, 3), 1.05, requires_grad=True)
    assert (Clip.from_float(frames, 8).frames == 255).all()
    with refuses(DataError, ErrorKind.INVALID, "frames", "Tensor (2, 4, 4, 3)", ".numpy()"):
        Clip(frames, 8)  # type: ignore[arg-type]


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
