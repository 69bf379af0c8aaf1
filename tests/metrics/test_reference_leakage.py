"""reference_leakage[pixels] on planted videos: what a copy, a mix, a right video and a still one have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.metrics.conftest import CPU, texture
from tests.metrics.test_camera_agreement import clip_of
from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip, Frames, resize_clip
from vapbench.core.video import write_lossless
from vapbench.metrics.base import Score
from vapbench.metrics.reference_leakage import ALIKE, PixelReferenceLeakage
from vapbench.metrics.view import ClipView
from vapbench.suites.mini.cases import benchmark_cases
from vapbench.suites.mini.render import FPS


def leakage(output: Frames, image: Frames, reference: Clip, folder: Path) -> Score:
    """The score of an output whose case has this first frame and this reference, both in files."""
    paths = folder / "image.mkv", folder / "reference.mkv"
    for path, clip in zip(paths, (Clip(image[None], FPS), reference), strict=True):
        write_lossless(path, clip)
    given, shown = (Media(path=path) for path in paths)
    spec = ClipSpec(frames=len(output), fps=FPS, height=64, width=64)
    case = Case(id="a", condition="c", references=(Reference(video=shown),), image=given, clip=spec)
    return PixelReferenceLeakage().score(ClipView(Clip(output, FPS), case, CPU), case)


def share(output: Frames, image: Frames, reference: Clip, folder: Path) -> float:
    return leakage(output, image, reference, folder).value or 0.0


@pytest.fixture(scope="module")
def pair() -> tuple[Frames, Clip]:
    """A right video and its reference: one pan over two scenes."""
    return clip_of("mini_lesuvo", 1).frames, clip_of("mini_lesuvo", 2)


def test_a_copy_has_all_of_it_and_a_still_or_noisy_video_none(pair: tuple[Frames, Clip], tmp_path: Path) -> None:
    right, reference = pair
    noise = np.random.default_rng(0).integers(0, 256, right.shape, dtype=np.uint8)
    assert share(reference.frames, right[0], reference, tmp_path) > 0.99
    assert share(right[:1].repeat(13, axis=0), right[0], reference, tmp_path) == pytest.approx(0, abs=0.01)
    assert share(noise, right[0], reference, tmp_path) == pytest.approx(0, abs=0.05)
    assert share(np.full_like(right, 128), right[0], reference, tmp_path) == pytest.approx(0, abs=0.01)


def test_a_mix_has_its_share(tmp_path: Path) -> None:
    own, theirs = ((texture(64, 64, seed) * 255).astype(np.uint8)[None].repeat(5, axis=0) for seed in (1, 2))
    for part in (0.25, 0.5):
        mixed = (own * (1 - part) + theirs * part).astype(np.uint8)
        assert share(mixed, own[0], Clip(theirs, FPS), tmp_path) == pytest.approx(part, abs=0.02)


def test_the_effect_itself_does_not_count(tmp_path: Path) -> None:
    own, theirs, effect = ((texture(64, 64, seed) * 255)[None] for seed in (1, 2, 3))
    way = np.linspace(0, 1, 9)[:, None, None, None]
    output, reference = (((1 - way) * scene + way * effect).astype(np.uint8) for scene in (own, theirs))
    assert share(output, output[0], Clip(reference, FPS), tmp_path) == pytest.approx(0, abs=0.1)


def test_right_videos_have_hardly_any(tmp_path: Path) -> None:
    found = []
    for mini in benchmark_cases()[::4]:
        right = mini.target.render()
        found.append(share(right, right[0], Clip(mini.reference.render(), FPS), tmp_path))
    assert abs(np.mean(found)) < 0.05 and np.max(np.abs(found)) < 0.3


def test_size_length_and_mirroring_of_both_change_nothing(pair: tuple[Frames, Clip], tmp_path: Path) -> None:
    right, reference = pair
    mixed = (right * 0.6 + reference.frames * 0.4).astype(np.uint8)
    usual = share(mixed, right[0], reference, tmp_path)
    larger = resize_clip(Clip(mixed, FPS), 13, FPS, 128, 128).frames
    mirrored = Clip(reference.frames[:, :, ::-1], FPS)
    assert share(larger, right[0], reference, tmp_path) == pytest.approx(usual, abs=0.01)
    assert share(mixed[:, :, ::-1], right[0][:, ::-1], mirrored, tmp_path) == pytest.approx(usual, abs=0.01)


def test_a_reference_that_looks_like_the_given_frame_has_a_note(tmp_path: Path) -> None:
    scene = clip_of("mini_lesuvo", 1)
    found = leakage(scene.frames, scene.frames[0], scene, tmp_path)
    assert found.kind == ALIKE and ALIKE in found.note
    assert leakage(scene.frames, scene.frames[0], clip_of("mini_lesuvo", 2), tmp_path).kind == ""
