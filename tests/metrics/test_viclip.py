"""text_alignment[viclip] against the vectors made with VBench's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.metrics.conftest import CPU, TinyWeights, moving_clip, parity_tensors, view
from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.errors import ErrorKind, WeightsError
from vapbench.metrics.features.clip import prepare_rounded
from vapbench.metrics.features.precision import exact_float32
from vapbench.metrics.viclip_alignment import ViClipTextAlignment, middle_frames
from vapbench.models.vision.viclip import ViClip


@pytest.fixture(scope="module")
def tensors(vectors: Path) -> dict[str, torch.Tensor]:
    return load_file(vectors / "viclip" / "vectors.safetensors")


@pytest.fixture(scope="module")
def expected(vectors: Path) -> dict[str, Any]:
    return dict(json.loads((vectors / "viclip" / "expected.json").read_text()))


@pytest.fixture(scope="module")
def metric(tiny: TinyWeights) -> ViClipTextAlignment:
    metric = ViClipTextAlignment(weights=tiny.viclip)
    metric.setup(CPU)
    return metric


@pytest.fixture(scope="module")
def model(vectors: Path) -> ViClip:
    weights = parity_tensors(vectors / "viclip")
    model = ViClip({name: tensor.shape for name, tensor in weights.items()})
    model.load_state_dict(weights)
    return model.eval()


def test_which_frames(expected: dict[str, Any]) -> None:
    found = {total: middle_frames(int(total), 8) for total in expected["indices_middle_8"]}
    assert found == expected["indices_middle_8"]


def test_tokens(metric: ViClipTextAlignment, tensors: dict[str, torch.Tensor], expected: dict[str, Any]) -> None:
    found = [metric.tokens(caption) for caption in expected["captions"]]
    assert [tokens for tokens, _ in found] == tensors["token_ids"].tolist()
    assert [dropped > 0 for _, dropped in found] == [False, False, True, False]


def test_preprocessing(tensors: dict[str, torch.Tensor]) -> None:
    found = prepare_rounded(tensors["frames_uint8_selected"], 56)[:, :, ::4, ::4]
    torch.testing.assert_close(found, tensors["pixel_values_stride4"], rtol=0, atol=1e-5)


def test_preprocessing_at_full_size(all_vectors: Path) -> None:
    folder = all_vectors / "laion_aesthetic"
    checked = 0
    for name, wanted in load_file(folder / "vectors.safetensors").items():
        stem, _, kind = name.rpartition(".")
        if kind != "viclip_normalised_stride7":
            continue
        for index, frame in enumerate(wanted):
            image = np.asarray(Image.open(folder / f"{stem}.{index}.png").convert("RGB")).copy()
            found = prepare_rounded(torch.from_numpy(image).permute(2, 0, 1)[None])[0, :, ::7, ::7]
            torch.testing.assert_close(found, frame, rtol=0, atol=1e-5)
            checked += 1
    assert checked


def test_embeddings(model: ViClip, tensors: dict[str, torch.Tensor]) -> None:
    frames = prepare_rounded(tensors["frames_uint8_selected"], 56)
    with exact_float32(CPU):
        videos = model.encode_video(torch.stack([frames, frames.flip(0)]))
        texts = model.encode_text(tensors["token_ids"].long())
    torch.testing.assert_close(videos[:1], tensors["video_embed_raw"], rtol=0, atol=1e-5)
    torch.testing.assert_close(texts, tensors["text_embed_raw"], rtol=0, atol=1e-5)
    unit = torch.nn.functional.normalize(videos, dim=-1)
    torch.testing.assert_close(unit[:1], tensors["video_embed"], rtol=0, atol=1e-5)
    torch.testing.assert_close(unit[1:], tensors["video_embed_reversed_frames"], rtol=0, atol=1e-5)


def test_attention_never_takes_the_native_path(
    model: ViClip, tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds every attention weight, which is slower and takes more memory."""

    def native(*args: object, **kwargs: object) -> None:
        raise AssertionError("torch's native attention path was taken")

    monkeypatch.setattr(torch, "_native_multi_head_attention", native)
    with torch.inference_mode():
        model.encode_video(prepare_rounded(tensors["frames_uint8_selected"], 56)[None])
        model.encode_text(tensors["token_ids"].long())


def test_scores(
    metric: ViClipTextAlignment, tensors: dict[str, torch.Tensor], expected: dict[str, Any], case: Case
) -> None:
    clip = Clip(tensors["frames_uint8_selected"].permute(0, 2, 3, 1).contiguous().numpy(), 8)
    for caption, wanted in zip(expected["captions"][:3], expected["cosine"], strict=False):
        scored = metric.score(view(clip, case.model_copy(update={"caption": caption})), case)
        assert scored.value == pytest.approx(wanted, abs=1e-5)


def test_long_captions_are_cut_and_counted(metric: ViClipTextAlignment, case: Case) -> None:
    found = {}
    for words in (30, 31, 100):
        longer = case.model_copy(update={"caption": "red " * words})
        found[words] = metric.score(view(moving_clip(), longer), longer)
    assert [scored.parts["tokens_dropped"] for scored in found.values()] == [0, 1, 70]
    assert [bool(scored.note) for scored in found.values()] == [False, True, True]
    assert found[30].value == found[31].value == found[100].value


def test_the_full_models_parameters(vectors: Path) -> None:
    shapes = json.loads((vectors / "viclip" / "full_L14_keys.json").read_text())
    with torch.device("meta"):
        model = ViClip({name: torch.Size(shape) for name, shape in shapes.items()})
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == shapes
    assert (model.frames, model.image_size, model.context_length) == (8, 224, 32)


def test_a_checkpoint_of_another_model_is_refused(tiny: TinyWeights) -> None:
    with refuses(WeightsError, ErrorKind.INVALID, "weights"):
        ViClipTextAlignment(weights=tiny.raft).setup(CPU)
