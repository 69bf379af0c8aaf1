"""Captions: the benchmark form names the effect by its code name and gives nothing away."""

from __future__ import annotations

import re

import pytest

from vapbench.suites.mini.captions import caption, clip_captions
from vapbench.suites.mini.conditions import CONDITIONS, Condition
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.scenes import draw_scene, scene_number

each_condition = pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS.keys())


@each_condition
def test_benchmark_captions_name_the_effect_and_do_not_describe_it(condition: Condition) -> None:
    for index in range(20):
        scene = draw_scene(scene_number("test", index))
        words = caption(scene, condition, index)
        told = condition.description.format(it=f"the {scene.main.colour} {scene.main.shape}")
        assert condition.name in words.benchmark
        assert told not in words.benchmark
        assert told in words.plain
        assert "mini_" not in words.plain
        assert "mini_" not in words.scene
        assert words.benchmark.startswith(words.scene)
        assert words.plain.startswith(words.scene)


def test_but_for_the_code_name_all_conditions_read_alike() -> None:
    # Otherwise a text encoder could tell the category from the phrase around the name.
    phrases: dict[str, set[str]] = {}
    for name, condition in CONDITIONS.items():
        for seed in range(60):
            words = caption(draw_scene(1003), condition, seed)
            ending = words.benchmark.removeprefix(words.scene).replace(name, "*")
            phrases.setdefault(condition.category, set()).add(ending)
    assert len({frozenset(endings) for endings in phrases.values()}) == 1


def test_captions_are_two_clean_sentences_that_name_the_main_subject() -> None:
    for index in range(200):
        spec = MiniClip(list(CONDITIONS)[index % len(CONDITIONS)], scene_number("train", index), index)
        main = draw_scene(spec.scene).main
        words = clip_captions(spec)
        for text in (words.benchmark, words.plain):
            assert re.fullmatch(r"[A-Z][^.]*\. [A-Z][^.]*\.", text)
            assert "large" in text
            assert {main.colour, main.shape, main.marking} <= set(re.findall(r"[a-z]+", text.lower()))


def test_wording_varies_by_seed_and_only_by_seed() -> None:
    assert clip_captions(MiniClip("mini_ravolo", 1003, 1)) == clip_captions(MiniClip("mini_ravolo", 1003, 1))
    assert len({clip_captions(MiniClip("mini_ravolo", 1003, seed)).benchmark for seed in range(20)}) > 3
