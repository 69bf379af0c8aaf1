"""On a suite that full-size weights do not fit, a method takes those made for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.methods.test_loading import CARD, CODE, folder
from tests.methods.test_vap import COGVIDEOX
from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.errors import ErrorKind, UsageError, WeightsError
from vapbench.methods import methods, resolve
from vapbench.methods.pipelines import wrong_references
from vapbench.running.plan import plan_run

SUITES = "suites:\n  mini: {steps: 9}\n  other: null\n"


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights that come with the package."""
    monkeypatch.setattr("vapbench.files.resources._PACKAGE", tmp_path)
    shutil.copytree(COGVIDEOX, tmp_path / "bundled" / "mini" / "vap")
    return tmp_path / "bundled" / "mini" / "vap"


def test_a_suite_brings_its_values_and_they_are_no_change(tmp_path: Path) -> None:
    path = folder(tmp_path / "mine", card=CARD + SUITES)
    assert resolve(str(path)).parameters == {"steps": 5}
    on_mini = resolve(str(path), suite="mini")
    assert (on_mini.parameters, on_mini.changed) == ({"steps": 9}, {})
    assert resolve(f"{path}:steps=5", suite="mini").changed == {"steps": 5}


def test_a_suite_without_weights_says_what_to_do(tmp_path: Path) -> None:
    code = CODE.replace("steps: int = 5", 'steps: int = 5, weights: str = "a/b"')
    path = folder(tmp_path / "mine", card=CARD + SUITES, code=code)
    with refuses(UsageError, ErrorKind.MISSING, "weights"):
        resolve(str(path), suite="other")
    assert resolve(f"{path}:weights=here", suite="other").parameters["weights"] == "here"


def test_bundled_weights_need_no_argument_and_are_known_by_content(
    bundled: Path, tmp_path: Path, make_case: Callable[..., Case]
) -> None:
    method = resolve("vap", suite="mini")
    assert method.parameters["dtype"] == "float32"
    assert method.changed == {}
    assert method.method.identity() == resolve(f"vap:weights={COGVIDEOX}").method.identity()
    before = plan_run("mini", "all", method, [make_case()], [0], tmp_path / "results")
    assert before.folder.path.name == "vap"
    config = bundled / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text() + " ")
    after = plan_run("mini", "all", method, [make_case()], [0], tmp_path / "results")
    assert after.jobs[0].key != before.jobs[0].key


def test_absent_bundled_weights_name_the_command_that_trains_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vapbench.files.resources._PACKAGE", tmp_path)
    with refuses(WeightsError, ErrorKind.MISSING, "weights", "vapbench train mini --out DIR", "weights=DIR/vap"):
        resolve("vap", suite="mini").method.identity()


def test_a_wrong_reference_is_of_another_condition_and_always_the_same(
    make_case: Callable[..., Case], tmp_path: Path
) -> None:
    cases = [make_case(n, condition=f"vidu_{name}") for n, name in enumerate(("orbit", "orbit", "zoom", "zoom"))]
    swapped = wrong_references(cases)
    assert swapped == wrong_references(cases[::-1])
    own = {case.condition: {c.references for c in cases if c.condition == case.condition} for case in cases}
    assert all(swapped[case.id] not in own[case.condition] for case in cases)
    with refuses(UsageError, ErrorKind.CONFLICT, "reference", "vidu_orbit"):
        wrong_references(cases[:2])
    shuffled = resolve(f"vap:weights={COGVIDEOX},reference=shuffled")
    plan = plan_run("s", "all", shuffled, cases[:1], [0], tmp_path, among=cases)
    straight = plan_run("s", "all", resolve(f"vap:weights={COGVIDEOX}"), cases[:1], [0], tmp_path)
    assert plan.jobs[0].key != straight.jobs[0].key
    wrong = swapped[cases[0].id][0].video
    assert shuffled.method.inputs(cases[0])[0] == wrong
    # A clip that a suite draws is known by what it shows: another encoder's bytes of it are the same input.
    wrong.identify("0" * 64)
    drawn = plan_run("s", "all", shuffled, cases[:1], [0], tmp_path, among=cases)
    assert drawn.jobs[0].key != plan.jobs[0].key
    wrong.path.write_bytes(wrong.path.read_bytes() + b"!")
    assert plan_run("s", "all", shuffled, cases[:1], [0], tmp_path, among=cases).jobs[0].key == drawn.jobs[0].key


@pytest.mark.parametrize("suite", ["mini", "vap-data", "gallery"])
def test_every_card_makes_its_method_on_the_suites_it_has_weights_for(suite: str, tmp_path: Path) -> None:
    for entry in methods():
        if entry.card is None or entry.card.suites.get(suite, {}) is None:
            continue
        text = f"folder:path={tmp_path}" if entry.name == "folder" else entry.name
        assert resolve(text, suite=suite).method.name == entry.name
