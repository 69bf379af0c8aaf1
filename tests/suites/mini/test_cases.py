"""The benchmark: its counts and names, and the proof that training never saw it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.suites.mini.cases import benchmark_cases, check_no_leak, find_leak, training_clip
from vapbench.suites.mini.conditions import CONDITIONS, HELD_OUT, SEEN
from vapbench.suites.mini.scenes import draw_scene, scene_number, split_of

CASES = benchmark_cases()


def test_two_cases_per_condition_and_at_least_48_of_seen_ones() -> None:
    counts = Counter(case.condition for case in CASES)
    assert counts == {name: 2 for name in CONDITIONS}
    assert sum(not case.zero_shot for case in CASES) == 2 * len(SEEN) >= 48
    assert {case.condition for case in CASES if case.zero_shot} == {c.name for c in HELD_OUT}
    assert all(case.category == CONDITIONS[case.condition].category for case in CASES)


def test_ids_are_unique_path_safe_and_say_what_the_case_is() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    for case in CASES:
        assert re.fullmatch(r"mini_[a-z]+--scene-\d+--scene-\d+", case.id)
        assert case.id == f"{case.condition}--scene-{case.target.scene}--scene-{case.reference.scene}"


def test_every_clip_has_a_test_scene_of_its_own() -> None:
    scenes = [spec.scene for case in CASES for spec in (case.target, case.reference)]
    assert len(set(scenes)) == len(scenes)
    assert {split_of(scene) for scene in scenes} == {"test"}


def test_target_and_reference_share_the_condition_and_nothing_else() -> None:
    for case in CASES:
        assert case.target.condition == case.reference.condition == case.condition
        assert case.target.variation != case.reference.variation
        target, reference = draw_scene(case.target.scene).main, draw_scene(case.reference.scene).main
        assert target.shape != reference.shape
        assert target.colour != reference.colour
        assert case.condition in case.target_caption
        assert case.condition in case.reference_caption


def test_the_benchmark_is_the_same_on_every_call() -> None:
    assert benchmark_cases() == CASES


def test_no_test_scene_is_in_training() -> None:
    check_no_leak(train_scenes=3_000, rendered=200)


def test_a_leaked_scene_is_found_by_its_data_and_named() -> None:
    test = [draw_scene(scene_number("test", index)) for index in range(4)]
    train = [draw_scene(scene_number("train", index)) for index in range(50)]
    train[40] = replace(test[2], number=train[40].number)
    with refuses(DataError, ErrorKind.CONFLICT, "scene", "test scene-1002", "scene-100040"):
        find_leak(test, train, rendered=0)


def test_a_leaked_scene_is_found_by_its_picture_when_its_data_look_new() -> None:
    test = draw_scene(scene_number("test", 0))
    # Invisible in the picture: a wall has no horizon.
    assert test.background.kind != "horizon"
    disguised = replace(test, background=replace(test.background, level=0.9), number=100_000)
    find_leak([test], [disguised], rendered=0)
    with refuses(DataError, ErrorKind.CONFLICT, "scene", "scene-1000"):
        find_leak([test], [disguised], rendered=1)


def test_held_out_conditions_have_no_training_clips() -> None:
    assert split_of(training_clip("mini_ravolo", 17).scene) == "train"
    with refuses(DataError, ErrorKind.CONFLICT, "condition", HELD_OUT[0].name):
        training_clip(HELD_OUT[0].name, 0)
    with refuses(UsageError, ErrorKind.UNKNOWN, "condition", "mini_nothing"):
        training_clip("mini_nothing", 0)
