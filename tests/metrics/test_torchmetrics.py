"""torchmetrics by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.metrics.conftest import CPU, moving_clip, noisy, view
from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.core.clip import Clip, resize_clip
from vapbench.errors import ErrorKind, NotApplicable, UsageError
from vapbench.metrics import resolve
from vapbench.metrics.base import Score
from vapbench.metrics.from_torchmetrics import image_classes


def _score(text: str, clip: Clip, case: Case) -> Score:
    metric, _ = resolve(text)
    metric.setup(CPU)
    scored = metric.score(view(clip, case), case)
    assert isinstance(scored, Score)
    return scored


def _tensor(frames: Any) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255


def test_frames_are_compared_one_by_one_with_the_ground_truth(case: Case) -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    assert case.target is not None
    clip = moving_clip(9, 96, 100)
    target = resize_clip(case.target.read(), 9, 8, 96, 100)
    pairs = zip(_tensor(clip.frames), _tensor(target.frames), strict=True)
    wanted = [float(peak_signal_noise_ratio(a[None], b[None], data_range=1.0)) for a, b in pairs]
    scored = _score("torchmetrics:image.PeakSignalNoiseRatio", clip, case)
    assert scored.parts["per_frame"] == pytest.approx(wanted)
    assert scored.value == pytest.approx(np.mean(wanted))


def test_frames_are_compared_with_the_first_frame_or_the_reference(case: Case) -> None:
    clip = moving_clip()
    found = {
        against: _score(f"torchmetrics:image.StructuralSimilarityIndexMeasure:against={against}", clip, case)
        for against in ("target", "image", "reference")
    }
    first = found["image"].parts["per_frame"]
    assert first[0] == pytest.approx(1)
    assert first[0] > first[4]
    assert found["target"].value > found["image"].value > found["reference"].value  # type: ignore[operator]


LPIPS = "torchmetrics:image.LearnedPerceptualImagePatchSimilarity:net_type=squeeze"


def test_lpips_of_a_network_that_was_fetched(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import squeezenet1_1

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(squeezenet1_1().state_dict(), tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    assert case.target is not None
    target = case.target.read()
    assert not resolve(LPIPS)[0].higher_is_better
    same, worse = (_score(LPIPS, clip, case).value for clip in (target, noisy(target)))
    assert same == pytest.approx(0, abs=1e-6)
    assert worse is not None and worse > 0.01


def test_lpips_without_its_network_is_unscored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with refuses(NotApplicable, ErrorKind.UNREACHABLE, "weights", "--refresh failed"):
        resolve(LPIPS)[0].setup(CPU)


def test_classes_of_one_image(case: Case) -> None:
    clip = moving_clip()
    metric, _ = resolve("torchmetrics:image.TotalVariation:reduction=mean")
    assert (metric.needs, metric.higher_is_better) == (frozenset(), False)
    scored = _score("torchmetrics:image.TotalVariation", clip, case)
    frames = _tensor(clip.frames)
    down, across = frames.diff(dim=2).abs().sum(), frames.diff(dim=3).abs().sum()
    assert scored.value == pytest.approx(float(down + across) / 5, rel=1e-4)


def test_direction_needs_and_parameters_come_from_the_class() -> None:
    ssim, changed = resolve("torchmetrics:image.StructuralSimilarityIndexMeasure")
    assert (ssim.higher_is_better, ssim.needs, changed) == (True, {"target"}, {})
    assert resolve("torchmetrics:image.SpectralAngleMapper")[0].higher_is_better is False
    given = "against=image,kernel_size=7,data_range=1.0,gaussian_kernel=false"
    metric, changed = resolve(f"torchmetrics:image.StructuralSimilarityIndexMeasure:{given}")
    assert metric.needs == {"image"}
    assert changed == {"against": "image", "kernel_size": 7, "gaussian_kernel": False}


def test_what_the_source_says_is_what_the_classes_are() -> None:
    import importlib

    classes = image_classes()
    assert len(classes) > 15
    for described in classes.values():
        cls = getattr(importlib.import_module(described.module), described.name)
        assert cls.higher_is_better is described.higher_is_better, described.name
    assert {name for name, found in classes.items() if found.images == 1} >= {"TotalVariation"}
    assert {name for name, found in classes.items() if found.images == 0} >= {
        "FrechetInceptionDistance",
        "InceptionScore",
        "QualityWithNoReference",
    }


@pytest.mark.parametrize(
    ("text", "kind", "field", "named"),
    [
        (
            "image.StructuralSimilarity",
            ErrorKind.UNKNOWN,
            "StructuralSimilarity",
            "Did you mean StructuralSimilarityIndexMeasure",
        ),
        ("text.BLEUScore", ErrorKind.INVALID, "metric", "Supported are torchmetrics:image"),
        ("image.FrechetInceptionDistance", ErrorKind.INVALID, "metric", "(imgs: Tensor, real: bool)"),
        (
            "image.StructuralSimilarityIndexMeasure:against=caption",
            ErrorKind.INVALID,
            "against",
            "against=caption. Known: image, reference, target",
        ),
        (
            "image.StructuralSimilarityIndexMeasure:datarange=1",
            ErrorKind.UNKNOWN,
            "datarange",
            "Did you mean data_range",
        ),
        ("image.TotalVariation:against=target", ErrorKind.CONFLICT, "against", "scores one image"),
    ],
)
def test_what_is_not_supported_is_refused_at_once(text: str, kind: ErrorKind, field: str, named: str) -> None:
    with refuses(UsageError, kind, field, named):
        resolve(f"torchmetrics:{text}")


def test_options_the_class_refuses() -> None:
    metric, _ = resolve("torchmetrics:image.TotalVariation:reduction=median")
    with refuses(UsageError, ErrorKind.INVALID, "options", "TotalVariation", "median"):
        metric.setup(CPU)


def test_options_that_do_not_give_a_number(case: Case) -> None:
    with refuses(UsageError, ErrorKind.INVALID, "options", "return_full_image"):
        _score("torchmetrics:image.StructuralSimilarityIndexMeasure:return_full_image=true", moving_clip(), case)


def test_infinite_values_are_unscored(case: Case) -> None:
    clip = moving_clip()
    still = Clip(np.repeat(clip.frames[:1], 3, axis=0), 8)
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "value"):
        _score("torchmetrics:image.PeakSignalNoiseRatio:against=image", still, case)


def test_frames_too_small_for_the_class_are_unscored(case: Case) -> None:
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "size"):
        _score("torchmetrics:image.MultiScaleStructuralSimilarityIndexMeasure", moving_clip(3, 64, 64), case)
