"""The analysis finds the truth that simulated raters vote by, and says how sure it is."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.study.conftest import Population, code, collect, key_of, make_protocol, rechain
from vapbench.leaderboard.studies import Study
from vapbench.study.analysis.ballots import Ballots
from vapbench.study.analysis.documents import leaderboard_section, to_json
from vapbench.study.analysis.fastchat import from_fastchat
from vapbench.study.analysis.figures import wins
from vapbench.study.analysis.fit import analyse, analyse_votes
from vapbench.study.analysis.results import QuestionResult, StudyResult
from vapbench.study.analysis.text import question_lines, report_lines
from vapbench.study.protocol import Protocol
from vapbench.study.votes import Rater, Vote

TRUTH = (0.6, 0.2, -0.2, -0.6)


def ballots(protocol: Protocol, votes: list[Vote], **status: str) -> Ballots:
    names = list(dict.fromkeys(vote.rater for vote in votes))
    raters = tuple(
        Rater.model_validate({"rater": name, "index": n, "status": status.get(name.replace("-", "_"), "finished")})
        for n, name in enumerate(names)
    )
    return Ballots(protocol, key_of(len(protocol.methods)), tuple(votes), raters, votes[-1].hash)


def study(kind: str, population: Population, raters: int = 30, seed: int = 0) -> StudyResult:
    many = {"pair": 24, "best_of_n": 24}[kind]
    protocol = make_protocol(cases=24, kind=kind, ties=kind == "pair", trials=many, raters=raters, votes_per_cell=5)
    return analyse(ballots(protocol, collect(protocol, raters, population, seed)))


def marginal_shares(population: Population, draws: int = 200_000) -> np.ndarray:
    """Luce shares of a crowd whose tastes differ: what a best-of-n study estimates."""
    random = np.random.default_rng(1)
    spread = math.hypot(population.rater_sd, population.item_sd)
    utility = np.array(population.strength) + random.normal(0, spread, (draws, len(population.strength)))
    weights = np.exp(utility)
    return np.asarray((weights / weights.sum(axis=1, keepdims=True)).mean(axis=0))


@pytest.fixture(scope="module")
def pairs() -> StudyResult:
    return study("pair", Population(TRUTH, side=0.3, rater_sd=0.0, item_sd=0.0))


def test_the_matrix_of_wins_says_that_its_numbers_are_the_models(pairs: StudyResult) -> None:
    matrix, bar = wins(pairs.questions[0]).axes
    assert "votes" in matrix.get_title() and "%" not in matrix.get_title()
    assert bar.get_ylabel() == "win probability by the model, %"


def test_intervals_of_a_pair_study_contain_the_truth(pairs: StudyResult) -> None:
    theta = {f"method-{m}": strength for m, strength in enumerate(TRUTH)}
    shares = np.exp(TRUTH) / np.exp(TRUTH).sum()
    covered, total = 0, 0
    for question in pairs.questions:
        for duel in question.pairs:
            truth = 1 / (1 + math.exp(theta[duel.b] - theta[duel.a]))
            covered += duel.win_probability.low <= truth <= duel.win_probability.high
            total += 1
        for method in question.methods:
            covered += method.luce_share.low <= shares[int(method.name[-1])] <= method.luce_share.high
            total += 1
        assert question.side.low < 0.3 < question.side.high
        assert question.left_share.low < question.left_share.estimate < question.left_share.high
        assert question.methods[0].name == "method-0"
        assert question.methods[-1].name == "method-3"
        assert question.tie_odds == pytest.approx(0.5, abs=0.15)
    # Twenty intervals of 95 %: more than three misses would happen once in fifty studies.
    assert covered >= total - 3


def test_choice_shares_contain_the_crowds_preference() -> None:
    population = Population(TRUTH, rater_sd=0.4, item_sd=0.4)
    truth = marginal_shares(population)
    result = study("best_of_n", population, raters=40)
    covered = [
        method.share.low <= truth[int(method.name[-1])] <= method.share.high
        for question in result.questions
        for method in question.methods
    ]
    assert sum(covered) >= len(covered) - 1
    for question in result.questions:
        assert sum(method.share.estimate for method in question.methods) == pytest.approx(1)
        assert all(method.share_bound == 1 for method in question.methods)


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say() -> None:
    population = Population(TRUTH, rater_sd=0.5, item_sd=0.5)
    truth = marginal_shares(population)
    covered = [
        method.share.low <= truth[int(method.name[-1])] <= method.share.high
        for seed in range(60)
        for question in study("best_of_n", population, raters=20, seed=seed).questions[:1]
        for method in question.methods
    ]
    assert 0.9 <= np.mean(covered) <= 0.99


def test_a_win_share_is_printed_with_its_bound_and_never_as_a_preference_rate(pairs: StudyResult) -> None:
    text = "\n".join(report_lines(pairs))
    for question in pairs.questions:
        assert sum(method.share.estimate for method in question.methods) == pytest.approx(1)
        assert all(method.share_bound == pytest.approx(0.5, abs=0.02) for method in question.methods)
        assert sum(method.luce_share.estimate for method in question.methods) == pytest.approx(1)
    assert "win share %, of at most" in text
    assert "Luce share: how often a method would be chosen of all" in text
    assert "told apart" in text


def test_ranks_leave_open_what_the_votes_leave_open() -> None:
    equal = study("pair", Population((0.0, 0.0, 0.0, -2.0)), raters=20)
    for question in equal.questions:
        assert {method.rank for method in question.methods[:3]} == {"1-3"}
        assert question.methods[-1].rank == "4"
        assert sum(method.first for method in question.methods) == pytest.approx(1)


def test_two_runs_over_the_same_votes_are_equal(pairs: StudyResult) -> None:
    assert to_json(analyse(pairs.ballots)) == to_json(pairs)


def test_clickers_and_the_careless_are_excluded_by_rule_and_both_analyses_shown() -> None:
    protocol = make_protocol(cases=24, trials=24, gold=6, votes_per_cell=4)
    honest = collect(protocol, 20, Population(TRUTH))

    def spoil(vote: Vote) -> Vote:
        if vote.rater == "rater-001":  # always the left one
            return vote.model_copy(update={"choice": 0})
        if vote.rater == "rater-002":  # before the clip can have ended
            return vote.model_copy(update={"response_ms": 300})
        if vote.rater == "rater-003" and vote.role == "gold":
            return vote.model_copy(update={"choice": vote.order.index("1")})
        return vote

    result = analyse(ballots(protocol, rechain([spoil(vote) for vote in honest]), rater_004="withdrawn"))
    reasons = {person.rater: "; ".join(person.excluded) for person in result.excluded}
    assert reasons["rater-001"].startswith(("gold trials", "one side")) and "one side" in reasons["rater-001"]
    assert "too fast" in reasons["rater-002"]
    assert "gold trials: 0 of 6 right" in reasons["rater-003"]
    assert reasons["rater-004"] == "withdrawn"
    assert len(reasons) <= 6
    kept, everyone = result.questions[0], result.everyone[0]
    voted = {vote.rater for vote in honest if (vote.role, vote.question) == ("main", everyone.question)}
    assert everyone.raters == len(voted - {"rater-004"}), "whoever withdraws was promised to be in no analysis"
    assert everyone.raters - kept.raters == len(reasons) - 1
    assert everyone.votes > kept.votes
    text = "\n".join(report_lines(result))
    assert "rater-002 excluded: too fast" in text
    assert "Incomplete: " in text
    assert len(to_json(result)["raters"]) == 20


def test_identical_videos_show_a_side_and_are_reported() -> None:
    protocol = make_protocol(cases=24, trials=12, identical=2, votes_per_cell=4)
    votes = collect(protocol, 12, Population(TRUTH))
    same = [vote for vote in votes if vote.role == "identical"]
    assert {vote.choice for vote in same} == {0, 1, "tie"}

    def spoil(vote: Vote) -> Vote:
        if vote.rater == "rater-001" and vote.role == "identical":
            return vote.model_copy(update={"choice": 0})
        return vote.model_copy(update={"choice": "tie"}) if vote.role == "identical" else vote

    result = analyse(ballots(protocol, rechain([spoil(vote) for vote in votes])))
    (flagged,) = (person for person in result.people if "identical" in "; ".join(person.flags))
    assert flagged.rater == "rater-001"
    assert flagged.identical == (0, 4, 0)
    assert flagged.flags == ("identical videos: told apart 4 times, always for the left",)
    text = "\n".join(report_lines(result))
    count = len(same)
    assert f"identical videos: no difference said {count - 4} of {count} times; else 4 for the left, 0" in text
    # They are about no method: no estimate moves.
    without = analyse(ballots(protocol, rechain([vote for vote in votes if vote.role != "identical"])))
    assert without.questions == result.questions


def test_categories_have_shares_of_their_own(pairs: StudyResult) -> None:
    for question in pairs.questions:
        assert [part.category for part in question.categories] == ["camera", "concept", "motion", "style"]
        assert sum(part.votes for part in question.categories) == question.votes
        for part in question.categories:
            assert [method.name for method in part.methods] == [method.name for method in question.methods]
            assert sum(method.share.estimate for method in part.methods) == pytest.approx(1)
            assert all(method.share.low < method.share.estimate < method.share.high for method in part.methods)
            assert (part.items, part.note) == (6, "")
    assert "Luce share % on" in "\n".join(report_lines(pairs))
    assert to_json(pairs)["questions"][0]["categories"][0]["methods"][0]["share"]["low"] is not None


def test_a_category_is_found_where_a_method_is_stronger() -> None:
    protocol = make_protocol(methods=3, cases=24, trials=24, votes_per_cell=5)
    motion = {case.id for case in protocol.cases if case.category == "motion"}
    weak = code(2)

    def turn(vote: Vote) -> Vote:
        on = vote.role == "main" and vote.case in motion and weak in vote.order and int(vote.assignment, 16) % 5
        return vote.model_copy(update={"choice": vote.order.index(weak)}) if on else vote

    votes = rechain([turn(vote) for vote in collect(protocol, 20, Population((0.8, 0.0, -0.8)))])
    for question in analyse(ballots(protocol, votes)).questions:
        best = {part.category: max(part.methods, key=lambda m: m.share.estimate).name for part in question.categories}
        assert best == {"camera": "method-0", "concept": "method-0", "motion": "method-2", "style": "method-0"}


def test_a_category_with_few_votes_has_no_shares_and_says_so() -> None:
    protocol = make_protocol(methods=3, cases=8, trials=12)
    result = analyse(ballots(protocol, collect(protocol, 2, Population((0.5, 0.0, -0.5)))))
    for part in result.questions[0].categories:
        assert all(method.share is None for method in part.methods)
        assert part.note == "fewer than 10 votes on a method, so no shares"
    assert "Note: camera: fewer than 10 votes on a method, so no shares." in "\n".join(report_lines(result))


def test_agreement_does_not_depend_on_how_methods_are_numbered() -> None:
    protocol = make_protocol(methods=3, cases=24, trials=24, votes_per_cell=5)
    votes = collect(protocol, 15, Population((1.5, 0.0, -1.5), ties=0.1))
    turned = protocol.model_copy(update={"methods": protocol.methods[::-1]})
    for one, other in zip(
        analyse(ballots(protocol, votes)).questions, analyse(ballots(turned, votes)).questions, strict=True
    ):
        # The better method comes first by name, so that much agreement is expected: alpha is near 0.
        assert one.agreement.raw > 0.6 and one.agreement.alpha.alpha < 0.1 and one.agreement.both_ways > 0.2
        assert other.agreement.both_ways == pytest.approx(one.agreement.both_ways)
        assert other.agreement.alpha.alpha == pytest.approx(one.agreement.alpha.alpha)


def test_few_raters_get_estimates_without_intervals_and_the_reason() -> None:
    protocol = make_protocol(methods=3, cases=8, trials=12)
    result = analyse(ballots(protocol, collect(protocol, 3, Population((0.5, 0.0, -0.5)))))
    method = result.questions[0].methods[0]
    assert method.luce_share.low is None
    assert method.rank == "1-3"
    assert "raters give no interval; at least 5 are needed" in "\n".join(report_lines(result))


def test_a_method_that_never_loses_is_regularised_and_said_so() -> None:
    protocol = make_protocol(methods=3, cases=12, trials=18)
    votes = collect(protocol, 10, Population((0.0, 0.0, 0.0)))
    best = code(0)
    won = rechain([v.model_copy(update={"choice": v.order.index(best)}) if best in v.order else v for v in votes])
    question = analyse(ballots(protocol, won)).questions[0]
    assert question.methods[0].name == "method-0"
    assert any(
        note.startswith("regularised; separation (no finite number fits method-0 over") for note in question.notes
    )


def test_trials_that_lack_a_method_give_no_choice_shares_and_say_so() -> None:
    whole = make_protocol(cases=12, methods=3, kind="best_of_n", ties=False, trials=12, gold=0, training=0, repeats=0)
    part = whole.cases[0].model_copy(update={"candidates": dict(list(whole.cases[0].candidates.items())[:2])})
    protocol = whole.model_copy(update={"cases": (part, *whole.cases[1:])})
    section = leaderboard_section(analyse(ballots(protocol, collect(protocol, 10, Population((0.5, 0.0, -0.5))))))
    assert section["statistic"] == "luce_share"


def test_the_leaderboard_section_names_its_evidence(pairs: StudyResult, tmp_path: Path) -> None:
    section = leaderboard_section(pairs)
    assert section["statistic"] == "luce_share"
    assert section["votes_sha256"] == pairs.ballots.votes[-1].hash
    assert section["protocol_sha256"] == pairs.protocol.sha256
    assert {row["method"] for row in section["rows"]} == {f"method-{m}" for m in range(4)}
    assert all(row["low"] < row["value"] < row["high"] for row in section["rows"])
    assert len(section["rows"]) == 8
    read = Study.model_validate_json(json.dumps(section))
    assert [question for question, _ in read.questions()] == ["semantic", "overall"], "what the board puts on its site"


VOTES = Path(__file__).parents[1] / "data" / "votes"


def imported(name: str) -> tuple[QuestionResult, str]:
    terms, votes = from_fastchat(VOTES / name)
    (question,) = analyse_votes(terms, votes)
    return question, "\n".join(question_lines("pair", question, question))


def test_one_who_never_loses_on_one_side_is_not_known_without_doubt() -> None:
    """46 of 48, 24 of 24 on the left: the prior's 96.5 %, and no less than 46 of 48 leaves open (exact binomial)."""
    question, text = imported("separated.jsonl")
    (duel,) = question.pairs
    assert (duel.a, duel.wins, duel.losses) == ("A", 46, 2)
    assert duel.win_probability.estimate == pytest.approx(0.965, abs=5e-4)
    assert duel.win_probability.low is not None and duel.win_probability.high is not None
    assert 0.7 < duel.win_probability.low <= 0.857 and duel.win_probability.high >= 0.995
    assert duel.certain and duel.p is not None and duel.p < 0.05
    assert question.side is not None and question.side.low is None
    assert "Note: regularised; separation (no finite number fits A over B, the advantage of a side;" in text
    shares = {method.name: method.luce_share for method in question.methods}
    assert shares["A"].low == duel.win_probability.low


