"""What every metric must do, whatever it measures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.metrics.conftest import CPU, moving_clip, noisy
from tests.refusals import refuses
from vapbench.core.case import Case, Media
from vapbench.core.clip import Clip, resize_clip
from vapbench.errors import ErrorKind, NotApplicable, VapbenchError
from vapbench.metrics import REGISTRY, resolve
from vapbench.metrics.base import Metric, Score, weights_of

BUILT_IN = [e.name for e in REGISTRY if e.origin == "built in" and not resolve(e.name)[0].cases]
"""Those of any case; a column of some cases alone is tested on these, in a file of its own."""
SSIM = "torchmetrics:image.StructuralSimilarityIndexMeasure"
ALL = [*BUILT_IN, SSIM]

RANGE = {
    "text_alignment[clip]": (-100.0, 100.0),
    "text_alignment[viclip]": (-1.0, 1.0),
    "aesthetic_quality": (-0.2, 0.2),  # a linear head of norm 1, divided by 10
    "dynamic_degree[raft]": (0.0, 1.0),
    "dynamic_degree[dis]": (0.0, 1.0),
    "motion_smoothness[amt]": (0.0, 1.0),
    "motion_smoothness[warp]": (0.0, 1.0),
    "temporal_flickering": (0.0, 1.0),
    "first_frame_psnr": (0.0, 60.0),
    "camera_agreement": (-1.0, 1.0),
    "motion_agreement": (-1.0, 1.0),
    "style_agreement": (-1.0, 1.0),
    "reference_leakage[pixels]": (-1.0, 1.0),
    "text_alignment[mini-clip]": (-100.0, 100.0),
    "aesthetic_quality[mini]": (0.0, 1.0),
    "semantic_alignment[embedding]": (0.0, 100.0),
    "semantic_alignment[judge]": (0.0, 100.0),
    "semantic_alignment[local]": (0.0, 100.0),
    "subject_consistency": (0.0, 1.0),
    "background_consistency": (0.0, 1.0),
    "i2v_subject": (0.0, 1.0),
    "reference_leakage": (-1.0, 1.0),
    SSIM: (-1.0, 1.0),
}
FEWEST_FRAMES = {
    "dynamic_degree[raft]": 3,
    "dynamic_degree[dis]": 3,
    "motion_smoothness[amt]": 3,
    "motion_smoothness[warp]": 3,
    "temporal_flickering": 2,
    "camera_agreement": 2,
    "motion_agreement": 2,
    "style_agreement": 2,
    "subject_consistency": 2,
    "background_consistency": 2,
    "i2v_subject": 2,
}
SLOWEST = ("dynamic_degree[raft]", "motion_smoothness[amt]", "camera_agreement", "motion_agreement")
NEEDS_WEIGHTS = {
    "text_alignment[clip]": "clip-vit-l-14",
    "text_alignment[viclip]": "viclip-l-14",
    "aesthetic_quality": "laion-aesthetic",
    "dynamic_degree[raft]": "raft-large",
    "motion_smoothness[amt]": "amt-s",
    "subject_consistency": "dino-vit-b-16",
    "background_consistency": "clip-vit-b-32",
    "i2v_subject": "dino-vit-b-16",
    "reference_leakage": "dino-vit-b-16",
}
SHIPPED = {
    "text_alignment[mini-clip]": "image_text",
    "aesthetic_quality[mini]": "image_text",
    "semantic_alignment[embedding]": "semantic",
}

Scorer = Callable[..., Score]


def test_the_tables_above_cover_every_metric() -> None:
    assert set(RANGE) == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_metadata_is_complete(name: str) -> None:
    metric, _ = resolve(name)
    assert isinstance(metric, Metric)
    assert metric.name == name
    assert metric.version >= 1
    assert isinstance(metric.higher_is_better, bool)
    assert metric.unit
    assert metric.needs <= {"prompt", "reference", "image", "target", "category"}
    assert getattr(metric, "title", "") and getattr(metric, "digits", -1) >= 0 and getattr(metric, "scale", 0) > 0
    documentation = type(metric).__doc__ or ""
    assert all(
        f"{word}" in documentation for word in ("Formula:", "Range", "Source:", "eights" if name != SSIM else "")
    )


@pytest.mark.parametrize("name", ALL)
def test_identical_clips_have_identical_scores_within_the_documented_range(name: str, score: Scorer) -> None:
    first, second = score(name, moving_clip()), score(name, moving_clip())
    assert first == second
    assert first.value is not None
    low, high = RANGE[name]
    assert low <= first.value <= high
    json.dumps(dict(first.parts), allow_nan=False)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("frames", [1, 2])
def test_short_clips_are_scored_or_unscored_with_a_reason(name: str, frames: int, score: Scorer) -> None:
    clip = moving_clip(frames)
    if frames >= FEWEST_FRAMES.get(name, 1):
        assert score(name, clip).value is not None
    else:
        with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "frames"):
            score(name, clip)


@pytest.mark.parametrize("name", ALL)
def test_odd_sizes_are_scored(name: str, score: Scorer) -> None:
    assert score(name, moving_clip(3, 127, 131)).value is not None


@pytest.mark.parametrize("name", ALL)
def test_a_black_video_has_a_finite_score(name: str, score: Scorer) -> None:
    value = score(name, Clip(np.zeros((3, 128, 136, 3), np.uint8), 8)).value
    assert value is not None and math.isfinite(value)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOWEST else []) for name in ALL]
)
def test_200_frames_are_scored(name: str, score: Scorer) -> None:
    assert _score_long(name, 200, score).value is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_1000_frames_are_scored(name: str, score: Scorer) -> None:
    assert _score_long(name, 1000, score).value is not None


def _score_long(name: str, frames: int, score: Scorer) -> Score:
    # Large networks take their time on a CPU: the dynamic degree looks at every 50th frame at 400 fps, and AMT sees
    # the smallest frames it takes.
    large = "raft" in name or "amt" in name
    if "amt" in name:
        frames = frames // 10
    height, width = (128, 128) if large else (32, 40)
    return score(name, moving_clip(frames, height, width, step=1, fps=400))


@pytest.mark.parametrize("name", [name for name in ALL if "prompt" in resolve(name)[0].needs])
@pytest.mark.parametrize("caption", [None, ""])
def test_a_missing_caption_is_unscored(name: str, caption: str | None, score: Scorer) -> None:
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "prompt"):
        score(name, moving_clip(), caption=caption)


@pytest.mark.parametrize("name", [name for name in ALL if "target" in resolve(name)[0].needs])
def test_a_missing_ground_truth_is_unscored(name: str, score: Scorer) -> None:
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "target"):
        score(name, moving_clip(), target=None)


@pytest.mark.parametrize(("name", "missing"), NEEDS_WEIGHTS.items())
def test_absent_weights_name_the_command_that_fetches_them(name: str, missing: str) -> None:
    metric, _ = resolve(name)
    assert weights_of(metric) == ()
    with refuses(NotApplicable, ErrorKind.MISSING, "weights", f"vapbench data weights fetch {missing}"):
        metric.setup(CPU)


@pytest.mark.parametrize(("name", "missing"), SHIPPED.items())
def test_absent_weights_of_the_mini_suite_name_the_command_that_makes_them(
    name: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vapbench.checkpoints.metric_files.bundled_weights", lambda name: tmp_path / name)
    metric, _ = resolve(name)
    assert weights_of(metric) == ()
    with refuses(NotApplicable, ErrorKind.MISSING, "weights", "vapbench train mini --out DIR", f"DIR/{missing}"):
        metric.setup(CPU)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_folder_of_something_else_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(VapbenchError) as caught:
        resolve(f"{name}:weights={tmp_path}")[0].setup(CPU)
    assert caught.value.kind is ErrorKind.MISSING and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name not in NEEDS_WEIGHTS | SHIPPED])
def test_metrics_without_weights_depend_on_no_file(name: str) -> None:
    assert weights_of(resolve(name)[0]) == ()


# What each degradation does to each score it should reach.

FAST = moving_clip(7, step=8)
STATIC = Clip(np.repeat(FAST.frames[:1], 7, axis=0), 8)
SHUFFLED = Clip(FAST.frames[[3, 0, 5, 1, 6, 2, 4]], 8)


CONSISTENT = ["subject_consistency", "background_consistency"]


@pytest.mark.parametrize(
    "name",
    [
        *("aesthetic_quality", "aesthetic_quality[mini]", "motion_smoothness[warp]", "temporal_flickering"),
        *(*CONSISTENT, "i2v_subject", SSIM),
    ],
)
def test_noise_lowers(name: str, score: Scorer) -> None:
    clip = moving_clip()
    assert _value(score(name, noisy(clip))) < _value(score(name, clip))


@pytest.mark.parametrize("name", ["motion_smoothness[warp]", "temporal_flickering"])
def test_shuffling_frames_lowers(name: str, score: Scorer) -> None:
    assert _value(score(name, SHUFFLED)) < _value(score(name, FAST)) - 0.01


@pytest.mark.parametrize("name", ["motion_smoothness[warp]", "temporal_flickering"])
def test_freezing_gives_exactly_one(name: str, score: Scorer) -> None:
    assert score(name, STATIC).value == 1


def test_smoothness_is_high_for_steady_motion(score: Scorer) -> None:
    assert _value(score("motion_smoothness[warp]", FAST)) > 0.98


@pytest.mark.parametrize("name", [*CONSISTENT, "i2v_subject"])
def test_freezing_raises_consistency(name: str, score: Scorer) -> None:
    assert _value(score(name, STATIC)) > _value(score(name, FAST))


@pytest.mark.parametrize("name", CONSISTENT)
def test_another_scene_half_way_lowers_consistency(name: str, score: Scorer) -> None:
    scenes = [moving_clip(4, colour=colour).frames for colour in ("red", "blue")]
    assert _value(score(name, Clip(np.concatenate(scenes), 8))) < _value(score(name, moving_clip(8)))


def test_another_first_frame_is_not_kept(score: Scorer, tmp_path: Path) -> None:
    Image.fromarray(moving_clip(1, colour="blue").frames[0]).save(tmp_path / "blue.png")
    right, wrong = score("i2v_subject", FAST), score("i2v_subject", FAST, image=Media(path=tmp_path / "blue.png"))
    assert _value(wrong) < _value(right)


def test_the_right_reference_is_found_to_leak(score: Scorer, case: Case) -> None:
    copied, own = case.reference.video.read(), moving_clip()
    assert _value(score("reference_leakage", copied)) > _value(score("reference_leakage", own))


def test_freezing_stops_the_dynamic_degree(score: Scorer) -> None:
    assert score("dynamic_degree[dis]", FAST).value == 1
    frozen = score("dynamic_degree[dis]", STATIC)
    assert frozen.value == 0
    assert frozen.parts["motion_magnitude"] == 0


def test_the_motion_magnitude_follows_the_speed(score: Scorer) -> None:
    found = [score("dynamic_degree[dis]", moving_clip(5, step=step)).parts["motion_magnitude"] for step in (1, 3, 6)]
    assert found == pytest.approx([step / 3 for step in (1, 3, 6)], rel=0.15)


def test_blur_lowers_similarity_to_the_ground_truth(score: Scorer) -> None:
    clip = moving_clip()
    blurred = resize_clip(resize_clip(clip, 5, 8, 16, 17), 5, 8, 128, 136)
    assert _value(score(SSIM, blurred)) < _value(score(SSIM, clip)) - 0.02


@pytest.mark.parametrize("name", ["text_alignment[clip]", "text_alignment[mini-clip]"])
def test_a_wrong_caption_lowers_text_alignment(name: str, score: Scorer) -> None:
    right, wrong = (_value(score(name, moving_clip(), caption=f"a {c} video")) for c in ("red", "blue"))
    assert wrong < right - 10


def test_the_semantic_of_the_reference_is_worth_more_than_another(score: Scorer) -> None:
    right, wrong = (_value(score("semantic_alignment[embedding]", moving_clip(9, colour=c))) for c in ("green", "red"))
    assert right > wrong + 40


def test_the_first_frame_is_compared_with_the_image_that_was_given(score: Scorer) -> None:
    clip = moving_clip()
    shifted = Clip(np.concatenate([clip.frames[:1] // 2, clip.frames[1:]]), 8)
    later = Clip(np.concatenate([clip.frames[:1], clip.frames[1:] // 2]), 8)
    assert score("first_frame_psnr", clip).value == score("first_frame_psnr", later).value == 60
    half = float(np.mean((clip.frames[0].astype(float) - shifted.frames[0]) ** 2))
    assert _value(score("first_frame_psnr", shifted)) == pytest.approx(10 * np.log10(255**2 / half))
    assert _value(score("first_frame_psnr", Clip(255 - clip.frames, 8))) < 20


def _value(scored: Score) -> float:
    assert scored.value is not None
    return scored.value
