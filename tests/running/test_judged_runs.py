"""Runs that a judge scores: several calls in flight, failures as rows, a budget, and nothing asked twice."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command
from tests.metrics import judges
from tests.metrics.judges import Endpoint, says, turns_down
from tests.refusals import refuses
from tests.running.test_generate import Brightness, Mover, Watcher, plan
from vapbench.core.case import Case
from vapbench.errors import BudgetSpent, ErrorKind, TooManyFailures
from vapbench.results.rows import ScoreRow
from vapbench.results.run import RunFolder
from vapbench.running.context import FailureLimit, Settings
from vapbench.running.costs import estimate_plan, limit_calls
from vapbench.running.plan import MetricSpec, columns
from vapbench.running.run import RunOutcome, execute
from vapbench.running.score import ResultSink

Make = Callable[..., Case]
KEY = "sk-secret-0123456789"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("VAPBENCH_JUDGE_KEY", KEY)
    monkeypatch.setattr("vapbench.metrics.judge.client._FIRST_WAIT", 0.01)
    with Endpoint() as running:
        yield running


def judged(endpoint: Endpoint, **parameters: Any) -> MetricSpec:
    text = "".join(f",{name}={value}" for name, value in {"repeats": 1, "frames": 2, **parameters}.items())
    return columns([f"semantic_alignment[judge]:model=m,base_url={endpoint.url}{text}"])[0]


def run(cases: list[Case], results: Path, *wanted: MetricSpec, **changes: Any) -> RunOutcome:
    settings = Settings(device="cpu", **{"max_failures": FailureLimit(100), **changes})
    return execute(plan(Mover(), cases, results), wanted, settings, Watcher())


def rows(results: Path, column: MetricSpec) -> dict[str, ScoreRow]:
    folder = RunFolder(results / "suite" / "mover")
    return {row.case: row for row in folder.scores(column.slug).values()}


def test_several_calls_are_in_flight_and_nothing_is_asked_twice(
    tmp_path: Path, make_case: Make, endpoint: Endpoint
) -> None:
    together = threading.Barrier(3)

    def patient(handler: Any, request: dict[str, Any]) -> None:
        together.wait(120)  # no answer before three questions are here
        says(judges.rating())(handler, request)

    endpoint.usual = patient
    cases, column = [make_case(n) for n in range(6)], judged(endpoint, concurrency=3)
    outcome = run(cases, tmp_path, column)
    assert (outcome.scored.ok, outcome.scored.failed) == (6, 0)
    assert {case: row.value for case, row in rows(tmp_path, column).items()} == {case.id: 70 for case in cases}
    run(cases, tmp_path, judged(endpoint, concurrency=1, timeout=9))
    assert len(endpoint.requests) == 6


def test_a_failed_answer_is_a_row_and_the_others_go_on(tmp_path: Path, make_case: Make, endpoint: Endpoint) -> None:
    cases, column = [make_case(n) for n in range(3)], judged(endpoint, concurrency=1)
    endpoint.script = [says(judges.rating()), says("Nice."), says("Very nice."), says(judges.rating())]
    outcome = run(cases, tmp_path, column, MetricSpec(Brightness(), {}, ()))
    assert (outcome.scored.ok, outcome.scored.failed) == (5, 1)
    (failed,) = [row for row in rows(tmp_path, column).values() if row.status == "failed"]
    assert failed.value is None and failed.failure
    assert (failed.failure.type, "Very nice." in failed.failure.message) == ("MalformedAnswer", True)
    run(cases, tmp_path, column, refresh="failed")
    assert [row.value for row in rows(tmp_path, column).values()] == [70, 70, 70]
    assert len(endpoint.requests) == 5


def test_too_many_failures_stop_before_all_is_asked(tmp_path: Path, make_case: Make, endpoint: Endpoint) -> None:
    endpoint.usual = turns_down(401)
    with refuses(TooManyFailures, ErrorKind.LIMIT, "max_failures", "failed, more than --max-failures allows"):
        run([make_case(n) for n in range(8)], tmp_path, judged(endpoint, concurrency=1), max_failures=FailureLimit(1))
    assert 2 <= len(endpoint.requests) <= 5


def test_the_budget_ends_the_judging_and_nothing_else(tmp_path: Path, make_case: Make, endpoint: Endpoint) -> None:
    cases = [make_case(n) for n in range(4)]
    for asked, left in ((4, 2), (8, 0)):
        column, free = judged(endpoint, repeats=2), MetricSpec(Brightness(), {}, ())
        limit_calls([column, free], 5)
        if left:
            with refuses(
                BudgetSpent,
                ErrorKind.LIMIT,
                "max_judge_calls",
                f"--max-judge-calls 5 is spent: {left} scores left to do",
            ):
                run(cases, tmp_path, column, free)
        else:
            run(cases, tmp_path, column, free)
        assert len(endpoint.requests) == asked
        assert len(rows(tmp_path, column)) == 4 - left
        assert all(row.status == "ok" for row in rows(tmp_path, column).values())
        assert len(rows(tmp_path, free)) == 4


def test_the_estimate_knows_what_is_done_and_what_will_be_made(
    tmp_path: Path, make_case: Make, endpoint: Endpoint
) -> None:
    cases, column = [make_case(n) for n in range(3)], judged(endpoint, repeats=2)
    (before,) = estimate_plan(plan(Mover(), cases, tmp_path), [column], "missing")
    assert (before.scores, before.cost.calls, before.cost.images) == (3, 6, 30)
    run(cases[:1], tmp_path, column)
    assert len(endpoint.requests) == 2
    (after,) = estimate_plan(plan(Mover(), cases, tmp_path), [column], "missing")
    assert (after.scores, after.cost.calls) == (2, 4)


def test_a_recategorised_case_is_judged_again(tmp_path: Path, make_case: Make, endpoint: Endpoint) -> None:
    column = judged(endpoint)
    for category in ("camera", "style", "camera"):
        run([make_case(0, category=category)], tmp_path, column)
    assert len(endpoint.requests) == 2


def test_an_answer_that_comes_after_the_run_is_over_is_not_written() -> None:
    written: list[Any] = []
    desk = ResultSink(written.append)
    desk.take_answer(lambda: "in time")  # type: ignore[arg-type, return-value]
    desk.close()
    desk.take_answer(lambda: "too late")  # type: ignore[arg-type, return-value]
    assert written == ["in time"]


def vapbench(cwd: Path, *arguments: object) -> Command:
    return Command(*arguments, cwd=cwd, COLUMNS="200", VAPBENCH_JUDGE_KEY=KEY)


def test_on_the_command_line_the_cost_is_said_the_budget_kept_and_the_key_nowhere(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.script = [turns_down(400, f"bad key {KEY}")]
    metric = f"semantic_alignment[judge]:model=m,base_url={endpoint.url},repeats=1,concurrency=1"
    command = ("run", "-m", "frozen", "--task", "style", "--limit", "3", "--metric", metric, "-vv")
    dry = vapbench(tmp_path, *command, "--dry-run").finished()
    assert "3 scores, 3 calls, 51 images, about" in dry.stdout, dry
    assert endpoint.requests == []
    done = vapbench(tmp_path, *command, "--max-judge-calls", "2").finished()
    assert done.returncode == 1, done.stderr
    assert len(endpoint.requests) == 2
    assert "--max-judge-calls 2 is spent: 1 score left to do" in done.stderr
    assert "Go on with: vapbench run -m frozen" in done.stderr
    written = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert any(path.suffix == ".jsonl" and "semantic_alignment" in path.name for path in written)
    assert not any(KEY.encode() in path.read_bytes() for path in written)
    assert KEY not in "".join((dry.stdout, dry.stderr, done.stdout, done.stderr))
    assert {headers["Authorization"] for headers in endpoint.headers} == {f"Bearer {KEY}"}
    row = json.loads(next(path for path in written if "semantic_alignment" in path.name).read_text().splitlines()[-1])
    assert row["params"]["endpoint"] == "local"


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupt_keeps_what_was_answered(tmp_path: Path, endpoint: Endpoint, interrupts: int) -> None:
    asked = threading.Event()

    def slow(handler: Any, request: dict[str, Any]) -> None:
        asked.set()
        # The first interrupt waits for this answer; the second comes long before it.
        judges.sleeps(3 if interrupts == 1 else 600)(handler, request)

    endpoint.script, endpoint.usual = [says(judges.rating())], slow
    metric = f"semantic_alignment[judge]:model=m,base_url={endpoint.url},repeats=1,concurrency=1,frames=1"
    process = vapbench(tmp_path, "run", "-m", "frozen", "--task", "style", "--limit", "4", "--metric", metric)
    assert asked.wait(300)
    process.send_signal(signal.SIGINT)
    # Two signals that arrive before the first is seen are one.
    process.read_until("Stopping after this case")
    if interrupts == 2:
        process.send_signal(signal.SIGINT)
    done = process.finished()
    assert done.returncode == 130, done.stderr
    assert "Resume with: vapbench run" in done.stderr
    lines = next((tmp_path / "runs").rglob("semantic_alignment*.jsonl")).read_text().splitlines()
    # The first interrupt waits for what is under way, the second does not.
    assert (len(lines) >= 2) if interrupts == 1 else (len(lines) == 1)
    assert all(json.loads(line)["value"] == 70 for line in lines)
