"""The camera's path: against the mini renderer's exact one, and what must not change its agreement."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.metrics.conftest import CPU, texture
from tests.refusals import refuses
from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip, resize_clip
from vapbench.core.video import write_lossless
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import Score
from vapbench.metrics.camera_agreement import STILL, CameraAgreement, half_way, move_of, path_cosine, path_of
from vapbench.metrics.features.camera import camera
from vapbench.metrics.view import ClipView
from vapbench.suites.mini import geometry as geo
from vapbench.suites.mini.cases import training_clip
from vapbench.suites.mini.conditions import SEEN
from vapbench.suites.mini.render import FPS, FRAMES, MiniClip
from vapbench.suites.mini.shots import Timing

MOVES = {
    "mini_lesuvo": "left",
    "mini_rodeka": "right",
    "mini_upalti": "up",
    "mini_ziminu": "zoom in",
    "mini_zoputa": "zoom out",
    "mini_hivocu": "background zooms in",  # behind a subject that keeps its size
    "mini_tolari": "picture turns clockwise",
}
SUBJECTS = [condition.name for condition in SEEN if condition.category == "motion"]


def steps_of(clip: Clip, moments: int = FRAMES) -> np.ndarray:
    return camera(ClipView(clip, None, CPU)).path(moments)  # type: ignore[arg-type]


def clip_of(name: str, index: int = 0) -> Clip:
    return Clip(training_clip(name, index).render(), FPS)


def exact_path(spec: MiniClip) -> np.ndarray:
    """The background's path as the renderer moves it."""
    scene, condition, variation = spec.resolve()
    shot = condition.effect(Timing(np.linspace(0, 1, FRAMES), variation), scene)
    maps = shot.camera if shot.backdrop is None else shot.backdrop
    steps = geo.compose(maps[1:], geo.invert(maps[:-1]))
    grown = np.log(steps[:, 0, 0] + 1j * steps[:, 1, 0])
    columns = np.stack([steps[:, 0, 2], steps[:, 1, 2], grown.real, grown.imag], axis=1)
    return np.vstack([np.zeros(4), np.cumsum(columns, axis=0)])


def agreement(output: Clip, reference: Clip, folder: Path) -> Score:
    path = folder / "reference.mkv"
    write_lossless(path, reference)
    spec = ClipSpec(frames=len(output), fps=output.fps, height=64, width=64)
    case = Case(id="a", condition="c", references=(Reference(video=Media(path=path)),), clip=spec)
    found = CameraAgreement().score(ClipView(output, case, CPU), case)
    assert found.value is not None and -1 <= found.value <= 1
    return found


def value(output: Clip, reference: Clip, folder: Path) -> float:
    return agreement(output, reference, folder).value or 0.0


@pytest.mark.parametrize(("name", "move"), MOVES.items())
def test_the_renderers_own_path_is_found(name: str, move: str) -> None:
    spec = training_clip(name, 20)
    clip = Clip(spec.render(), FPS)
    found, exact = steps_of(clip), exact_path(spec)
    assert move_of(path_of(ClipView(clip, None, CPU))) == move  # type: ignore[arg-type]
    assert path_cosine(found, exact, standstill=0) > 0.98
    if name != "mini_hivocu":  # a still subject over a growing background leaves little of it
        assert np.abs(found - exact).max() < 0.1


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_subject_that_moves_is_no_camera(name: str) -> None:
    assert np.abs(steps_of(clip_of(name))).max() < 0.05


def test_another_scene_under_the_same_move_agrees_and_another_move_does_not(tmp_path: Path) -> None:
    pan = clip_of("mini_lesuvo", 1)
    assert value(pan, clip_of("mini_lesuvo", 2), tmp_path) > 0.95
    assert value(pan, clip_of("mini_rodeka", 3), tmp_path) < -0.95
    assert abs(value(pan, clip_of("mini_upalti", 3), tmp_path)) < 0.3
    assert abs(value(pan, clip_of("mini_tolari", 3), tmp_path)) < 0.3


def turned_around(x: int, y: int, degrees: float = 18, seed: int = 0) -> Clip:
    """A picture that turns around one of its points."""
    picture = (texture(128, 128, seed) * 255).astype(np.uint8)
    turns = (cv2.getRotationMatrix2D((x, y), angle, 1) for angle in np.linspace(0, degrees, FRAMES))
    frames = [cv2.warpAffine(picture, turn, (128, 128), borderMode=cv2.BORDER_REFLECT) for turn in turns]
    return Clip(np.stack(frames), FPS)