@pytest.mark.parametrize("times", [1, 30])
def test_nothing_is_said_across_pieces_however_many_votes_there_are(times: int) -> None:
    terms, votes = from_fastchat(VOTES / "two-pieces.jsonl")
    many = [
        vote.model_copy(update={"rater": f"{vote.rater}-{k}", "case": f"{vote.case}-{k}"})
        for k in range(times)
        for vote in votes
    ]
    (question,) = analyse_votes(terms, many)
    text = "\n".join(question_lines("pair", question, question))
    assert question.pieces == (("A", "B"), ("X", "Y"))
    assert [(duel.a, duel.b) for duel in question.pairs] == [("A", "B"), ("X", "Y")]
    assert {method.rank.partition(" of ")[2] for method in question.methods} == {"{A, B}", "{X, Y}"}
    assert "Note: the comparisons fall into {A, B}, {X, Y}: nothing is known, ranked or compared across" in text
    # X was always shown left: its 58 of 100 contain whatever that is worth.
    assert "{X, Y}: no pair was shown both ways round" in text
    assert question.pairs[1].win_probability.estimate == pytest.approx(0.58, abs=1e-6)
    # What the other piece does changes nothing in this one.
    codes = [code for code, name in terms.names.items() if name in "AB"]
    (alone,) = analyse_votes(
        replace(terms, names={code: terms.names[code] for code in codes}),
        [vote for vote in many if vote.order[0] in codes],
    )
    assert alone.pairs[0] == question.pairs[0]


