"""The server, over HTTP: what a rater does, from consent to the code at the end."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.study.served import PROLIFIC, Rater, Served, entry_of, everything, first, make_study, serving, stored
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return make_study(tmp_path / "study")


@pytest.fixture
def served(folder: StudyFolder) -> Iterator[Served]:
    with serving(folder) as running:
        yield running


def test_a_rater_finishes_and_the_log_holds_every_answer_once(folder: StudyFolder, served: Served) -> None:
    rater = served.rater()
    rater.finish()
    state = rater.http.get("/api/state").json()
    assert (state["stage"], state["progress"]) == ("finished", {"done": 4, "total": 4})
    assert re.fullmatch("[0-9A-F]{8}", state["completion"]["code"])
    ballots = load_ballots(folder)
    assert [vote.assignment for vote in ballots.votes] == rater.answered
    assert [vote.role for vote in ballots.votes] == ["training", "main", "main", "main"]
    assert ballots.raters[0].status == "finished"


def test_no_code_before_the_votes_are_there(served: Served) -> None:
    rater = served.rater()
    for _ in range(3):
        rater.vote(first(rater)["assignment"])
        assert "completion" not in rater.http.get("/api/state").json()


def test_whoever_only_skips_gets_no_code(served: Served) -> None:
    rater = served.rater()
    while (trial := rater.next()) is not None:
        assert rater.http.post(f"/api/skip/{trial['assignment']}", json={}).status_code == 200
    assert "completion" not in rater.http.get("/api/state").json()


def test_a_skipped_trial_is_given_back(served: Served) -> None:
    rater = served.rater()
    rater.vote(first(rater)["assignment"])
    trial = first(rater)
    before = served.service.store.coverage.taken.sum()
    for _ in range(2):
        rater.http.post(f"/api/skip/{trial['assignment']}", json={})
    assert served.service.store.coverage.taken.sum() == before - 1


def test_asking_again_gives_the_same_trial_to_every_tab(served: Served) -> None:
    one, other = served.rater(), served.rater()
    assert one.next() == other.next()


def test_the_next_trial_can_be_loaded_ahead_but_only_one(served: Served) -> None:
    rater = served.rater()
    here = first(rater)
    ahead = rater.next(after=here["assignment"])
    assert ahead is not None and ahead["assignment"] != here["assignment"]
    assert rater.http.post("/api/next", json={"after": ahead["assignment"]}).status_code == 409
    assert rater.vote(ahead["assignment"]).status_code == 201
    assert rater.next() == here


def same_answer_at_once(served: Served, times: int) -> Counter[int]:
    """Statuses of ``times`` equal answers to one trial, sent together by as many connections."""
    rater = served.rater()
    assignment = first(rater)["assignment"]
    cookies = dict(rater.http.cookies)
    together = threading.Barrier(times)

    def put(_: int) -> int:
        with httpx.Client(base_url=served.origin, cookies=cookies, verify=False) as http:
            together.wait()
            return http.put(f"/api/votes/{assignment}", json={"choice": 1}).status_code

    with ThreadPoolExecutor(times) as pool:
        return Counter(pool.map(put, range(times)))


def test_the_same_answer_twenty_times_at_once_is_one_row(folder: StudyFolder, served: Served) -> None:
    assert same_answer_at_once(served, 20) == {201: 1, 200: 19}
    assert stored(folder) == 1


def test_another_answer_to_the_same_trial_is_refused_and_noted(folder: StudyFolder, served: Served) -> None:
    rater = served.rater()
    assignment = first(rater)["assignment"]
    assert rater.vote(assignment, 0).status_code == 201
    for _ in range(9):
        assert rater.vote(assignment, 1).status_code == 409
    assert [vote.choice for vote in load_ballots(folder).votes] == [0]
    events = served.service.reader.execute("SELECT count(*) FROM event WHERE kind = 'conflict'").fetchone()[0]
    assert 1 <= events <= 5


def test_practice_is_answered_with_feedback_and_nothing_else_is(served: Served) -> None:
    rater = served.rater()
    rights = set()
    trial = first(rater)
    assert trial["training"]
    answer = rater.vote(trial["assignment"], 0).json()
    assert set(answer["feedback"]) == {"right", "text"}
    rights.add(rater.vote(trial["assignment"], 0).json()["feedback"]["right"])
    assert rights == {answer["feedback"]["right"]}
    trial = first(rater)
    assert not trial["training"]
    assert rater.vote(trial["assignment"]).json() == {"stored": True}


def test_whoever_fails_the_first_gold_trials_is_screened_out(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", gold=3, trials=9, cases=9, training=0)
    with serving(folder) as served:
        rater, codes = served.rater(), set()
        for _ in range(20):
            response = rater.http.post("/api/next", json={"after": None})
            if response.status_code != 200:
                break
            trial = response.json()
            record = served.service.reader.execute(
                "SELECT trial FROM assignment WHERE id = ?", (trial["assignment"],)
            ).fetchone()[0]
            # The wrong one on every gold trial.
            wrong = 0 if '"order": ["1", "0"]' in record else 1
            codes.add(rater.vote(trial["assignment"], wrong).status_code)
        assert response.status_code == 403
        assert response.json()["error"] == "screened_out"
        assert rater.http.get("/api/state").json()["stage"] == "screened_out"
        assert codes == {201}


def test_sides_are_balanced(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", cases=6, trials=6, training=0, votes_per_cell=4)
    with serving(folder, raters=4) as served:
        for number in range(4):
            served.rater(number).finish()
    sides = Counter((vote.case, vote.order) for vote in load_ballots(folder).votes)
    assert set(sides.values()) == {2}
    assert len(sides) == 12


def test_consent_comes_first_and_its_version_is_kept(folder: StudyFolder, served: Served) -> None:
    rater = served.rater(consented=False)
    assert rater.http.get("/api/state").json()["stage"] == "consent"
    assert rater.http.post("/api/next", json={"after": None}).json()["error"] == "consent"
    assert rater.http.post("/api/consent", json={"version": "0"}).status_code == 409
    for _ in range(2):
        assert rater.http.post("/api/consent", json={"version": "1"}).status_code == 201
    assert [r.consent_version for r in load_ballots(folder).raters] == ["1"]


def test_withdrawal_is_final_and_erases_the_platform_identity(folder: StudyFolder) -> None:
    with serving(folder, raters=0, recruitment=PROLIFIC) as served:
        http = httpx.Client(base_url=served.origin, verify=False)
        participant = "0123456789abcdef01234567"
        entry = entry_of(served, participant)
        assert http.get("/join", params=entry).status_code == 303
        rater = Rater(http)
        http.post("/api/consent", json={"version": "1"})
        assignment = first(rater)["assignment"]
        assert participant in str(everything(folder))
        assert http.post("/api/withdraw", json={}).status_code == 200
        assert rater.vote(assignment).status_code == 403
        assert http.get("/api/state").json()["stage"] == "withdrawn"
        http.get("/join", params=entry)
        assert http.get("/api/state").json()["stage"] == "withdrawn"
        assert participant not in str(everything(folder))
        assert load_ballots(folder).raters[0].status == "withdrawn"


def test_comments_are_kept_as_they_were_written(folder: StudyFolder, served: Served) -> None:
    rater = served.rater()
    comment = '<img src=x onerror=alert(1)> =HYPERLINK("http://evil") \u202e ünïcode 🎬'
    assert rater.vote(first(rater)["assignment"], comment=comment).status_code == 201
    assert load_ballots(folder).votes[0].comment == comment
    surrogate = b'{"choice": 0, "comment": "\\ud800"}'
    path = f"/api/votes/{first(rater)['assignment']}"
    answer = rater.http.put(path, content=surrogate, headers={"content-type": "application/json"})
    assert answer.status_code == 422
