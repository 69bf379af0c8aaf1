"""text_alignment[clip] and aesthetic_quality: parity, shared work, captions, checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.metrics.conftest import CPU, TinyWeights, moving_clip, view
from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.errors import ErrorKind, UsageError, WeightsError
from vapbench.metrics import resolve
from vapbench.metrics.aesthetic_quality import AestheticQuality, rate
from vapbench.metrics.base import CAPTION_CUT, Metric, weights_of
from vapbench.metrics.features import clip as clip_features
from vapbench.metrics.features.clip import ClipWeights, prepare

VIT_L, SMALL = 304_000_000, 1_000_000
"""Weights of a vision transformer."""


def _frames(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", ["up_100x150", "land_240x362"])
def test_preprocessing(name: str, vectors: Path) -> None:
    folder = vectors / "laion_aesthetic"
    wanted = load_file(folder / "vectors.safetensors")[f"{name}.aesthetic_float_stride3"]
    found = prepare(_frames(folder / f"{name}.0.png"))
    assert found.shape == (1, 3, 224, 224)
    torch.testing.assert_close(found[:, :, ::3, ::3], wanted, rtol=0, atol=5e-5)


def test_preprocessing_of_more_frames(all_vectors: Path) -> None:
    folder = all_vectors / "laion_aesthetic"
    for name, wanted in load_file(folder / "vectors.safetensors").items():
        stem, _, kind = name.rpartition(".")
        if kind != "aesthetic_float":
            continue
        for index, frame in enumerate(wanted):
            found = prepare(_frames(folder / f"{stem}.{index}.png"))[0]
            torch.testing.assert_close(found, frame, rtol=0, atol=5e-5, msg=lambda text, stem=stem: f"{stem}: {text}")


def test_aesthetic_head(vectors: Path) -> None:
    folder = vectors / "laion_aesthetic"
    tensors = load_file(folder / "vectors.safetensors")
    expected = json.loads((folder / "expected.json").read_text())
    weight, bias = tensors["head.weight"].float(), tensors["head.bias"].float()
    videos = []
    for index in range(2):
        features = torch.nn.functional.normalize(tensors[f"features_video{index}"].float(), dim=-1)
        found = rate(features, weight, bias)
        torch.testing.assert_close(found, tensors[f"per_frame_score_video{index}"], rtol=0, atol=1e-6)
        videos.append(found.double().mean().item())
    assert videos == pytest.approx(expected["per_video"], abs=1e-6)


def test_one_forward_pass_serves_both_metrics(tiny: TinyWeights, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = [resolve(tiny.spec(name))[0] for name in ("text_alignment[clip]", "aesthetic_quality")]
    for metric in metrics:
        metric.setup(CPU)
    model = metrics[0]._encoder.model  # type: ignore[attr-defined]
    assert metrics[1]._encoder.model is model  # type: ignore[attr-defined]
    calls = []
    encode = model.encode_image
    monkeypatch.setattr(model, "encode_image", lambda images: calls.append(len(images)) or encode(images))
    clip = view(moving_clip(), case)
    for metric in metrics:
        metric.score(clip, case)
    assert sum(calls) == 5


@pytest.mark.parametrize("name", ["text_alignment[clip]", "aesthetic_quality"])
def test_scores_do_not_depend_on_the_batch(
    name: str, build: Callable[[str], Metric], case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for frames_at_once in (16, 1, 3):
        monkeypatch.setattr(clip_features, "frames_at_once", lambda *of, count=frames_at_once: count)
        found.append(build(name).score(view(moving_clip(), case), case).value)
    assert found == pytest.approx([found[0]] * 3, abs=1e-5)


def test_frames_go_one_by_one_only_where_that_was_measured_to_be_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = {1: 1, 2: 1, 8: 16}
    for count, expected in threads.items():
        monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
        assert clip_features.frames_at_once(torch.device("cpu"), VIT_L) == expected
        assert clip_features.frames_at_once(torch.device("cpu"), SMALL) == 16
        assert clip_features.frames_at_once(torch.device("cuda"), VIT_L) == 16


def test_models_are_dropped_with_their_last_metric(tiny: TinyWeights) -> None:
    metric = resolve(tiny.spec("text_alignment[clip]"))[0]
    metric.setup(torch.device("cpu", 0))
    loaded = len(clip_features._LOADED)
    del metric
    assert len(clip_features._LOADED) == loaded - 1


def test_long_captions_are_cut_and_counted(build: Callable[[str], Metric], case: Case) -> None:
    metric = build("text_alignment[clip]")

    def aligned(caption: str) -> Any:
        longer = case.model_copy(update={"caption": caption})
        return metric.score(view(moving_clip(), longer), longer)

    fits, cut, cut_more = (aligned("red " * words) for words in (75, 76, 300))
    assert [scored.parts["tokens_dropped"] for scored in (fits, cut, cut_more)] == [0, 1, 225]
    assert (fits.note, cut.note) == ("", "the caption lost 1 token beyond CLIP's 77")
    assert (fits.kind, cut.kind) == ("", CAPTION_CUT), "so that tables can count them"
    assert cut.value == cut_more.value == fits.value


def test_text_features_are_those_of_open_clip(tiny: TinyWeights) -> None:
    import open_clip

    encoder = ClipWeights.of("tiny", tiny.clip).load(CPU)
    for text in ("A Red  video, with “quotes” &amp; more", "long " * 200):
        with torch.no_grad():
            wanted = encoder.model.encode_text(open_clip.tokenize(text), normalize=True)[0]
        torch.testing.assert_close(encoder.text_features(text)[0], wanted)


def test_image_features_are_those_of_open_clip(tiny: TinyWeights) -> None:
    import open_clip

    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    encoder = ClipWeights.of("tiny", tiny.clip).load(CPU)
    plain = open_clip.create_model(f"local-dir:{tiny.clip}").eval()
    with torch.no_grad():
        wanted = plain.encode_image(images, normalize=True)  # type: ignore[operator]
    torch.testing.assert_close(encoder.still_features(images), wanted)


def test_a_plain_checkpoint_is_read_with_openais_activation(
    tiny: TinyWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    config = json.loads((tiny.clip / "open_clip_config.json").read_text())["model_cfg"]
    (tmp_path / "tiny-test.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny-test.json")
    checkpoint = tiny.clip / "open_clip_model.safetensors"
    encoder = ClipWeights.of("tiny-test", checkpoint).load(CPU)
    assert any(type(module).__name__ == "QuickGELU" for module in encoder.model.modules())
    assert weights_of(resolve(f"text_alignment:model=tiny-test,weights={checkpoint}")[0]) == (checkpoint,)


def test_a_folder_without_a_checkpoint_is_refused(tiny: TinyWeights, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text((tiny.clip / "open_clip_config.json").read_text())
    with refuses(WeightsError, ErrorKind.INVALID, "weights"):
        ClipWeights.of("tiny", tmp_path).load(CPU)


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with refuses(UsageError, ErrorKind.MISSING, "open_clip_config.json"):
        ClipWeights.of("tiny", tmp_path)


def test_an_unknown_model_has_a_suggestion() -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "model"):
        resolve("text_alignment:model=ViT-L-41")


def test_a_head_of_another_size_is_refused(tiny: TinyWeights, tmp_path: Path, case: Case) -> None:
    save_file({"weight": torch.zeros(1, 768), "bias": torch.zeros(1)}, tmp_path / "head.safetensors")
    metric = AestheticQuality(weights=tiny.clip, head=tmp_path / "head.safetensors")
    metric.setup(CPU)
    with refuses(WeightsError, ErrorKind.CONFLICT, "head"):
        metric.score(view(moving_clip(), case), case)


def test_a_file_that_is_no_head_is_refused(tiny: TinyWeights) -> None:
    with refuses(WeightsError, ErrorKind.INVALID, "head"):
        AestheticQuality(weights=tiny.clip, head=tiny.raft).setup(CPU)
