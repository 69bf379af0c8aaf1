"""What conditions of the grammar look like: the renderer shows every parameter, and the same clip every time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vapbench.suites.mini.conditions import CATEGORIES, Category, condition, draw_variation
from vapbench.suites.mini.grammar.codes import code_of
from vapbench.suites.mini.grammar.parameters import Camera, Concept, Motion, Semantics, Style
from vapbench.suites.mini.grammar.split import seen_conditions, zero_shot_conditions
from vapbench.suites.mini.render import MiniClip, render_batch, render_flow, render_scene
from vapbench.suites.mini.scenes import draw_scene, scene_number
from vapbench.suites.mini.shots import Variation

SCENE = scene_number("validation", 4)
MEANS = {"mini_pogibagibi": 174.8, "mini_letedipezo": 157.2, "mini_silerobeza": 178.6, "mini_vajofakote": 178.7}


def clip(semantics: Semantics, scene: int = SCENE) -> np.ndarray:
    return MiniClip(code_of(semantics), scene, variation=scene).render().astype(np.float32)


@pytest.mark.parametrize("category", CATEGORIES)
def test_clips_begin_with_the_scene_change_visibly_and_are_the_same_again(category: Category) -> None:
    for semantics in (*seen_conditions(category), *zero_shot_conditions(category)):
        frames = clip(semantics)
        assert np.array_equal(frames[0], render_scene(draw_scene(SCENE)))
        assert np.array_equal(frames, clip(semantics))
        assert np.abs(frames[1:] - frames[0]).mean(axis=(1, 2, 3)).max() > 4, semantics


def test_renders_are_what_they_were() -> None:
    """Codes and clips are what weights are trained on: whoever changes one raises ``GRAMMAR_VERSION``."""
    conditions = [seen_conditions(category)[0] for category in CATEGORIES]
    shown = render_batch([MiniClip(code_of(semantics), SCENE, 0) for semantics in conditions])
    assert {
        code_of(s): round(float(part.mean()), 1) for s, part in zip(conditions, shown, strict=True)
    } == pytest.approx(MEANS, abs=0.2)


@pytest.mark.parametrize("turns", [0.0, 0.25, 0.625])
def test_a_pan_moves_the_picture_the_other_way_by_its_distance(turns: float) -> None:
    move = Camera(direction=turns, distance=0.3)
    flow = render_flow(draw_scene(SCENE), condition(code_of(move)), _variation(move))
    # 0.3 of half a height of 64 pixels, in twelve steps.
    expected = -0.3 * 32 / 12 * np.array([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)])
    assert np.allclose(flow, expected, atol=1e-3)


def test_zoom_and_roll_are_a_similarity_about_the_centre() -> None:
    move = Camera(zoom=0.5, roll=0.1)
    frames = clip(move)
    matrix = cv2.getRotationMatrix2D((31.5, 31.5), -36, 2**0.5)
    turned = cv2.warpAffine(frames[0], matrix, (64, 64), flags=cv2.INTER_CUBIC)
    inner = np.s_[16:48, 16:48]
    assert np.abs(turned[inner] - frames[-1][inner]).mean() < 6 < np.abs(frames[0][inner] - frames[-1][inner]).mean()


def test_a_dolly_keeps_the_subject_and_moves_what_is_behind_it() -> None:
    scene = draw_scene(SCENE)
    frames = clip(Camera(dolly=1.0))
    row, column = (round((place + 1) * 32) for place in (scene.main.y, scene.main.x))
    assert np.abs(frames[-1] - frames[0])[row - 4 : row + 4, column - 4 : column + 4].max() < 3
    assert np.abs(frames[-1] - frames[0])[:8].mean() > 3


@pytest.mark.parametrize(
    ("motion", "places"),
    [
        (Motion(path="line", direction=0.0, amplitude=0.4, cycles=1.0), {3: (0.4, 0), 6: (0, 0), 9: (-0.4, 0)}),
        (Motion(path="hop", direction=0.75, amplitude=0.4, cycles=1.0), {6: (0, -0.4), 12: (0, 0)}),
        (Motion(path="clockwise", direction=0.0, amplitude=0.4, cycles=1.0), {3: (-0.4, 0.4), 6: (-0.8, 0)}),
        (Motion(path="anticlockwise", direction=0.0, amplitude=0.4, cycles=1.0), {3: (-0.4, -0.4), 6: (-0.8, 0)}),
    ],
)
def test_paths_lead_where_they_say(motion: Motion, places: dict[int, tuple[float, float]]) -> None:
    scene = draw_scene(SCENE)
    flow = render_flow(scene, condition(code_of(motion)), _variation(motion))
    at = np.array([scene.main.x, scene.main.y])
    start = at.copy()
    for frame in range(12):
        if frame in places:
            assert at - start == pytest.approx(places[frame], abs=0.05)
        row, column = ((at[::-1] + 1) * 32).astype(int).clip(0, 63)
        at += flow[frame, row, column] / 32
    if 12 in places:
        assert at - start == pytest.approx(places[12], abs=0.05)


def test_a_style_has_its_hue_its_tones_and_its_texture() -> None:
    plain = clip(Style(hue=0.625, tones=2.0))[-1]
    assert len(np.unique(plain.reshape(-1, 3), axis=0)) == 2
    hue = cv2.cvtColor(plain.astype(np.uint8), cv2.COLOR_RGB2HSV)[..., 0].astype(float) / 180
    assert np.abs(hue - 0.625).max() < 0.02
    negative = clip(Style(hue=0.625, tones=2.0, palette="reversed"))[-1]
    assert np.corrcoef(plain.mean(-1).ravel(), negative.mean(-1).ravel())[0, 1] < -0.99
    tiles = clip(Style(hue=0.625, texture="tiles", period=8.0))[-1]
    assert np.array_equal(tiles[:8, :8], np.broadcast_to(tiles[0, 0], (8, 8, 3)))
    # Upright lines of 8 pixels: eight repetitions across, none down.
    lines = clip(Style(hue=0.625, texture="lines", period=8.0))[-1].mean(-1)
    across, down = np.abs(np.fft.rfft(lines.mean(0)))[1:], np.abs(np.fft.rfft(lines.mean(1)))[1:]
    assert np.argmax(across) + 1 == 8
    assert across[7] > 5 * down[7]


def test_a_concept_changes_the_main_subject_alone() -> None:
    scene = draw_scene(SCENE)
    before, after = clip(Concept(material="glow", hue=0.5))[[0, -1]]
    x, y = ((np.arange(64) + 0.5) / 32 - 1)[None, :], ((np.arange(64) + 0.5) / 32 - 1)[:, None]
    inside = np.hypot(x - scene.main.x, y - scene.main.y) < 1.5 * scene.main.radius
    assert np.array_equal(before[~inside], after[~inside])
    assert np.abs(before - after)[inside].mean() > 30


def test_outlines_have_their_lobes() -> None:
    scene = draw_scene(SCENE)
    for outline in ("flower", "star"):
        lobed = clip(Concept(outline=outline, lobes=5.0, depth=0.4, material="scales", hue=0.0))[-1]
        disc = clip(Concept(outline="disc", material="scales", hue=0.0))[-1]
        around = np.linspace(0, 2 * np.pi, 360, endpoint=False)
        places = [
            np.array([scene.main.x, scene.main.y]) + 1.12 * scene.main.radius * np.array([np.sin(a), -np.cos(a)])
            for a in around
        ]
        covered = []
        for right, down in places:
            row, column = int((down + 1) * 32), int((right + 1) * 32)
            covered.append(
                0 <= row < 64 and 0 <= column < 64 and np.abs(lobed[row, column] - disc[row, column]).max() > 20
            )
        rises = sum(a and not b for a, b in zip(covered, covered[-1:] + covered[:-1], strict=True))
        assert rises == 5


def _variation(semantics: Semantics) -> Variation:
    return draw_variation(code_of(semantics), 0)
