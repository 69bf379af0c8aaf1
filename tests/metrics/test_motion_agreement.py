"""What moves beside the camera: found on clips whose motion is known, and compared whatever the camera does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.metrics.conftest import CPU, texture
from tests.metrics.test_camera_agreement import clip_of
from tests.refusals import refuses
from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip
from vapbench.core.video import write_lossless
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import Score
from vapbench.metrics.motion_agreement import STILL, MotionAgreement, motion, motion_of, pace
from vapbench.metrics.view import ClipView
from vapbench.suites.mini.render import FPS, FRAMES


def agreement(output: Clip, reference: Clip, folder: Path) -> Score:
    path = folder / "reference.mkv"
    write_lossless(path, reference)
    spec = ClipSpec(frames=len(output), fps=output.fps, height=64, width=64)
    case = Case(id="a", condition="c", references=(Reference(video=Media(path=path)),), clip=spec)
    found = MotionAgreement().score(ClipView(output, case, CPU), case)
    assert found.value is not None and -1 <= found.value <= 1
    return found


def hopping(pan: int = 0, frames: int = 13) -> Clip:
    """A bright square that goes up and down before a textured wall, and a camera that pans by ``pan`` pixels."""
    wall = texture(96, 96 + 8 * frames, seed=1) * 130
    patch = texture(28, 28, seed=2) * 120 + 130
    stack = []
    for number in range(frames):
        frame = wall[:, 40 + pan * number : 136 + pan * number].copy()
        top = 40 - round(14 * abs(np.sin(np.pi * number / 6)))
        frame[top : top + 28, 34:62] = patch
        stack.append(frame)
    return Clip(np.stack(stack).clip(0, 255).astype(np.uint8), FPS)


@pytest.mark.parametrize(
    ("name", "found"),
    [("mini_tirobe", "turning"), ("mini_cajusi", "to the side"), ("mini_bequno", "up and down")],
)
def test_the_renderers_motion_is_named(name: str, found: str) -> None:
    assert motion_of(motion(ClipView(clip_of(name, 30), None, CPU))) == found  # type: ignore[arg-type]


def test_another_scene_under_the_same_motion_agrees_more_than_another_motion(tmp_path: Path) -> None:
    names = ("mini_tirobe", "mini_cajusi", "mini_bequno")
    references = {name: clip_of(name, 31) for name in names}
    for name in names:
        output = clip_of(name, 32)
        scores = {other: agreement(output, clip, tmp_path).value or 0 for other, clip in references.items()}
        assert max(scores, key=lambda other: scores[other]) == name
        assert scores[name] > 0.5


def test_the_camera_is_taken_out(tmp_path: Path) -> None:
    assert (agreement(hopping(pan=3), hopping(), tmp_path).value or 0) > 0.6


def test_spinning_backwards_is_the_opposite_and_frozen_is_nothing(tmp_path: Path) -> None:
    clip = clip_of("mini_tirobe", 33)
    assert (agreement(Clip(clip.frames[::-1], FPS), clip, tmp_path).value or 0) < 0
    frozen = Clip(clip.frames[:1].repeat(FRAMES, axis=0), FPS)
    assert agreement(frozen, clip, tmp_path).value == pytest.approx(0, abs=1e-6)


def test_a_reference_in_which_nothing_moves_is_noted(tmp_path: Path) -> None:
    clip = clip_of("mini_tirobe", 33)
    still = Clip(clip.frames[:1].repeat(FRAMES, axis=0), FPS)
    found = agreement(clip, still, tmp_path)
    assert found.kind == STILL and found.value == pytest.approx(0, abs=0.05)
    assert found.parts["motion_of_reference"] == "none"
    assert pace(motion(ClipView(still, None, CPU))) == 0  # type: ignore[arg-type]


def test_one_frame_has_no_motion(tmp_path: Path) -> None:
    clip = hopping(frames=2)
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "frames"):
        agreement(Clip(clip.frames[:1], FPS), clip, tmp_path)
