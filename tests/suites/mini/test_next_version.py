"""The suite's next version as cases: what is known of them beyond their files."""

from __future__ import annotations

import numpy as np
import pytest

from vapbench.core.case import Case, ClipSpec
from vapbench.suites.mini import reader, writer
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.cases import MiniCase, grammar_cases
from vapbench.suites.mini.conditions import CATEGORIES
from vapbench.suites.mini.grammar.codes import is_code
from vapbench.suites.mini.oracle import effect_captions, plain_caption, rendered_depth, renderer_version
from vapbench.suites.mini.render import render_depth
from vapbench.suites.tasks import categories, conditions_of, find_task


@pytest.fixture(scope="module")
def known() -> list[MiniCase]:
    """A case of a condition of training, and one of a held-out one."""
    return grammar_cases()[::79]


@pytest.fixture(scope="module")
def cases(known: list[MiniCase], tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "grammar_cases", lambda: known)
        patch.setenv("VAPBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return reader.load_grammar(ClipSpec(frames=13, fps=8, height=64, width=64))


def test_cases_have_their_condition_and_category(cases: list[Case], known: list[MiniCase]) -> None:
    assert [(case.id, case.condition, case.category) for case in cases] == [
        (each.id, each.condition, each.category) for each in known
    ]


def test_the_renderer_knows_the_effect_in_words_and_the_depth(cases: list[Case], known: list[MiniCase]) -> None:
    for case, each in zip(cases, known, strict=True):
        captions = clip_captions(each.target)
        assert case.caption == captions.benchmark and plain_caption(case) == captions.plain
        assert np.array_equal(rendered_depth(case), render_depth(*each.reference.resolve()))
    assert {renderer_version(case) for case in cases} == {"mini-2-1"}


def test_a_caption_can_name_another_condition(cases: list[Case], known: list[MiniCase]) -> None:
    other = known[1].condition
    without, wrong = effect_captions(cases[0], other)
    assert without == clip_captions(known[0].target).scene
    assert wrong == (cases[0].caption or "").replace(cases[0].condition, other)


def test_tasks_list_every_condition_that_it_asks_for() -> None:
    for task in (*CATEGORIES, "zero-shot"):
        listed = {name: categories()[name] for name in conditions_of(find_task(task)) if is_code(name)}
        wanted = [case for case in grammar_cases() if task == ("zero-shot" if case.zero_shot else case.category)]
        assert listed == {case.condition: case.category for case in wanted}
