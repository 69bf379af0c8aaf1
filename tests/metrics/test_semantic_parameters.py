"""The column that reads parameters: right clips high, others low, and no score where it knows no truth."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from tests.metrics.conftest import CPU
from tests.refusals import refuses
from vapbench.core.case import Case, ClipSpec
from vapbench.core.clip import Clip
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics import resolve
from vapbench.metrics.base import Score
from vapbench.metrics.view import ClipView
from vapbench.suites import vap_data
from vapbench.suites.mini.cases import grammar_cases
from vapbench.suites.mini.grammar.reading import READER_VERSION
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.writer import write_vap_data
from vapbench.validation.audit.who import without_weights

NAME = "semantic_alignment[parameters]"


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """The next version's benchmark as ``vapbench data prepare mini@2`` writes it, read as a run reads it."""
    folder = tmp_path_factory.mktemp("mini")
    write_vap_data(folder, grammar=True)
    assert json.loads((folder / "mini.json").read_text())["grammar"] == 1
    return {case.id: case for case in vap_data.load(folder, ClipSpec(frames=13, fps=8, height=64, width=64))}


@pytest.fixture(scope="module")
def score() -> Callable[[Case, np.ndarray], Score]:
    metric, _ = resolve(NAME)
    metric.setup(CPU)

    def run(case: Case, frames: np.ndarray) -> Score:
        found = metric.score(ClipView(Clip(frames, 8), case, CPU), case)
        assert isinstance(found, Score)
        return found

    return run


def test_every_case_is_known(cases: dict[str, Case]) -> None:
    assert list(cases) == [mini.id for mini in grammar_cases()]


def test_the_ground_truth_is_read_as_what_it_is_and_another_condition_is_not(
    cases: dict[str, Case], score: Callable[[Case, np.ndarray], Score]
) -> None:
    first, other = [mini for mini in grammar_cases() if mini.category == "camera" and mini.zero_shot][:3:2]
    right = score(cases[first.id], first.target.render())
    wrong = score(cases[first.id], MiniClip(other.condition, first.target.scene, 0).render())
    assert right.value is not None and right.value > 90
    assert wrong.value is not None and wrong.value < 50
    assert set(right.parts["reads"]) == {"direction", "distance", "zoom", "roll", "dolly"}
    assert right.parts["error"] < wrong.parts["error"] + 0.05
    json.dumps(dict(right.parts), allow_nan=False)


def test_lengths_and_sizes_are_fitted(cases: dict[str, Case], score: Callable[[Case, np.ndarray], Score]) -> None:
    mini = grammar_cases()[16]
    large = np.repeat(np.repeat(mini.target.render(), 2, axis=1), 2, axis=2)[::3]
    assert score(cases[mini.id], large).value is not None


def test_a_case_of_anything_else_is_unscored(case: Case, score: Callable[[Case, np.ndarray], Score]) -> None:
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "condition"):
        score(case, np.zeros((13, 64, 64, 3), np.uint8))


def test_the_column_says_what_it_is() -> None:
    metric, parameters = resolve(NAME)
    assert parameters == {}
    assert (metric.version, metric.range) == (READER_VERSION, (0.0, 100.0))
    assert all(word in (type(metric).__doc__ or "") for word in ("Formula:", "Range", "Source:", "Weights"))
    # An audit on the suite's own videos could only say that it has no score.
    assert NAME not in without_weights()
