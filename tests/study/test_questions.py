"""Several questions on one trial: what may be answered, how it is kept, and that each is analysed by itself."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.refusals import refuses
from tests.study.conftest import key_of, rechain, write_log, write_protocol
from tests.study.served import make_study, serving
from tests.study.several import opposed, several, several_ballots, turned
from vapbench.errors import DataError, ErrorKind
from vapbench.study.analysis.ballots import Ballots, load_ballots
from vapbench.study.analysis.documents import leaderboard_section
from vapbench.study.analysis.exporting import export
from vapbench.study.analysis.fastchat import from_fastchat, to_fastchat
from vapbench.study.analysis.fit import Terms, analyse, analyse_votes
from vapbench.study.analysis.models import analyse_model
from vapbench.study.analysis.pace import pace_lines
from vapbench.study.analysis.quality import conducts, included
from vapbench.study.analysis.reviewers import methods_text
from vapbench.study.analysis.sensitivity import mixed_results
from vapbench.study.analysis.text import report_lines
from vapbench.study.design.assign import Trial
from vapbench.study.design.planning import session_minutes
from vapbench.study.judging.log import Head, ModelBallots, ModelVote
from vapbench.study.judging.trials import model_trials
from vapbench.study.preregistration import preregistration
from vapbench.study.protocol import Protocol, Question
from vapbench.study.settings import freeze_words, read_settings, settings_path
from vapbench.study.votes import Given, Rater, Vote, each_answer

EXAMPLE = Path(__file__).parents[2] / "examples" / "study.yaml"
ALSO = """
languages: [en, de]
also:
  motion: {wording: {en: "Which moves better?", de: "Welches bewegt sich besser?"}}
  looks:
    wording: {en: "Which looks better?", de: "Welches sieht besser aus?"}
    help: {en: Look., de: Schau.}
    required: false
