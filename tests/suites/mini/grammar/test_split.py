"""The split: hundreds of training conditions, and held-out values and combinations that none of them shows."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind
from vapbench.suites.mini.cases import benchmark_cases, grammar_cases, training_clip
from vapbench.suites.mini.conditions import CATEGORIES, Category, condition
from vapbench.suites.mini.grammar.codes import code_of, semantics_of
from vapbench.suites.mini.grammar.distance import distance
from vapbench.suites.mini.grammar.drawing import draw
from vapbench.suites.mini.grammar.parameters import Camera, Concept, Motion, Style
from vapbench.suites.mini.grammar.split import (
    RULES,
    all_training_conditions,
    broken_rules,
    seen_conditions,
    training_conditions,
    zero_shot_conditions,
)
from vapbench.suites.mini.scenes import draw_scene, seeded, split_of

each_category = pytest.mark.parametrize("category", CATEGORIES)


@each_category
def test_no_training_condition_shows_a_held_out_value_or_combination(category: Category) -> None:
    trained = training_conditions(category, 500)
    assert len(set(trained)) == 500
    assert not [semantics for semantics in trained if broken_rules(semantics)]


def test_what_is_held_out_is_what_the_rules_say_in_parameters() -> None:
    trained = all_training_conditions(400)
    for s in trained:
        if isinstance(s, Camera):
            assert not (s.zoom and s.roll)
            assert not (s.distance and 30 <= 360 * s.direction <= 75.1)
        elif isinstance(s, Style):
            assert not 105 <= round(360 * s.hue) <= 150
            assert not (s.texture == "lines" and s.palette == "reversed")
        elif isinstance(s, Motion):
            assert not (s.path != "none" and 210 <= round(360 * s.direction) <= 255)
            assert not (s.path in ("clockwise", "anticlockwise") and s.swell)
        else:
            assert not (s.outline in ("flower", "star") and s.lobes == 6)
            assert not (s.outline == "star" and s.material == "metal")
    # Each half of a held-out combination is trained, on its own or with others.
    assert any(s.zoom for s in trained if isinstance(s, Camera)) and any(
        s.roll for s in trained if isinstance(s, Camera)
    )
    assert {s.material for s in trained if isinstance(s, Concept)} == {"own", "metal", "rings", "scales", "glow"}


@each_category
def test_more_training_conditions_only_add(category: Category) -> None:
    assert training_conditions(category, 160)[:10] == training_conditions(category, 10)


@each_category
def test_the_benchmark_asks_for_conditions_of_both_kinds_well_apart(category: Category) -> None:
    seen, unseen = seen_conditions(category), zero_shot_conditions(category)
    assert len(seen) == 7
    assert set(seen) <= set(training_conditions(category))
    assert len(unseen) == 3
    assert {rule.kind for s in unseen for rule in broken_rules(s)} == {"value", "combination"}
    assert all(len(broken_rules(s)) == 1 for s in unseen)
    for group in (seen, unseen):
        assert all(distance(a, b) > 0.5 for a in group for b in group if a != b)


def test_each_category_holds_out_a_value_and_a_combination() -> None:
    assert Counter((rule.category, rule.kind) for rule in RULES) == {
        (category, kind): 1 for category in CATEGORIES for kind in ("value", "combination")
    }
    kinds = Counter(rule.kind for c in CATEGORIES for s in zero_shot_conditions(c) for rule in broken_rules(s))
    assert kinds == {"value": 6, "combination": 6}


def test_cases_are_two_of_each_condition_on_test_scenes_that_today_s_benchmark_does_not_use() -> None:
    cases = grammar_cases()
    counts = Counter(case.condition for case in cases)
    assert len(counts) == 40
    assert set(counts.values()) == {2}
    assert sum(not case.zero_shot for case in cases) == 56
    assert Counter(case.category for case in cases if not case.zero_shot) == dict.fromkeys(CATEGORIES, 14)
    scenes = [spec.scene for case in cases for spec in (case.target, case.reference)]
    assert len(set(scenes)) == len(scenes)
    assert {split_of(scene) for scene in scenes} == {"test"}
    assert not set(scenes) & {spec.scene for case in benchmark_cases() for spec in (case.target, case.reference)}
    for case in cases:
        assert case.zero_shot == bool(broken_rules(semantics_of(case.condition))) == condition(case.condition).held_out
        target, reference = draw_scene(case.target.scene).main, draw_scene(case.reference.scene).main
        assert target.shape != reference.shape
        assert target.colour != reference.colour
        assert case.condition in case.target_caption
        assert not set("0123456789") & set(case.target_caption.removesuffix(case.condition))


def test_held_out_conditions_have_no_training_clips() -> None:
    assert split_of(training_clip(code_of(seen_conditions("style")[0]), 5).scene) == "train"
    with refuses(DataError, ErrorKind.CONFLICT, "condition"):
        training_clip(code_of(zero_shot_conditions("style")[0]), 5)


@each_category
def test_distance_is_one_between_any_two_on_average_and_nothing_to_itself(category: Category) -> None:
    drawn = [draw(category, seeded("pairs", index)) for index in range(200)]
    gaps = [distance(a, b) for a, b in pairwise(drawn)]
    assert 0.7 < sum(gaps) / len(gaps) < 1.3
    assert max(distance(s, s) for s in drawn) == 0.0


def test_distances_are_between_what_conditions_do() -> None:
    # The shorter way round the circle, and no direction where nothing pans.
    near = distance(Camera(direction=0.0, distance=0.6), Camera(direction=23 / 24, distance=0.6))
    far = distance(Camera(direction=0.0, distance=0.6), Camera(direction=0.5, distance=0.6))
    assert near < 0.2 < 0.7 < far
    assert distance(Camera(direction=0.0, zoom=0.5), Camera(direction=0.5, zoom=0.5)) == 0.0
    # Half a round clockwise and half a round anticlockwise end alike, and go different ways.
    ways = (
        Motion(path="clockwise", amplitude=0.4, cycles=0.5),
        Motion(path="anticlockwise", amplitude=0.4, cycles=0.5),
    )
    assert 0.2 < distance(*ways)