def test_what_turns_at_the_side_turns_and_does_not_pan(tmp_path: Path) -> None:
    left, right = turned_around(24, 80), turned_around(104, 40, seed=1)
    assert np.abs(steps_of(left)[-1, :2]).max() > 0.15  # of the frame's centre
    path = path_of(ClipView(left, None, CPU))  # type: ignore[arg-type]
    assert path[-1] == pytest.approx([0, 0, 0, -np.deg2rad(18), 0], abs=0.02)
    assert value(left, right, tmp_path) > 0.97
    assert abs(value(left, clip_of("mini_lesuvo"), tmp_path)) < 0.2


def test_a_dolly_zoom_is_not_a_zoom(tmp_path: Path) -> None:
    zoom, dolly = clip_of("mini_ziminu", 6), clip_of("mini_hivocu", 6)
    assert value(dolly, clip_of("mini_hivocu", 7), tmp_path) > 0.9 > 0.8 > value(dolly, zoom, tmp_path)
    assert value(zoom, clip_of("mini_ziminu", 7), tmp_path) > 0.9 > 0.8 > value(zoom, dolly, tmp_path)


@pytest.mark.parametrize("name", ["mini_ziminu", "mini_tolari"])
def test_backwards_is_the_opposite_and_frozen_is_nothing(name: str, tmp_path: Path) -> None:
    clip = clip_of(name)
    assert value(Clip(clip.frames[::-1], FPS), clip, tmp_path) < -0.9
    assert value(Clip(clip.frames[:1].repeat(FRAMES, axis=0), FPS), clip, tmp_path) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["mini_lesuvo", "mini_tolari"])
def test_what_is_no_move_changes_nothing(name: str, tmp_path: Path) -> None:
    output, reference = clip_of(name, 4), clip_of(name, 5)
    usual = value(output, reference, tmp_path)
    mirrored = [Clip(clip.frames[:, :, ::-1], FPS) for clip in (output, reference)]
    darker = Clip((output.frames * 0.6).astype(np.uint8), FPS)
    larger = resize_clip(output, FRAMES, FPS, 128, 128)
    slower = Clip(output.frames, fps=FPS / 3)
    for changed in (darker, larger, slower):
        assert value(changed, reference, tmp_path) == pytest.approx(usual, abs=0.02)
    assert value(mirrored[0], mirrored[1], tmp_path) == pytest.approx(usual, abs=0.02)


def test_mirroring_one_of_a_pair_turns_a_pan_around(tmp_path: Path) -> None:
    output, reference = clip_of("mini_lesuvo", 4), clip_of("mini_lesuvo", 5)
    assert value(Clip(output.frames[:, :, ::-1], FPS), reference, tmp_path) < -0.9


def test_a_reference_that_stands_still_is_near_zero_with_a_note(tmp_path: Path) -> None:
    found = agreement(clip_of("mini_lesuvo"), clip_of("mini_bequno"), tmp_path)
    assert abs(found.value or 0) < 0.4
    assert found.kind == STILL and STILL in found.note
    assert agreement(clip_of("mini_lesuvo"), clip_of("mini_lesuvo", 1), tmp_path).kind == ""


def test_the_parts_say_which_move_how_far_and_at_what_pace(tmp_path: Path) -> None:
    wide = texture(64, 192) * 255
    even = [wide[:, 4 * i : 4 * i + 64] for i in range(13)]
    late = [wide[:, i * i // 6 : i * i // 6 + 64] for i in range(13)]
    steady, hesitant = (Clip(np.stack(frames).astype(np.uint8), FPS) for frames in (even, late))
    found = agreement(hesitant, steady, tmp_path).parts
    # The window slides to the right over the picture, as a camera does that pans to the right.
    assert found["move"] == found["move_of_reference"] == "right"
    assert found["half_way_of_reference"] == pytest.approx(0.5, abs=0.03)
    assert found["half_way"] > 0.6
    assert np.array(found["path_of_reference"])[-1] == pytest.approx([-48 / 32, 0, 0, 0, 0], abs=0.05)
    assert found["extent"] < found["extent_of_reference"]


def test_a_moment_without_a_move_is_half_way_in_the_middle() -> None:
    assert half_way(np.zeros((17, 5))) == 0.5
    assert move_of(np.zeros((17, 5))) == "none"


def test_one_frame_has_no_move(tmp_path: Path) -> None:
    still = Clip(clip_of("mini_lesuvo").frames[:1], FPS)
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "frames"):
        agreement(still, clip_of("mini_lesuvo"), tmp_path)


@pytest.mark.parametrize("shape", [(3, 8, 8, 3), (3, 16, 4000, 3), (3, 901, 5, 3)])
def test_odd_shapes_have_a_path(shape: tuple[int, ...]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.isfinite(path_of(ClipView(Clip(frames, 8), None, CPU))).all()  # type: ignore[arg-type]
