"""Runs that a metric scores several clips at a time: one failure is one row, nothing is lost, nothing asked twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from tests.running.test_generate import Brightness, Mover, Watcher, plan
from vapbench.core.case import Case
from vapbench.errors import NotApplicable, TooManyFailures
from vapbench.metrics.base import BatchMetric, Metric, Score
from vapbench.metrics.view import ClipView
from vapbench.results.rows import ScoreRow
from vapbench.results.run import RunFolder
from vapbench.running.context import FailureLimit, Settings
from vapbench.running.pending import pending_scores
from vapbench.running.plan import MetricSpec
from vapbench.running.run import RunOutcome, execute
from vapbench.running.score import load_video, score_computed
from vapbench.running.scorer import Scorer

Make = Callable[..., Case]


class Together(BatchMetric):
    """Mean brightness, of up to three clips at a time."""

    name = "together"
    at_once = 3
    asked: ClassVar[list[tuple[str, ...]]] = []
    """Cases of each call."""
    poison = ""
    """A case whose clip makes every call fail that it is part of."""

    def setup(self, device: object) -> None:
        type(self).asked = []

    def take(self, clip: ClipView, case: Case) -> tuple[str, float]:
        if not case.caption:
            raise NotApplicable("the case has no caption")
        return case.id, float(clip.frames.mean())

    def score_many(self, taken: Sequence[tuple[str, float]]) -> list[Score | float]:
        self.asked.append(tuple(case for case, _ in taken))
        if any(case == self.poison for case, _ in taken):
            raise MemoryError("too much for one")
        return [Score(value) for _, value in taken]


@pytest.fixture(autouse=True)
def no_poison() -> None:
    Together.poison = ""


def run(cases: list[Case], results: Path, *metrics: Metric, **changes: object) -> RunOutcome:
    settings = Settings(device="cpu", **{"max_failures": FailureLimit(100), **changes})  # type: ignore[arg-type]
    return execute(plan(Mover(), cases, results), [MetricSpec(one, {}, ()) for one in metrics], settings, Watcher())


def rows(results: Path, metric: str = "together") -> list[ScoreRow]:
    return list(RunFolder(results / "suite" / "mover").scores(metric).values())


def test_clips_are_asked_about_together_and_rows_keep_their_order(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(number) for number in range(5)]
    outcome = run(cases, tmp_path, Together(), Brightness())
    names = [case.id for case in cases]
    assert Together.asked == [tuple(names[:3]), tuple(names[3:])]
    assert [row.case for row in rows(tmp_path)] == names
    assert [row.value for row in rows(tmp_path)] == [row.value for row in rows(tmp_path, "brightness")]
    assert (outcome.scored.ok, outcome.scored.failed) == (10, 0)
    run(cases, tmp_path, Together(), Brightness())
    run([*cases, make_case(5)], tmp_path, Together(), Brightness())
    assert Together.asked == [("vidu_orbit--t5--r5",)]


def test_a_clip_that_fails_takes_no_other_with_it(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(number) for number in range(3)]
    Together.poison = cases[1].id
    outcome = run(cases, tmp_path, Together())
    assert (outcome.scored.ok, outcome.scored.failed) == (2, 1)
    (failed,) = [row for row in rows(tmp_path) if row.status == "failed"]
    assert failed.case == cases[1].id and failed.failure and failed.failure.message == "too much for one"
    Together.poison = ""
    assert run(cases, tmp_path, Together(), refresh="failed").scored.ok == 1
    assert Together.asked == [(cases[1].id,)]


def test_what_does_not_apply_is_unscored(tmp_path: Path, make_case: Make) -> None:
    outcome = run([make_case(0), make_case(1, caption=None), make_case(2)], tmp_path, Together())
    assert (outcome.scored.ok, outcome.scored.unscored) == (2, 1)
    (without,) = [row for row in rows(tmp_path) if row.status == "unscored"]
    assert (without.value, without.note) == (None, "the case has no caption")
    assert [len(asked) for asked in Together.asked] == [2]


def test_a_run_that_stops_still_answers_what_was_taken(tmp_path: Path, make_case: Make) -> None:
    class Fails(Brightness):
        name = "fails"

        def score(self, clip: ClipView, case: Case) -> Score:
            raise ValueError("no")

    with pytest.raises(TooManyFailures):
        run([make_case(number) for number in range(8)], tmp_path, Together(), Fails(), max_failures=FailureLimit(1))
    begun = len(rows(tmp_path, "fails"))
    assert 2 <= begun < 8 and [row.status for row in rows(tmp_path)] == ["ok"] * begun


def test_a_process_that_is_sent_one_clip_asks_about_one(tmp_path: Path, make_case: Make) -> None:
    cases = [make_case(number) for number in range(2)]
    run(cases, tmp_path)
    column, device = MetricSpec(Together(), {}, ()), torch.device("cpu")
    folder = RunFolder(tmp_path / "suite" / "mover")
    jobs = pending_scores(folder, {case.id: case for case in cases}, [column], None, "missing").jobs
    scorers = {column.label: Scorer.set_up(column, device)}
    found = [score_computed(job, load_video(job), scorers, device, None) for job in jobs]
    assert [row.status for rows in found for row in rows] == ["ok", "ok"]
    assert [len(asked) for asked in Together.asked] == [1, 1]


def test_without_a_run_a_clip_is_scored_alone(make_case: Make) -> None:
    case = make_case(0)
    clip = case.image.read()
    score = Together().score(ClipView(clip, case, torch.device("cpu")), case)
    assert isinstance(score, Score) and score.value == float(clip.frames.mean())
