"""motion_smoothness[amt] against the vectors made with VBench's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.metrics.conftest import CPU, TinyWeights, parity_tensors, view
from tests.refusals import refuses
from vapbench.core.clip import Clip
from vapbench.errors import ErrorKind, NotApplicable, WeightsError
from vapbench.metrics.features.amt import AmtInterpolator
from vapbench.metrics.features.precision import exact_float32
from vapbench.metrics.motion_smoothness import AmtMotionSmoothness
from vapbench.models.vision.amt import AmtS

MEMORY = 4 << 30


@pytest.fixture(scope="module")
def metric(tiny: TinyWeights) -> AmtMotionSmoothness:
    metric = AmtMotionSmoothness(weights=tiny.amt)
    metric.setup(CPU)
    return metric


@pytest.fixture(scope="module")
def model(vectors: Path) -> AmtS:
    model = AmtS()
    model.load_state_dict(parity_tensors(vectors / "amt_s"))
    return model.eval()


def _padded(frames: torch.Tensor, expected: dict[str, Any]) -> torch.Tensor:
    margins = expected["_meta"]["pad_left_right_top_bottom"]
    return torch.nn.functional.pad(frames.permute(0, 3, 1, 2).float() / 255, margins, mode="replicate")


def test_the_checkpoints_parameters(vectors: Path) -> None:
    assert sum(parameter.numel() for parameter in AmtS().parameters()) == 2_990_543
    assert {name: tensor.shape for name, tensor in AmtS().state_dict().items()} == {
        name: tensor.shape for name, tensor in parity_tensors(vectors / "amt_s").items()
    }


@pytest.mark.parametrize("budget", [None, 1 << 18])
def test_the_predicted_frame_and_flows(budget: int | None, model: AmtS, vectors: Path) -> None:
    tensors = load_file(vectors / "amt_s" / "vectors.safetensors")
    frames = _padded(tensors["frames"], json.loads((vectors / "amt_s" / "expected.json").read_text()))
    with exact_float32(CPU):
        found = model(frames[0:1], frames[2:3], budget=budget)
    torch.testing.assert_close(found.frame, tensors["pred_float"], rtol=0, atol=2e-4)
    for level, flows in zip((4, 3), found.flows, strict=False):
        for index, flow in enumerate((flows.first, flows.second)):
            wanted = tensors[f"pair0_flow{index}_pred_L{level}"]
            torch.testing.assert_close(flow.reshape(wanted.shape), wanted, rtol=0, atol=2e-4)


def test_every_predicted_frame_and_flow(model: AmtS, all_vectors: Path) -> None:
    tensors = load_file(all_vectors / "amt_s" / "vectors.safetensors")
    frames = _padded(tensors["frames"], json.loads((all_vectors / "amt_s" / "expected.json").read_text()))
    assert torch.equal((frames[[0, 2]] * 255).round().byte(), tensors["padded_input_pair0_uint8"])
    with exact_float32(CPU):
        found = model(frames[0:8:2], frames[2::2])
        static = model(frames[4:5], frames[4:5])
    torch.testing.assert_close(found.frame, tensors["pred_float"], rtol=0, atol=2e-4)
    torch.testing.assert_close(static.frame, tensors["static5_pred_float"], rtol=0, atol=2e-4)
    for level, flows in zip((4, 3, 2, 1), found.flows, strict=True):
        for index, flow in enumerate((flows.first, flows.second)):
            wanted = tensors[f"pair0_flow{index}_pred_L{level}"].float()
            # The finest flows are stored in half precision.
            tolerance = 0.02 if level == 1 else 2e-4
            torch.testing.assert_close(flow[0].reshape(wanted.shape), wanted, rtol=0, atol=tolerance)


def test_the_score(metric: AmtMotionSmoothness, vectors: Path) -> None:
    _check_case(metric, "n3", vectors)


@pytest.mark.parametrize("name", ["n9", "n8", "n4", "static5"])
def test_more_scores(name: str, metric: AmtMotionSmoothness, all_vectors: Path) -> None:
    _check_case(metric, name, all_vectors)


def _check_case(metric: AmtMotionSmoothness, name: str, vectors: Path) -> None:
    row = json.loads((vectors / "amt_s" / "expected.json").read_text())[name]
    frames = load_file(vectors / "amt_s" / "vectors.safetensors")["frames"]
    clip = Clip(frames[row["frame_indices_in_frames_tensor"]].numpy(), 8)
    scored = metric.score(view(clip), None)  # type: ignore[arg-type]
    assert scored.value == pytest.approx(row["motion_smoothness"], abs=1e-5)
    assert scored.parts["mean_absolute_error"] == pytest.approx(row["mae_per_pair"], abs=2e-3)


def test_predictions_are_truncated_as_vbench_truncates(tiny: TinyWeights, vectors: Path) -> None:
    tensors = load_file(vectors / "amt_s" / "vectors.safetensors")
    interpolate = AmtInterpolator(tiny.amt, CPU)
    (found,) = interpolate(tensors["frames"][::2].permute(0, 3, 1, 2), MEMORY)
    difference = np.abs(found.permute(0, 2, 3, 1).numpy().astype(int) - tensors["pred_uint8"].numpy().astype(int))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.999


def test_pairs_in_batches_are_those_one_by_one(tiny: TinyWeights, vectors: Path) -> None:
    frames = load_file(vectors / "amt_s" / "vectors.safetensors")["frames"].permute(0, 3, 1, 2)
    interpolate = AmtInterpolator(tiny.amt, CPU)
    one, two = (torch.cat(list(interpolate(frames, MEMORY, batch))).int() for batch in (1, 2))
    # Rounding moves a value across a whole grey level now and then.
    assert (one - two).abs().max() <= 1
    assert (one != two).float().mean() < 1e-3


def test_frames_too_small_for_amt_are_unscored(metric: AmtMotionSmoothness) -> None:
    frames = np.zeros((3, 100, 200, 3), np.uint8)
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "size"):
        metric.score(view(Clip(frames, 8)), None)  # type: ignore[arg-type]


def test_two_frames_are_unscored(metric: AmtMotionSmoothness) -> None:
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "frames"):
        metric.score(view(Clip(np.zeros((2, 128, 128, 3), np.uint8), 8)), None)  # type: ignore[arg-type]


def test_a_checkpoint_of_another_model_is_refused(tiny: TinyWeights) -> None:
    with refuses(WeightsError, ErrorKind.INVALID, "weights", "AMT-S", tiny.raft):
        AmtMotionSmoothness(weights=tiny.raft).setup(CPU)
