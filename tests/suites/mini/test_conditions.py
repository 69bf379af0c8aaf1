"""Conditions: enough of each category, none like another, and code names that mean nothing."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from vapbench.suites.mini.conditions import CATEGORIES, CONDITIONS, HELD_OUT, SEEN, draw_variation
from vapbench.suites.mini.render import render
from vapbench.suites.mini.scenes import draw_scene, scene_number


def test_every_category_has_seven_conditions_and_one_is_held_out() -> None:
    counts = Counter(c.category for c in CONDITIONS.values())
    held_out = Counter(c.category for c in HELD_OUT)
    assert set(counts) == set(CATEGORIES)
    assert min(counts.values()) >= 7
    assert all(held_out[category] >= 1 for category in CATEGORIES)
    assert len(SEEN) >= 24
    assert len(SEEN) + len(HELD_OUT) == len(CONDITIONS)


def test_code_names_are_path_safe_and_say_nothing() -> None:
    words = {word for c in CONDITIONS.values() for word in re.findall(r"[a-z]{4,}", c.description)}
    for name in CONDITIONS:
        assert re.fullmatch(r"mini_[a-z]{5,8}", name)
        assert not any(word in name for word in words)


def test_variations_are_small_and_the_same_on_every_draw() -> None:
    drawn = [draw_variation("mini_ravolo", seed) for seed in range(100)]
    assert drawn[3] == draw_variation("mini_ravolo", 3)
    assert len(set(drawn)) == 100
    assert all(0.85 <= v.speed <= 1.2 and 0.85 <= v.amplitude <= 1.15 and 0 <= v.phase < 1 for v in drawn)


@pytest.fixture(scope="module")
def clips() -> dict[str, np.ndarray]:
    """Per condition, ``(scenes, variations, T, H, W, C)``: every condition on the same scenes, coarsely."""
    scenes = [draw_scene(scene_number("train", index)) for index in range(3)]
    return {
        name: np.stack(
            [
                [render(scene, c, draw_variation(name, seed))[1:, ::2, ::2].astype(np.float32) for seed in range(3)]
                for scene in scenes
            ]
        )
        for name, c in CONDITIONS.items()
    }


def test_no_two_conditions_are_near_duplicates(clips: dict[str, np.ndarray]) -> None:
    """On the same scene, clips of two conditions differ more than two clips of the calmer one do."""
    spread = {name: _distance(c[:, 0], c[:, 1]) for name, c in clips.items()}
    names = list(clips)
    for i, first in enumerate(names):
        for second in names[:i]:
            between = np.mean([_distance(clips[first][:, v], clips[second][:, w]) for v in (0, 1) for w in (0, 1)])
            within = min(spread[first], spread[second])
            assert between > 1.3 * within, f"{first} and {second}: {between:.1f} between, {within:.1f} within"


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).mean())
