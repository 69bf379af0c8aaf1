"""The suite's next version as cases: what is known of them beyond their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import vapbench as vb
from tests.refusals import refuses
from vapbench.cli import app
from vapbench.core.case import Case
from vapbench.errors import ErrorKind, UsageError
from vapbench.leaderboard.check import manifest_problems
from vapbench.methods import resolve
from vapbench.results.run import RunFolder
from vapbench.running.run import Selection
from vapbench.suites import Suite, find_suite
from vapbench.suites.mini import writer
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.cases import MiniCase, grammar_cases
from vapbench.suites.mini.conditions import CATEGORIES
from vapbench.suites.mini.grammar.codes import is_code
from vapbench.suites.mini.oracle import effect_captions, plain_caption, rendered_depth, renderer_version
from vapbench.suites.mini.render import render_depth
from vapbench.suites.tasks import categories, conditions_of, find_task
from vapbench.validation.declarations import check_run
from vapbench.validation.probe.plans import alignment_columns


@pytest.fixture(scope="module")
def known() -> list[MiniCase]:
    """A case of a condition of training, and one of a held-out one."""
    return grammar_cases()[::79]


@pytest.fixture(scope="module")
def cases(known: list[MiniCase], tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "grammar_cases", lambda: known)
        patch.setenv("VAPBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return find_suite("mini@2").cases(None)


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


@pytest.mark.parametrize("name", ["mini@", "mini@new", "mini@02", "mini@2/..", "@2"])
def test_behind_at_stands_a_version(name: str) -> None:
    usual = find_suite("mini@2").model_dump()
    with pytest.raises(ValidationError, match="name"):
        Suite.model_validate(usual | {"name": name})


@pytest.mark.parametrize("method", ["vap", "i2v", "lora", "vace-depth", "vap-wan"])
def test_methods_are_to_be_given_weights(method: str) -> None:
    with refuses(UsageError, ErrorKind.MISSING, "weights", "mini@2", f"{method}:weights=DIR"):
        resolve(method, suite="mini@2")


def test_given_weights_run_with_the_settings_of_small_models(tmp_path: Path) -> None:
    own = resolve("vap", suite="mini").parameters
    given = resolve(f"vap:weights={tmp_path}", suite="mini@2").parameters
    assert given == own | {"weights": str(tmp_path)}
    with refuses(UsageError, ErrorKind.MISSING, "adapters"):
        resolve(f"lora:weights={tmp_path}", suite="mini@2")


def test_a_floor_is_run_and_read_in_numbers(cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Suite, "cases", lambda *_: cases)
    run = vb.run("frozen", suite="mini@2", results=tmp_path, metrics=["semantic_alignment[parameters]"], progress=False)
    scores = run.to_dataframe().query("metric == 'semantic_alignment[parameters]'")
    assert list(scores.case) == [cases[0].id] and scores.value.between(0, 60).all()  # The other is zero-shot.
    folder = RunFolder(tmp_path / "mini@2" / "frozen")
    assert [finding.problem for finding in check_run(folder) if not finding.ok] == []
    assert manifest_problems(folder.manifest().document | {"identity": {"suite": "mini@2/..", "name": "frozen"}})


def test_a_probe_takes_the_column_that_reads_parameters(cases: list[Case]) -> None:
    selection = Selection(find_suite("mini@2"), find_task("concept"), (cases[0],), tuple(cases))
    assert [column.label for column in alignment_columns(selection, None)] == [
        "semantic_alignment[parameters]",
        "reference_leakage[pixels]",
    ]


def test_adapters_are_not_taken_for_those_of_the_first_version(known: list[MiniCase], tmp_path: Path) -> None:
    condition = known[0].condition
    with refuses(UsageError, ErrorKind.CONFLICT, "suite", "train mini --version 2 --only lora"):
        app(["train", "lora", "--suite", "mini@2", "--condition", condition], standalone_mode=False)
    adopting = ["data", "adopt-lora", str(tmp_path / "a.safetensors"), "--condition", condition, "--out", str(tmp_path)]
    with refuses(UsageError, ErrorKind.MISSING, "base", "--base"):
        app(adopting, standalone_mode=False)
