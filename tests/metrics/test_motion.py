"""temporal_flickering and motion_smoothness."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.metrics.conftest import moving_clip, view
from tests.refusals import refuses
from vapbench.core.clip import Clip, Frames
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.motion_smoothness import FlowInterpolator, smoothness
from vapbench.metrics.temporal_flickering import TemporalFlickering


def test_flickering_is_vbenchs(vectors: Path) -> None:
    folder = vectors / "formulas"
    frames = load_file(folder / "vectors.safetensors")["temporal_flickering.frames_rgb"]
    expected = json.loads((folder / "expected.json").read_text())["temporal_flickering"]
    scored = TemporalFlickering().score(view(Clip(frames, 8)), None)  # type: ignore[arg-type]
    assert scored.value == pytest.approx(expected["per_video"], abs=1e-6)
    assert scored.parts["mean_absolute_error"] == pytest.approx(expected["per_pair_mae"], abs=1e-4)


@pytest.mark.parametrize(
    ("length", "compared"), [(3, [1]), (4, [1]), (8, [1, 3, 5]), (9, [1, 3, 5, 7]), (49, [*range(1, 48, 2)])]
)
def test_odd_frames_are_compared_with_what_their_neighbours_predict(length: int, compared: list[int]) -> None:
    frames = np.broadcast_to(np.arange(length, dtype=np.uint8)[:, None, None, None], (length, 2, 2, 3))
    seen: list[int] = []

    def predict(first: Frames, second: Frames) -> np.ndarray:
        seen.append((int(first[0, 0, 0]) + int(second[0, 0, 0])) // 2)
        return first.astype(np.float32)

    scored = smoothness(frames, predict)
    assert seen == compared
    assert scored.parts["mean_absolute_error"] == [1] * len(compared)
    assert scored.value == pytest.approx(254 / 255)


@pytest.mark.parametrize(("predicted", "level"), [(99.99, 99), (100.0, 100), (300.0, 255), (-4.0, 0)])
def test_predictions_are_clipped_and_truncated(predicted: float, level: int) -> None:
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    scored = smoothness(frames, lambda first, second: np.full(first.shape, predicted, np.float32))
    assert scored.parts["mean_absolute_error"] == [level]


def test_protocol_is_amts(all_vectors: Path) -> None:
    folder = all_vectors / "amt_s"
    expected = json.loads((folder / "expected.json").read_text())["n9"]
    tensors = load_file(folder / "vectors.safetensors")
    predictions = iter(tensors["pred_uint8"])
    scored = smoothness(tensors["frames"], lambda first, second: next(predictions).astype(np.float32))
    assert scored.value == pytest.approx(expected["motion_smoothness"], abs=1e-5)
    assert scored.parts["mean_absolute_error"] == pytest.approx(expected["mae_per_pair"], abs=2e-3)


def test_two_frames_are_unscored() -> None:
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "frames"):
        smoothness(np.zeros((2, 4, 4, 3), np.uint8), FlowInterpolator())


def test_interpolation_beats_a_blend() -> None:
    first, middle, last = moving_clip(3, 120, 160, step=6).frames
    predicted = FlowInterpolator()(first, last)
    assert predicted.shape == middle.shape and predicted.dtype == np.float32
    blend = (first.astype(np.float32) + last) / 2
    assert np.abs(predicted - middle).mean() < 0.25 * np.abs(blend - middle).mean()


def test_occluded_pixels_come_from_the_side_that_shows_them() -> None:
    still = moving_clip(1, 96, 160).frames[0]
    square = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    frames = []
    for left in (40, 48, 56):
        frame = still.copy()
        frame[32:64, left : left + 32] = square
        frames.append(frame)
    predicted = FlowInterpolator()(frames[0], frames[2])
    blend = (frames[0].astype(np.float32) + frames[2]) / 2
    assert np.abs(predicted - frames[1]).mean() < 0.6 * np.abs(blend - frames[1]).mean()


def test_interpolation_of_equal_frames_is_the_frame_itself() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (37, 51, 3), dtype=np.uint8)
    assert np.array_equal(FlowInterpolator()(frame, frame), frame.astype(np.float32))


def test_smoothness_does_not_depend_on_the_thread_count() -> None:
    import cv2

    frames = moving_clip(3, 160, 240, step=5).frames
    before = cv2.getNumThreads()
    try:
        found = set()
        for threads in (1, 2, 7):
            cv2.setNumThreads(threads)
            found.add(smoothness(frames, FlowInterpolator()).value)
    finally:
        cv2.setNumThreads(before)
    assert len(found) == 1
