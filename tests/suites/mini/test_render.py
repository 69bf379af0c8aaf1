"""The renderer: frame 0 is the scene, clips are deterministic, depth and flow agree with the frames."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.refusals import refuses
from vapbench.errors import ErrorKind, UsageError
from vapbench.suites.mini.conditions import CONDITIONS, Condition, draw_variation
from vapbench.suites.mini.render import (
    FRAMES,
    MiniClip,
    render,
    render_batch,
    render_depth,
    render_flow,
    render_scene,
)
from vapbench.suites.mini.scenes import Scene, draw_scene, scene_number
from vapbench.suites.mini.shots import Timing

SCENE = draw_scene(scene_number("train", 5))

each_condition = pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS.keys())
each_camera_move = pytest.mark.parametrize(
    "condition", [c for c in CONDITIONS.values() if c.category == "camera"], ids=lambda c: c.name
)
each_style = pytest.mark.parametrize(
    "condition", [c for c in CONDITIONS.values() if c.category == "style"], ids=lambda c: c.name
)


@each_condition
def test_frame_0_is_the_unchanged_scene_bit_for_bit(condition: Condition) -> None:
    for index in range(3):
        scene = draw_scene(scene_number("train", index))
        clip = render(scene, condition, draw_variation(condition.name, index))
        assert clip.shape == (FRAMES, 64, 64, 3)
        assert clip.dtype == np.uint8
        np.testing.assert_array_equal(clip[0], render_scene(scene))


@each_condition
def test_the_effect_grows_out_of_the_scene_without_a_jump(condition: Condition) -> None:
    from vapbench.suites.mini import render as renderer

    shot = condition.effect(Timing(np.array([0.0]), draw_variation(condition.name, 1)), SCENE)
    start = renderer._to_uint8(renderer._paint(SCENE, shot))[0]
    # Copies and pieces that lie on one another cover their common soft edge more than once.
    assert np.abs(start.astype(int) - render_scene(SCENE)).mean() < 1.2


@each_condition
def test_the_effect_is_plain_to_see(condition: Condition) -> None:
    clip = render(SCENE, condition, draw_variation(condition.name, 1)).astype(float)
    assert np.abs(clip[1:] - clip[0]).mean(axis=(1, 2, 3)).max() > 4


@each_condition
def test_equal_specifications_give_equal_clips(condition: Condition) -> None:
    spec = MiniClip(condition.name, 1003, 7)
    np.testing.assert_array_equal(spec.render(), spec.render())
    assert (MiniClip(condition.name, 1003, 8).render() != spec.render()).any()


def test_a_batch_is_its_clips_whoever_renders_them() -> None:
    specs = [MiniClip(name, 100_000 + i, i) for i, name in enumerate(CONDITIONS)]
    with ThreadPoolExecutor(2) as executor:
        together = render_batch(specs, executor)
    np.testing.assert_array_equal(together, render_batch(specs))
    np.testing.assert_array_equal(together[17], specs[17].render())
    assert render_batch([]).shape == (0, FRAMES, 64, 64, 3)


def test_an_unknown_condition_gets_a_suggestion() -> None:
    with refuses(UsageError, ErrorKind.UNKNOWN, "condition", "Did you mean mini_ravolo"):
        MiniClip("mini_ravollo", 1003, 7).render()


@each_style
def test_styles_fade_in_over_the_first_third_and_stay(condition: Condition) -> None:
    clip = render(SCENE, condition, draw_variation(condition.name, 1)).astype(float)
    settled = clip[6:]
    np.testing.assert_array_equal(settled, np.broadcast_to(settled[0], settled.shape))


@each_condition
def test_depth_is_in_range_and_the_main_subject_is_nearest(condition: Condition) -> None:
    depth = render_depth(SCENE, condition, draw_variation(condition.name, 1))
    assert depth.shape == (FRAMES, 64, 64)
    assert depth.dtype == np.float32
    assert depth.min() >= 0
    assert depth.max() <= 1
    row, column = (round((place + 1) * 32) for place in (SCENE.main.y, SCENE.main.x))
    assert depth[0, row, column] == depth.max() == np.float32(SCENE.main.depth)


@each_camera_move
def test_flow_carries_the_next_frame_back_onto_this_one(condition: Condition) -> None:
    for index in range(3):
        scene = draw_scene(scene_number("train", index))
        still, warped = _residuals(scene, condition)
        assert warped < 4  # of 255: what bilinear resampling and the softness of edges leave
        assert warped < 0.4 * still


@pytest.mark.parametrize("name", [c.name for c in CONDITIONS.values() if c.category == "motion"])
def test_flow_explains_motions_but_for_what_they_uncover(name: str) -> None:
    still, warped = _residuals(SCENE, CONDITIONS[name])
    assert warped < 0.6 * still


def test_flow_of_a_camera_pan_is_its_shift() -> None:
    condition = next(c for c in CONDITIONS.values() if "pans rightwards" in c.description)
    variation = draw_variation(condition.name, 1)
    flow = render_flow(SCENE, condition, variation)
    assert flow.shape == (FRAMES - 1, 64, 64, 2)
    assert flow.dtype == np.float32
    expected = -0.85 * 32 * variation.amplitude * variation.speed / (FRAMES - 1)
    np.testing.assert_allclose(flow[0, ..., 0], expected, rtol=1e-3)
    np.testing.assert_allclose(flow[..., 1], 0, atol=1e-4)


def test_flow_of_a_style_is_nothing() -> None:
    condition = next(c for c in CONDITIONS.values() if c.category == "style")
    np.testing.assert_allclose(render_flow(SCENE, condition, draw_variation(condition.name, 1)), 0, atol=1e-4)


def _residuals(scene: Scene, condition: Condition) -> tuple[float, float]:
    """Mean difference of neighbouring frames as they are, and with the later one carried back by the flow."""
    variation = draw_variation(condition.name, 3)
    clip = render(scene, condition, variation).astype(np.float32)
    flow = render_flow(scene, condition, variation)
    x, y = np.meshgrid(np.arange(64, dtype=np.float32), np.arange(64, dtype=np.float32))
    still, warped = [], []
    for before, after, step in zip(clip[:-1], clip[1:], flow, strict=True):
        to_x, to_y = x + step[..., 0], y + step[..., 1]
        inside = (to_x >= 0) & (to_x <= 63) & (to_y >= 0) & (to_y <= 63)
        carried: npt.NDArray[np.float32] = np.asarray(cv2.remap(after, to_x, to_y, cv2.INTER_LINEAR))
        still.append(np.abs(after - before)[inside].mean())
        warped.append(np.abs(carried - before)[inside].mean())
    return float(np.mean(still)), float(np.mean(warped))
