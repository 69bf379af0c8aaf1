"""Metrics on DINO and CLIP features: formulas against VBench's, preprocessing, the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.metrics.conftest import CPU, TinyWeights, moving_clip, view
from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.errors import ErrorKind, WeightsError
from vapbench.metrics import resolve
from vapbench.metrics.base import Metric, Score
from vapbench.metrics.consistency import SubjectConsistency, consistency
from vapbench.metrics.features.dino import prepare_cropped, prepare_still, prepare_whole
from vapbench.metrics.i2v_subject import image_kept
from vapbench.models.vision.dino import DinoVit


@pytest.fixture(scope="module")
def features(vectors: Path) -> dict[str, torch.Tensor]:
    stored = load_file(vectors / "formulas" / "vectors.safetensors")
    return {
        name: torch.nn.functional.normalize(tensor.float(), dim=-1)
        for name, tensor in stored.items()
        if tensor.dtype == torch.float16
    }


@pytest.fixture(scope="module")
def expected(vectors: Path) -> dict[str, Any]:
    return dict(json.loads((vectors / "formulas" / "expected.json").read_text()))


@pytest.mark.parametrize("name", ["subject_consistency", "background_consistency"])
def test_consistency_is_vbenchs(name: str, features: dict[str, torch.Tensor], expected: dict[str, Any]) -> None:
    found = [consistency(features[f"{name}.video{index}"]).value for index in range(2)]
    assert found == pytest.approx(expected[name]["per_video"], abs=1e-6)


@pytest.mark.parametrize("name", ["i2v_subject", "i2v_background"])
def test_image_kept_is_vbenchs(name: str, features: dict[str, torch.Tensor], expected: dict[str, Any]) -> None:
    found = [image_kept(features[f"{name}.image{i}"], features[f"{name}.video{i}"]).value for i in range(2)]
    assert found == pytest.approx(expected[name]["per_video"], abs=1e-6)
    assert sum(filter(None, found)) / 2 == pytest.approx(expected[name]["mean"], abs=1e-6)


def test_dino_is_a_plain_vision_transformer() -> None:
    import timm

    torch.manual_seed(0)
    known = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    weights = known.state_dict()
    ours = DinoVit({name: tensor.shape for name, tensor in weights.items()})
    ours.load_state_dict(weights)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), known(images), rtol=0, atol=1e-5)


def test_dino_takes_frames_that_are_not_square() -> None:
    """Positions follow the image: a pattern moved by a patch is seen where it is, not where a square would have it."""
    torch.manual_seed(0)
    import timm

    weights = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=1).state_dict()
    model = DinoVit({name: tensor.shape for name, tensor in weights.items()})
    model.load_state_dict(weights)
    with torch.no_grad():
        positions = model._positions(14, 21)
    assert positions.shape == (1, 1 + 14 * 21, 192)
    # The corners of the stretched grid are those of the learnt one.
    learnt = model.pos_embed[0, 1:].view(14, 14, -1)
    stretched = positions[0, 1:].view(14, 21, -1)
    for row, column in ((0, 0), (13, 0)):
        distance = (stretched[row, column] - learnt[row, column]).norm() / learnt[row, column].norm()
        assert distance < 0.5


def test_preprocessing_sizes() -> None:
    frames = torch.from_numpy(moving_clip(2, 240, 362).frames).permute(0, 3, 1, 2)
    assert prepare_whole(frames).shape == (2, 3, 224, 337)
    assert prepare_cropped(frames).shape == (2, 3, 224, 224)
    assert prepare_still(moving_clip(1, 240, 362).frames[0]).shape == (1, 3, 224, 224)


def test_a_still_is_prepared_nearly_as_the_frame_that_shows_it() -> None:
    frame = moving_clip(1, 256, 300).frames
    as_frame = prepare_cropped(torch.from_numpy(frame).permute(0, 3, 1, 2))
    torch.testing.assert_close(prepare_still(frame[0]), as_frame, rtol=0, atol=1e-5)


def test_a_copied_reference_leaks_fully(score: Callable[..., Score], case: Case) -> None:
    reference = case.reference.video.read()
    scored = score("reference_leakage", reference)
    assert scored.value == pytest.approx(1, abs=1e-6)
    assert scored.parts["frame"] == scored.parts["reference_frame"]
    other = score("reference_leakage", moving_clip()).value
    assert other is not None and scored.value is not None and other < scored.value


def test_one_pass_serves_subject_consistency_and_leakage(
    tiny: TinyWeights, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = [resolve(tiny.spec(name))[0] for name in ("subject_consistency", "reference_leakage")]
    for metric in metrics:
        metric.setup(CPU)
    model: Any = metrics[0].encoder.model  # type: ignore[attr-defined]
    assert metrics[1].encoder.model is model  # type: ignore[attr-defined]
    calls: list[int] = []
    model.register_forward_pre_hook(lambda module, images: calls.append(len(images[0])))
    clip = view(moving_clip(), case)
    for metric in metrics:
        metric.score(clip, case)
    assert calls == [5, 9]


@pytest.mark.parametrize("name", ["subject_consistency", "background_consistency", "i2v_subject"])
def test_a_frozen_video_is_wholly_consistent(name: str, build: Callable[[str], Metric], case: Case) -> None:
    still = Clip(np.repeat(moving_clip(1).frames, 4, axis=0), 8)
    value = build(name).score(view(still, case), case).value
    assert value == pytest.approx(1, abs=1e-3 if name == "i2v_subject" else 1e-6)


def test_a_checkpoint_of_another_model_is_refused(tiny: TinyWeights) -> None:
    with refuses(WeightsError, ErrorKind.INVALID, "weights"):
        SubjectConsistency(weights=tiny.raft).setup(CPU)
