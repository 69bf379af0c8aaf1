"""What reviewers ask for: every rater is in the flow once, and the methods section has the study's numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.refusals import refuses
from tests.study.conftest import Population, collect, make_protocol, write_log, write_protocol
from vapbench.errors import ErrorKind, UsageError
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.analysis.figures import flow_diagram
from vapbench.study.analysis.fit import analyse
from vapbench.study.analysis.results import StudyResult
from vapbench.study.analysis.reviewers import flow_lines, flow_of, methods_text
from vapbench.study.analysis.sensitivity import mixed_lines, mixed_results
from vapbench.study.votes import Event, Rater


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """Ten raters: one withdrew, one was screened out, one was excluded; one more came and never voted; one declined."""
    protocol = make_protocol(methods=2, cases=8, trials=8, raters=10)
    folder = write_protocol(tmp_path_factory.mktemp("study"), protocol)
    write_log(folder, collect(protocol, 10, Population((0.4, 0.0))))
    ballots = load_ballots(folder)
    changes = [{"status": "withdrawn"}, {"status": "screened_out"}, {"excluded": "asked for it"}]
    raters = [rater.model_copy(update=change) for rater, change in zip(ballots.raters, changes, strict=False)]
    raters += [*ballots.raters[3:], Rater(rater="r-late", index=10)]
    events = (Event(at_us=1, kind="declined", rater="r-no"), Event(at_us=2, kind="closed"))
    return analyse(replace(ballots, raters=tuple(raters), events=events))


def test_every_rater_is_in_the_flow_once(result: StudyResult) -> None:
    flow = flow_of(result)
    assert (flow.consented, flow.declined, flow.analysed) == (11, 1, 7)
    assert flow.consented == flow.analysed + sum(count for _, count in flow.lost)
    assert {why for why, _ in flow.lost} == {
        "withdrew", "screened out", "excluded by an administrator", "left before a vote",
    }  # fmt: skip
    assert flow.votes == sum(question.votes for question in result.questions)
    assert flow_lines(flow)[0] == "12 asked for consent"


def test_the_methods_section_has_the_numbers(result: StudyResult, tmp_path: Path) -> None:
    text = methods_text(result)
    assert "2 methods were compared on 8 cases" in text and "11 raters consented and 7 were analysed, with" in text
    assert "No result by method was seen before the study was closed." in text
    assert result.protocol.sha256[:16] in text and "chose the better one" in text
    of_many = result.protocol.model_copy(update={"kind": "best_of_n", "ties": False})
    assert "chose the best one (" in methods_text(replace(result, ballots=replace(result.ballots, protocol=of_many)))
    flow_diagram(flow_of(result)).savefig(tmp_path / "flow.png")
    assert (tmp_path / "flow.png").stat().st_size > 5_000


def test_the_mixed_fit_stands_beside_the_main_one(result: StudyResult) -> None:
    for found, question in zip(mixed_results(result), result.questions, strict=True):
        assert [(pair.a, pair.b) for pair in found.pairs] == [(pair.a, pair.b) for pair in question.pairs]
        (pair,) = found.pairs
        low, high = pair.win_probability.low, pair.win_probability.high
        assert low is not None and high is not None and low <= question.pairs[0].win_probability.estimate <= high
    text = "\n".join(mixed_lines(mixed_results(result)))
    assert "semantic, mixed effects (sensitivity)" in text and "Other order than above: none." in text
    with refuses(UsageError, ErrorKind.CONFLICT, "mixed"):
        mixed_results(
            replace(result, ballots=replace(result.ballots, protocol=make_protocol(kind="best_of_n", ties=False)))
        )