def test_alpha_is_krippendorffs_and_the_order_of_items_does_not_matter() -> None:
    package = pytest.importorskip("krippendorff")
    terms, votes = from_fastchat(VOTES / "separated.jsonl")
    (question,) = analyse_votes(terms, votes)
    table: dict[str, dict[str, float]] = {}
    for vote in votes:
        first = "A" if vote.choice == "tie" else terms.names[vote.order[int(vote.choice)]]
        table.setdefault(vote.rater, {})[vote.case] = 0.0 if vote.choice == "tie" else 1.0 if first == "A" else -1.0
    cases = sorted({vote.case for vote in votes})
    grid = [[row.get(case, np.nan) for case in cases] for row in table.values()]
    assert question.agreement.alpha.alpha == pytest.approx(package.alpha(grid, level_of_measurement="interval"))
    renamed = [vote.model_copy(update={"case": vote.case[::-1]}) for vote in reversed(votes)]
    (other,) = analyse_votes(terms, renamed)
    assert other.agreement.alpha.alpha == pytest.approx(question.agreement.alpha.alpha)


def test_a_file_with_fixed_sides_says_that_side_and_strength_are_one() -> None:
    terms, votes = from_fastchat(VOTES / "separated.jsonl")
    names = {name: code for code, name in terms.names.items()}
    fixed = [vote for vote in votes if vote.order[0] == names["B"]]
    (question,) = analyse_votes(terms, fixed)
    assert any("cannot be told from strength" in note for note in question.notes)
    assert question.side is None
