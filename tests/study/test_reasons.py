"""Reasons, grades and "both are bad" beside a preference: taken as they are offered, described beside the ranks."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tests.refusals import refuses
from tests.study.conftest import make_protocol, rechain
from tests.study.served import make_study, serving
from tests.study.several import several_ballots
from vapbench.errors import DataError, ErrorKind
from vapbench.study.analysis.ballots import Ballots, load_ballots
from vapbench.study.analysis.details import details_of
from vapbench.study.analysis.documents import to_json
from vapbench.study.analysis.exporting import export
from vapbench.study.analysis.fastchat import from_fastchat
from vapbench.study.analysis.fit import analyse
from vapbench.study.analysis.reviewers import methods_text
from vapbench.study.analysis.text import report_lines
from vapbench.study.preregistration import preregistration
from vapbench.study.protocol import Protocol, Question
from vapbench.study.settings import StudyFile, freeze_words, settings_path, worded
from vapbench.study.votes import Vote


@pytest.fixture(scope="module")
def ballots() -> Ballots:
    return several_ballots()


def test_reasons_are_counted_by_what_was_preferred(ballots: Ballots, tmp_path: Path) -> None:
    tagged = Question(key="semantic", wording="Which?", tags=("Wrong motion", "Flicker"))
    protocol = ballots.protocol.model_copy(update={"questions": (tagged,), "also": ()})
    # The first reason wherever something was preferred, the second in every fifth vote.
    votes = rechain(
        [
            vote.model_copy(
                update={"beside": {}, "tags": (*((0,) if vote.chosen else ()), *((1,) if place % 5 == 0 else ()))}
            )
            for place, vote in enumerate(ballots.votes)
        ]
    )
    asked = Ballots(protocol, ballots.key, tuple(votes), ballots.raters, votes[-1].hash)
    result = analyse(asked)
    (details,) = details_of(result)
    main, names = [vote for vote in votes if vote.role == "main"], asked.key.names()
    assert [(one.tag, one.method) for one in details.tags[:3]] == [
        ("Wrong motion", method.name) for method in result.questions[0].methods
    ]
    for one in details.tags:
        number = tagged.tags.index(one.tag)
        own = [vote for vote in main if one.method in {names[code] for code in vote.order}]
        for (ticked, of), group in (
            (one.preferred, [vote for vote in own if vote.chosen and names[vote.chosen] == one.method]),
            (one.passed_over, [vote for vote in own if vote.chosen and names[vote.chosen] != one.method]),
            (one.tied, [vote for vote in own if not vote.chosen]),
        ):
            assert (ticked, of) == (sum(number in vote.tags for vote in group), len(group))
    assert any(0 < one.preferred[0] < one.preferred[1] for one in details.tags)
    text = "\n".join(report_lines(result))
    assert "reason ticked" in text and "mean grade" not in text
    assert "[reasons to tick]" in methods_text(result) and "mean grades" not in methods_text(result)
    assert "Reasons to tick, counted: Wrong motion; Flicker." in preregistration(protocol)
    export(asked, tmp_path)
    with (tmp_path / "votes.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["tags"] for row in rows] == ["; ".join(tagged.tags[n] for n in vote.tags) for vote in votes]


def test_reasons_are_translated_and_taken_as_they_are_offered(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", training=0)
    settings_path(folder).write_text(
        "languages: [en, de]\n"
        "questions: {semantic: {wording: {en: W, de: W}, help: {en: H, de: H}, tags: [{en: Style, de: Stil}, XY]}}\n"
    )
    frozen = freeze_words(folder)
    assert frozen.asked[0].tags == ("Style", "XY") and frozen.texts["de"]["question.semantic.tag.0"] == "Stil"
    with serving(folder) as served:
        rater = served.rater()
        rater.http.headers["accept-language"] = "de"
        trial = rater.next()
        assert trial is not None and trial["question"]["tags"] == ["Stil", "XY"]
        for tags in ([2], [-1], [1, 0], [0, 0]):
            refused = rater.vote(trial["assignment"], tags=tags)
            assert refused.status_code == 422 and "that tag was not offered" in refused.json()["message"]
        assert rater.vote(trial["assignment"], tags=[0, 1]).status_code == 201
    assert load_ballots(folder).votes[0].tags == (0, 1)


GRADED = """
questions: {semantic: {wording: Which, answer: graded7, both_bad: true}}
also: {motion: {wording: Moves, answer: graded5}, looks: {wording: Looks, both_bad: true, required: false}}
"""


def test_grades_and_both_bad_are_taken_as_they_are_offered(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", training=0)
    settings_path(folder).write_text(GRADED, encoding="utf-8")
    frozen = freeze_words(folder)
    text = preregistration(frozen)
    assert "Graded on 7 steps" in text and "Graded on 5 steps" in text and text.count('"Both are bad"') == 2
    motion = {"motion": {"choice": 1, "grade": 1}}
    bad: dict[str, Any] = {"choice": "tie", "both_bad": True}
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("semantic: a grade is missing", {"choice": 0, "beside": motion}),
        ("semantic: that grade was not offered", {"choice": 0, "grade": 2, "beside": motion}),
        ("semantic: that grade was not offered", {"choice": 1, "grade": 0, "beside": motion}),
        ("grade: Input should be", {"choice": 1, "grade": 4, "beside": motion}),
        ("motion: that grade was not offered", {**bad, "beside": {"motion": {"choice": 1, "grade": 3}}}),
        ("motion: that was not offered", {**bad, "beside": {"motion": bad}}),
        ("semantic: that was not offered", {"choice": 0, "both_bad": True, "beside": motion}),
        ("semantic: no grade was asked for", {**bad, "grade": 0, "beside": motion}),
        ("looks: no grade was asked for", {**bad, "beside": motion | {"looks": {"choice": 0, "grade": -1}}}),
    ]
    with serving(folder) as served:
        rater = served.rater()
        trial = rater.next()
        assert trial is not None and (trial["question"]["steps"], trial["question"]["both_bad"]) == (3, True)
        for reason, body in wrong:
            refused = rater.vote(trial["assignment"], **body)
            assert refused.status_code == 422 and reason in refused.json()["message"], (body, refused.text)
        assert rater.vote(trial["assignment"], 0, grade=-3, beside=motion | {"looks": bad}).status_code == 201
        other = rater.next()
        assert other is not None and rater.vote(other["assignment"], **bad, beside=motion).status_code == 201
    first, second = load_ballots(folder).votes
    assert (first.grade, first.beside["motion"].grade, first.beside["looks"].both_bad) == (-3, 1, True)
    assert (second.choice, second.grade, second.both_bad) == ("tie", None, True)


def test_grades_and_both_bad_are_for_pairs_with_ties(tmp_path: Path) -> None:
    many = make_protocol(kind="best_of_n", ties=False).model_dump()
    many["questions"][0]["both_bad"] = True
    with pytest.raises(ValueError, match="semantic: grades and both_bad are for pairs"):
        Protocol.model_validate(many)
    words = StudyFile.model_validate({"questions": {"semantic": {"wording": "W", "both_bad": True}}})
    with refuses(DataError, ErrorKind.INVALID, "questions.semantic", "study.yaml", "for pairs"):
        worded(make_protocol(kind="best_of_n", ties=False), words, "study.yaml")


def test_mean_grades_and_both_bad_are_described_beside_the_same_ranks(ballots: Ballots, tmp_path: Path) -> None:
    graded = Question(key="semantic", wording="Which?", answer="graded7", both_bad=True)
    protocol = ballots.protocol.model_copy(update={"questions": (graded,), "also": ()})
    plain = [vote.model_copy(update={"beside": {}}) for vote in ballots.votes]
    number = {code: n for n, code in enumerate(protocol.methods)}

    def with_grade(vote: Vote, place: int) -> Vote:
        """By how many places the methods are apart; a third of the ties call both bad."""
        if vote.choice == "tie":
            bad = place % 3 == 0
            return vote.model_copy(update={"grade": None if bad else 0, "both_bad": bad})
        apart = abs(number[vote.order[0]] - number[vote.order[1]]) if vote.role in ("main", "repeat") else 1
        return vote.model_copy(update={"grade": apart if vote.choice else -apart})

    votes = rechain([with_grade(vote, place) for place, vote in enumerate(plain)])
    asked = Ballots(protocol, ballots.key, tuple(votes), ballots.raters, votes[-1].hash)
    result = analyse(asked)
    sides = Ballots(
        ballots.protocol.model_copy(update={"also": ()}), ballots.key, tuple(rechain(plain)), ballots.raters, ""
    )
    (before,) = analyse(sides).questions
    (question,) = result.questions
    assert question.methods == before.methods and question.pairs == before.pairs, "a grade is a side for the model"
    (details,) = details_of(result)
    main = [vote for vote in votes if vote.role == "main"]
    names = asked.key.names()
    for pair in details.pairs:
        own = [vote for vote in main if {names[code] for code in vote.order} == {pair.a, pair.b}]
        signed = [(vote.grade or 0) * (1 if names[vote.order[1]] == pair.a else -1) for vote in own]
        assert pair.grade is not None and pair.grade.estimate == pytest.approx(sum(signed) / len(own))
        assert pair.grade.low is not None and pair.grade.low < pair.grade.estimate
        assert pair.both_bad == sum(vote.both_bad for vote in own)
    assert sum(pair.both_bad for pair in details.pairs) == sum(vote.both_bad for vote in main) > 0
    best = details.methods[0]
    assert best.method == "method-0" and best.grade is not None and best.grade.estimate > 0
    shown = [vote for vote in main if "method-0" in {names[code] for code in vote.order}]
    assert best.both_bad is not None
    assert best.both_bad.estimate == pytest.approx(sum(vote.both_bad for vote in shown) / len(shown))
    text = "\n".join(report_lines(result))
    assert "mean grade" in text and "both bad %" in text and "-3 to +3" in text
    assert to_json(result)["details"][0]["steps"] == 3 and "details" not in to_json(analyse(sides))
    assert "[graded on 7 steps," in methods_text(result) and "mean grades" in methods_text(result)
    export(asked, tmp_path)
    with (tmp_path / "votes.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["grade"], row["both_bad"]) for row in rows] == [
        ("" if vote.grade is None else str(vote.grade), str(vote.both_bad)) for vote in votes
    ]
    _, read = from_fastchat(tmp_path / "fastchat.jsonl")
    assert sum(vote.choice == "tie" for vote in read) == sum(vote.choice == "tie" for vote in main)
