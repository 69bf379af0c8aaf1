"""Parameters read back from clips: near the truth, the same every time, and far from it where a clip shows another."""

from __future__ import annotations

import numpy as np
import pytest

from vapbench.suites.mini.conditions import Category
from vapbench.suites.mini.grammar.codes import code_of
from vapbench.suites.mini.grammar.parameters import Camera, Concept, Motion, Semantics, Style
from vapbench.suites.mini.grammar.reading import read, score
from vapbench.suites.mini.grammar.split import broken_rules
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.scenes import draw_scene, scene_number

SCENE = scene_number("validation", 4)
CONDITIONS: dict[Category, Semantics] = {  # All of them held out from training.
    "concept": Concept(outline="flower", lobes=6.0, depth=0.35, growth=0.3, material="rings", hue=0.75),
    "style": Style(hue=0.75, palette="reversed", tones=3.0, texture="lines", period=8.0, angle=0.25),
    "motion": Motion(path="line", direction=0.625, amplitude=0.4, cycles=1.0),
    "camera": Camera(direction=0.125, distance=0.6),
}


def clip(semantics: Semantics) -> np.ndarray:
    return MiniClip(code_of(semantics), SCENE, variation=SCENE).render()


@pytest.mark.parametrize(
    "category", [pytest.param(c, marks=[pytest.mark.slow] if c in ("style", "camera") else []) for c in CONDITIONS]
)
def test_a_held_out_condition_is_read_from_a_noisy_clip(category: Category) -> None:
    truth = CONDITIONS[category]
    assert broken_rules(truth)
    noise = np.random.default_rng(0).normal(0, 12, (13, 64, 64, 3))
    noisy = np.clip(clip(truth) + noise, 0, 255).astype(np.uint8)
    found = read(noisy, draw_scene(SCENE), category)
    assert score(found.semantics, truth) > 85
    assert found.error < 0.06


def test_equal_clips_are_read_alike() -> None:
    frames, scene = clip(CONDITIONS["style"]), draw_scene(SCENE)
    assert read(frames, scene, "style") == read(frames.copy(), scene, "style")


def test_what_shows_nothing_of_the_family_fits_badly() -> None:
    scene = draw_scene(SCENE)
    truth = CONDITIONS["style"]
    moved = read(clip(Camera(zoom=-0.875, roll=0.15)), scene, "style")
    assert moved.error > 5 * read(clip(truth), scene, "style").error
    assert score(moved.semantics, truth) < 60


def test_a_score_is_a_share_of_what_separates_any_two() -> None:
    truth = Camera(direction=0.25, distance=0.6)
    assert score(truth, truth) == 100
    assert 80 < score(Camera(direction=0.26, distance=0.58), truth) < 100
    assert score(Camera(direction=0.75, distance=0.9), truth) == 0