"""


def flags_of(protocol: Protocol, votes: Sequence[Vote], raters: tuple[Rater, ...]) -> dict[str, tuple[str, ...]]:
    """What each rater is flagged for, where nobody is excluded."""
    found = conducts(Ballots(protocol, key_of(3), tuple(votes), raters, ""))
    assert not any(person.excluded for person in found), "flagged, and kept"
    return {person.rater: person.flags for person in found}


@pytest.fixture(scope="module")
def ballots() -> Ballots:
    return several_ballots()


def test_the_server_takes_what_was_asked_and_nothing_else(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", training=0)
    settings_path(folder).write_text(ALSO, encoding="utf-8")
    freeze_words(folder)
    right = {"motion": {"choice": 1}, "looks": {"choice": "tie"}}
    with serving(folder) as served:
        rater = served.rater()
        trial = rater.next()
        assert trial is not None
        assert [question["key"] for question in trial["also"]] == ["motion", "looks"]
        assert [question["required"] for question in trial["also"]] == [True, False]
        wrong: dict[str, Any] = {
            "motion needs an answer": {"looks": {"choice": 0}},
            "looks: that was not offered": right | {"looks": {"choice": 2}},
            "shape was not asked": right | {"shape": {"choice": 0}},
            "Input should be": right | {"motion": {"choice": None}},
        }
        for reason, beside in wrong.items():
            refused = rater.vote(trial["assignment"], beside=beside)
            assert refused.status_code == 422 and reason in refused.json()["message"]
        assert rater.vote(trial["assignment"], beside=right).status_code == 201
        assert rater.vote(trial["assignment"], beside=right).status_code == 200, "the same again is harmless"
        assert rater.vote(trial["assignment"], beside=right | {"motion": {"choice": 0}}).status_code == 409
        other = rater.next()
        assert other is not None
        assert rater.vote(other["assignment"], 1, beside={"motion": {"choice": 0}}).status_code == 201
    first, second = load_ballots(folder).votes
    assert {key: given.choice for key, given in first.beside.items()} == {"motion": 1, "looks": "tie"}
    assert [(answer.question, answer.choice) for answer in each_answer((second,))] == [("semantic", 1), ("motion", 0)]


def test_questions_beside_are_frozen_with_their_translations_and_said_beforehand(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study")
    plain = folder.protocol()
    settings_path(folder).write_text(ALSO, encoding="utf-8")
    frozen = freeze_words(folder)
    assert freeze_words(folder) == frozen
    assert [question.key for question in frozen.asked] == ["semantic", "motion", "looks"]
    assert frozen.texts["de"]["question.looks.help"] == "Schau."
    assert session_minutes(frozen) > session_minutes(plain), "the consent form promises no less than it takes"
    text = preregistration(frozen)
    assert "* `motion`: Which moves better?\n* `looks`: Which looks better? Look. May be left out." in text
    assert "on the same trial, in one viewing" in text and "one viewing" not in preregistration(plain)
    rule = "a further\n  question has p < 0.0001 over at least 20 decisive answers"
    assert rule in text and rule not in preregistration(plain)


def test_the_example_asks_four_questions_in_two_languages(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study")
    shutil.copy(EXAMPLE, settings_path(folder))
    frozen = freeze_words(folder)
    assert [question.key for question in frozen.asked] == ["semantic", "appearance", "motion", "overall"]
    assert [question.steps for question in frozen.asked] == [3, 0, 0, 0] and frozen.asked[0].both_bad
    assert [len(question.tags) for question in frozen.asked] == [0, 0, 3, 0]
    assert frozen.languages == ("en", "de") and set(frozen.texts) == {"de"}
    assert not read_settings(folder).recruitment.codes, "no code of anybody's study"


@pytest.mark.parametrize(
    ("text", "kind", "field", "named", "one"),
    [
        ("also: {overall: {wording: W}}", ErrorKind.INVALID, "also", "--question semantic", False),
        ("also: {semantic: {wording: W}}", ErrorKind.INVALID, "also", "listed twice: semantic", True),
        ("also: {Motion: {wording: W}}", ErrorKind.INVALID, "also.Motion.[key]", "", True),
        ("after: [{key: one, ask: A, options: [only]}]", ErrorKind.INVALID, "after.0", "one: a choice", True),
        (
            "questions: {semantic: {wording: W, answer: graded9}}",
            ErrorKind.INVALID,
            "questions.semantic.answer",
            "graded7",
            True,
        ),
        (
            "languages: [en, de]\nalso: {motion: {wording: {en: W}}}",
            ErrorKind.MISSING,
            "question.motion.wording",
            "in de",
            True,
        ),
    ],
)
def test_what_cannot_be_asked_is_said(
    tmp_path: Path, text: str, kind: ErrorKind, field: str, named: str, one: bool
) -> None:
    folder = make_study(tmp_path / "study", one_question=one)
    settings_path(folder).write_text(text, encoding="utf-8")
    with refuses(DataError, kind, field, "study.yaml", named):
        freeze_words(folder)


def test_each_question_is_analysed_by_itself(ballots: Ballots) -> None:
    result = analyse(ballots)
    semantic, motion, looks = result.questions
    assert (semantic.question, motion.question, looks.question) == ("semantic", "motion", "looks")
    names = [method.name for method in semantic.methods]
    assert [method.name for method in motion.methods] == names[::-1], "raters answered it the other way round"
    assert looks.votes < motion.votes == semantic.votes == result.votes
    # As if the second question had been a study of its own.
    main = [vote for vote in ballots.votes if vote.role == "main"]
    alone = [
        vote.model_copy(update={"choice": turned(vote).choice, "question": "motion", "beside": {}}) for vote in main
    ]
    again = [answer for answer in each_answer(ballots.votes) if answer.role == "repeat"]
    (own,) = analyse_votes(Terms.of(ballots), alone, again)
    assert own == motion
    assert motion.agreement.repeats[1] == semantic.agreement.repeats[1] > 0
    rows = leaderboard_section(result)["rows"]
    assert [row["question"] for row in rows] == ["semantic"] * 3 + ["motion"] * 3 + ["looks"] * 3
    text = "\n".join(report_lines(result))
    assert "semantic: Which shows it?" in text and "motion: Which moves better?" in text
    assert [mixed.question for mixed in mixed_results(result)] == ["semantic", "motion", "looks"]
    methods = methods_text(result)
    assert '"Which moves better?"' in methods and "All were answered on the same trial." in methods
    paced = pace_lines(ballots, ballots.votes[-1].stored_us)
    assert any(f"motion, on the same trials: answered in {motion.votes} of {motion.votes}" in line for line in paced)


def test_one_answer_throughout_is_seen_and_named() -> None:
    """Of four raters who answer the planned question with care, three do not look at the others."""
    draft = several()
    protocol = draft.model_copy(update={"session": draft.session.model_copy(update={"trials": 20})})
    log = opposed(protocol)
    raters = tuple(Rater(rater=name, index=n) for n, name in enumerate(dict.fromkeys(vote.rater for vote in log)))
    always, ties, copies, attentive = (rater.rater for rater in raters[:4])

    def beside(vote: Vote) -> dict[str, Given]:
        if vote.rater == always:
            return {"motion": Given(choice=0), "looks": turned(vote)}
        if vote.rater == ties:
            return {"motion": Given(choice="tie"), "looks": turned(vote)}
        if vote.rater == copies:
            return {"motion": Given(choice=vote.choice), "looks": Given(choice=vote.choice)}
        return dict(vote.beside)

    def flags(votes: Sequence[Vote]) -> dict[str, tuple[str, ...]]:
        return flags_of(protocol, votes, raters)

    votes = [vote.model_copy(update={"beside": beside(vote)}) for vote in log]
    each = {
        name: sum(vote.rater == name and vote.role in ("main", "repeat") for vote in votes) for name in flags(votes)
    }
    assert flags(votes)[always] == (f"motion: the same answer in all {each[always]} trials",)
    assert flags(votes)[ties] == (f"motion: the same answer in all {each[ties]} trials",)
    assert flags(votes)[copies] == (f"one answer to all questions of a trial, in all {each[copies]} trials",)
    assert flags(votes)[attentive] == ()
    few = [vote for n, vote in enumerate(votes) if n < 14]
    assert {vote.rater for vote in few} == {always} and flags(few)[always] == (), "too few to say"


def test_another_grade_is_another_answer() -> None:
    """One side throughout, in several grades, is one side; no difference is not "both are bad"."""
    keys = ("semantic", "motion", "looks")
    graded = [Question(key=key, wording="?", answer="graded7", both_bad=True) for key in keys]
    draft = several(questions=graded[:1], also=graded[1:])
    protocol = draft.model_copy(update={"session": draft.session.model_copy(update={"trials": 20})})
    log = opposed(protocol)
    raters = tuple(Rater(rater=name, index=n) for n, name in enumerate(dict.fromkeys(vote.rater for vote in log)))
    steps, same, bad, sides, copies, attentive = (rater.rater for rater in raters[:6])

    def given(choice: int | str, grade: int) -> Given:
        return Given.model_validate({"choice": choice, "grade": 0 if choice == "tie" else grade if choice else -grade})

    def beside(vote: Vote, n: int) -> tuple[Given, Given]:
        turn, grade = given(turned(vote).choice, 1), 1 + n % 3
        answers = {
            steps: (given(1, grade), turn),
            same: (given(1, 2), turn),
            bad: (Given(choice="tie", both_bad=True) if n % 2 else given("tie", 0), turn),
            sides: (given(vote.choice, grade), given(vote.choice, 1 + grade % 3)),
            copies: (given(vote.choice, grade), given(vote.choice, grade)),
        }
        return answers.get(vote.rater, (turn, turn))

    votes = []
    for n, vote in enumerate(log):
        others = dict(zip(keys[1:], beside(vote, n), strict=True))
        votes.append(vote.model_copy(update={"grade": given(vote.choice, 1 + n % 3).grade, "beside": others}))
    found = flags_of(protocol, votes, raters)
    each = Counter(vote.rater for vote in votes if vote.role in ("main", "repeat"))
    assert found[steps] == (f"motion: 0 of {each[steps]} votes for the left",)
    assert found[same] == (f"motion: the same answer in all {each[same]} trials",)
    assert found[copies] == (f"one answer to all questions of a trial, in all {each[copies]} trials",)
    assert found[bad] == found[sides] == found[attentive] == ()


def test_an_export_has_a_row_for_each_answer(ballots: Ballots, tmp_path: Path) -> None:
    export(ballots, tmp_path)
    with (tmp_path / "votes.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == len(each_answer(ballots.votes)) > 2 * len(ballots.votes)
    first, second = rows[:2]
    assert (first["question"], second["question"]) == ("semantic", "motion")
    assert first["hash"] == second["hash"] and first["left"] == second["left"]
    if first["chosen"] != "tie":
        assert {first["chosen"], second["chosen"]} == {first["left"], first["right"]}
    assert [row["comment"] for row in rows].count("why") == 1
    battles = to_fastchat(ballots)
    assert {battle["question"] for battle in battles} == {"semantic", "motion", "looks"}
    terms, votes = from_fastchat(tmp_path / "votes.csv")
    here = {question.question: question.votes for question in analyse(ballots).questions}
    assert {question.question: question.votes for question in analyse_votes(terms, votes)} == here


def test_a_log_with_an_answer_that_was_not_asked_is_refused(tmp_path: Path) -> None:
    protocol = several()
    folder = write_protocol(tmp_path, protocol)
    votes = opposed(protocol, raters=1)
    votes[3] = votes[3].model_copy(update={"beside": {"motion": Given(choice=5)}})
    write_log(folder, rechain(votes))
    with refuses(DataError, ErrorKind.CONFLICT, "answer", "vote 4", "motion"):
        load_ballots(folder)


def test_a_model_is_asked_every_question_on_the_same_cell_and_compared_on_each(ballots: Ballots) -> None:
    protocol = ballots.protocol
    alone = model_trials(protocol.model_copy(update={"also": ()}), 2)
    trials = model_trials(protocol, 2)
    assert [(name, trial) for name, trial in trials if trial.question == "semantic"] == list(alone), "names stay"
    shown = {(trial.question, trial.cell, trial.order) for _, trial in trials if trial.role == "main"}
    assert {(key, *rest) for key in ("semantic", "motion", "looks") for _, *rest in shown} == shown
    strength = {code: -number for number, code in enumerate(protocol.methods)}

    def choice(trial: Trial) -> int:
        """The stronger one, of motion the weaker one."""
        left, right = (strength.get(code, 0) for code in trial.order)
        return int((left < right) != (trial.question == "motion"))

    votes = tuple(
        ModelVote(
            trial=name, role=trial.role, cell=trial.cell, case=trial.case, question=trial.question,
            order=trial.order, choice=choice(trial), at_us=0,
        )
        for name, trial in trials
    )  # fmt: skip
    head = Head(column="planted", identity={}, study="test", protocol_sha256=protocol.sha256, passes=2)
    report = analyse_model(ballots, included(ballots, conducts(ballots)), ModelBallots(head, votes, len(votes), {}))
    semantic, motion, looks = report.questions
    names = [method.name for method in semantic.methods]
    assert [method.name for method in motion.methods] == names[::-1]
    for question in (semantic, motion):
        assert question.agreement is not None and question.agreement.with_people.estimate > 0.7
    assert semantic.gold[1] > 0 and motion.gold == (0, 0), "checks are of the planned question"
    assert looks.votes == motion.votes
