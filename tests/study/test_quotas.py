"""Quotas count votes that count: whoever withdraws, is screened out or excluded makes room for somebody else."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.study.served import Rater, Served, make_study, serving
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.analysis.quality import conducts, included
from vapbench.study.design.assign import Design
from vapbench.study.folder import StudyFolder
from vapbench.study.protocol import Exclusions
from vapbench.study.server import database as tables
from vapbench.study.server.database import Clock
from vapbench.study.server.payments import payments_of
from vapbench.study.server.recruitment import Recruitment
from vapbench.study.settings import freeze_words, settings_path

ONE = {"votes_per_cell": 1, "raters": 1}
"""A study that one rater fills."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(make_study(tmp_path / "study", **ONE)) as running:
        yield running


def stage(rater: Rater) -> str:
    return str(rater.http.get("/api/state").json()["stage"])


def counted(served: Served) -> int:
    """Main votes that hold a place; what is remembered and what is stored agree."""
    store = served.service.store
    remembered = store.coverage.taken.tolist()
    store.recount(served.service.reader)
    assert store.coverage.taken.tolist() == remembered
    return sum(remembered)


def test_a_study_is_full_when_its_votes_are_there(served: Served) -> None:
    served.rater(0).finish()
    assert stage(served.rater(1, consented=False)) == "full"


def test_whoever_withdraws_makes_room(served: Served) -> None:
    first = served.rater(0)
    first.finish()
    first.http.post("/api/withdraw", json={})
    assert counted(served) == 0
    second = served.rater(1)
    second.finish()
    assert counted(served) == 3
    assert stage(served.rater(2, consented=False)) == "full"


def test_whoever_is_excluded_makes_room_until_that_is_taken_back(served: Served) -> None:
    rater, admin = served.rater(0), served.admin()
    rater.finish()
    me = rater.http.get("/api/state").json()["me"]
    for reason, votes in (("a bot", 0), ("", 3), ("a bot", 0)):
        admin.post("/admin/api/exclusion", json={"rater": me, "reason": reason})
        assert counted(served) == votes
        assert admin.get("/admin/api/summary").json()["coverage"]["filled"] == votes
    served.rater(1).finish()
    assert counted(served) == 3


def test_an_evicted_rater_goes_on_no_more(served: Served) -> None:
    rater, admin = served.rater(0), served.admin()
    trial = rater.next()
    me = rater.http.get("/api/state").json()["me"]
    admin.post("/admin/api/exclusion", json={"rater": me, "reason": "a bot", "evict": True})
    assert trial and rater.vote(trial["assignment"]).json()["error"] == "evicted"
    assert rater.http.post("/api/next", json={"after": None}).json()["error"] == "evicted"
    assert stage(rater) == "evicted" and counted(served) == 0


def test_rules_are_applied_while_the_study_runs(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", **ONE, exclusions=Exclusions())
    with serving(folder) as served:
        served.rater(0).finish()
        # Answered at once: all of it below the time floor.
        assert counted(served) == 0
        row = next(r for r in served.admin().get("/admin/api/summary").json()["raters"]["rows"] if r["votes"])
        assert row["broken"] == "too fast: 3 of 3 votes"
        assert stage(served.rater(1, consented=False)) == "consent"
    ballots = load_ballots(folder)
    assert included(ballots, conducts(ballots)) == ()


def test_whoever_fails_gold_makes_room(tmp_path: Path) -> None:
    with serving(make_study(tmp_path / "study", **ONE, gold=3, trials=9, cases=9, training=0)) as served:
        take_part(served.rater(0), served.service.folder, 0, care=0.0)
        assert counted(served) == 0
        assert stage(served.rater(1, consented=False)) == "consent"


def test_as_many_as_were_planned_may_take_part(tmp_path: Path) -> None:
    with serving(make_study(tmp_path / "study", votes_per_cell=1, raters=3)) as served:
        for number in range(3):
            served.rater(number).finish()
        assert counted(served) == 9
        assert stage(served.rater(3, consented=False)) == "full"


def test_whoever_reads_the_instructions_has_a_place(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.rater(0)
    newcomer = served.rater(1, consented=False)
    assert stage(newcomer) == "busy"
    now = served.service.clock.now()
    monkeypatch.setattr(Clock, "now", lambda self: now + 3_600_000_000)
    assert stage(newcomer) == "consent"


def test_of_many_who_agree_at_once_only_those_needed_get_in(served: Served) -> None:
    people = [served.rater(number, consented=False) for number in range(4)]
    assert {stage(rater) for rater in people} == {"consent"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda rater: rater.http.post("/api/consent", json={"version": "1"}), people))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]
    assert {answer.json()["error"] for answer in answers if answer.status_code == 403} == {"busy"}


def test_an_abandoned_trial_blocks_nobody_for_ever(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = served.rater(0)
    gone.next()
    newcomer = served.rater(1, consented=False)
    assert stage(newcomer) == "busy"
    assert newcomer.http.post("/api/consent", json={"version": "1"}).json()["error"] == "busy"
    now = served.service.clock.now()
    monkeypatch.setattr(Clock, "now", lambda self: now + 3_600_000_000)
    assert stage(newcomer) == "consent"


def test_a_study_that_closes_in_mid_trial_says_so_and_pays(served: Served) -> None:
    rater, other = served.rater(0), served.rater(1, consented=False)
    for _ in range(2):
        trial = rater.next()
        assert trial and rater.vote(trial["assignment"]).status_code == 201
    trial = rater.next()
    served.admin().post("/admin/api/status", json={"status": "closed"})
    assert trial and rater.vote(trial["assignment"]).status_code == 410
    state = rater.http.get("/api/state").json()
    assert state["stage"] == "closed" and len(state["completion"]["code"]) == 8
    assert "completion" not in other.http.get("/api/state").json()


def test_nobody_answers_sooner_than_the_videos_can_be_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(make_study(tmp_path / "study", min_play_fraction=1.0)) as served:
        rater, now = served.rater(0), [served.service.clock.now()]
        monkeypatch.setattr(Clock, "now", lambda self: now[0])
        trial = rater.next()
        assert trial is not None
        ahead = rater.next(after=trial["assignment"])
        refused = rater.vote(trial["assignment"])
        assert refused.status_code == 425 and refused.headers["retry-after"] == "1"
        now[0] += 460_000
        assert rater.vote(trial["assignment"]).status_code == 201
        # What was loaded ahead has not been watched meanwhile.
        assert ahead and rater.vote(ahead["assignment"]).status_code == 425


def test_a_database_of_before_is_brought_up_to_date(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study")
    with serving(folder) as served:
        served.rater(0).finish()
    before = load_ballots(folder)
    with closing(sqlite3.connect(folder.votes_path)) as old:
        _make_first_version(old)
    assert load_ballots(folder).votes == before.votes
    with serving(folder, raters=1) as served:
        assert counted(served) == 3
        served.rater(0).finish()
    after = load_ballots(folder)
    assert after.votes[: len(before.votes)] == before.votes and after.raters[0] == before.raters[0]
    assert len(after.raters) == 2


def _make_first_version(database: sqlite3.Connection) -> None:
    """Take back what later versions added, as a database of version 1 has it."""
    columns = "id, place, status, cohort, consent_version, consented_us, excluded, created_us, platform_hmac"
    first = tables._FIRST
    rater = first[first.index("CREATE TABLE rater (") : first.index("-- Who a rater is elsewhere")]
    view = first[first.index("CREATE VIEW rater_log") :]
    database.executescript(
        f"DROP VIEW rater_log; DROP TABLE allowed; {rater.replace('TABLE rater', 'TABLE rater_1')}"
        f"INSERT INTO rater_1 ({columns}) SELECT {columns} FROM rater; DROP TABLE rater;"
        f"ALTER TABLE rater_1 RENAME TO rater; {view} PRAGMA user_version = 1;"
    )


def take_part(rater: Rater, folder: StudyFolder, number: int, care: float, leave_after: int = 10_000) -> None:
    """Answer to the end, gold right with probability ``care``; withdraw after some answers.

    Which trials come is another matter each time, so gold has a chance of its own: who fails it is always the same.
    """
    chance, gold_chance = random.Random(number), random.Random(f"gold {number}")
    answered = 0
    while True:
        response = rater.http.post("/api/next", json={"after": None})
        if response.status_code != 200:
            return
        assignment = response.json()["assignment"]
        if answered == leave_after:
            rater.http.post("/api/withdraw", json={})
            return
        with closing(sqlite3.connect(folder.votes_path)) as database:
            (text,) = database.execute("SELECT trial FROM assignment WHERE id = ?", (assignment,)).fetchone()
        right = 0 if '"order": ["0", "1"]' in text else 1
        gold = '"role": "gold"' in text
        choice = (right if gold_chance.random() < care else 1 - right) if gold else chance.randrange(2)
        if also := response.json()["also"]:
            assert rater.vote(assignment, choice).status_code == 422, "all that is asked, or nothing"
        beside = {question["key"]: {"choice": chance.randrange(2)} for question in also}
        assert rater.vote(assignment, choice, beside=beside).status_code == 201
        answered += 1


def crowd(raters: int) -> list[dict[str, Any]]:
    """Of ten, two withdraw, one is a bot that tosses coins, one is careless."""
    kinds: list[dict[str, Any]] = [{"care": 0.98}] * 6
    kinds += [{"care": 0.98, "leave_after": 4}, {"care": 0.98, "leave_after": 9}, {"care": 0.5}, {"care": 0.3}]
    return [kinds[number % 10] for number in random.Random(1).sample(range(raters), raters)]


def simulate(folder: StudyFolder, raters: int) -> int:
    """Let a crowd take part at the same time, and replacements until the study is full; how many took part."""
    people = crowd(raters)
    with serving(folder, raters=raters * 3) as served, ThreadPoolExecutor(6) as pool:

        def come(number: int) -> bool:
            rater = served.rater(number, consented=False)
            if stage(rater) != "consent":
                return False
            rater.http.post("/api/consent", json={"version": "1"})
            take_part(rater, folder, number, **people[number % raters])
            return True

        came = sum(pool.map(come, range(raters)))
        number = raters
        while stage(served.rater(number, consented=False)) == "consent":
            came += come(number)
            number += 1
        assert stage(served.rater(number, consented=False)) == "full"
        assert counted(served) == sum(served.service.store.coverage.taken)
    return came


@pytest.mark.parametrize(
    ("raters", "also"),
    [
        (10, ("motion", "looks")),
        pytest.param(40, (), marks=pytest.mark.slow),
        pytest.param(40, ("motion", "looks"), marks=pytest.mark.slow),
    ],
)
def test_every_cell_ends_with_its_usable_votes_whoever_leaves_cheats_or_dreams(
    tmp_path: Path, raters: int, also: tuple[str, ...]
) -> None:
    design: dict[str, Any] = {"cases": raters, "trials": 8, "gold": 5, "training": 0, "votes_per_cell": 5}
    # A session has three gold trials: one that is wrong excludes.
    strict = Exclusions(time_floor=0, gold_trials=3)
    folder = make_study(tmp_path / "study", raters=raters, exclusions=strict, **design)
    if also:
        asked = "".join(f"  {key}: {{wording: Which is it}}\n" for key in also)
        settings_path(folder).write_text(f"exclusions: {strict.model_dump()}\nalso:\n{asked}", encoding="utf-8")
        freeze_words(folder)
    came = simulate(folder, raters)
    ballots = load_ballots(folder)
    people = conducts(ballots)
    votes = Counter(vote.cell for vote in included(ballots, people))
    cells = Design(ballots.protocol).cells
    assert min(votes[cell.id] for cell in cells) >= ballots.protocol.votes_per_cell
    assert {key for vote in included(ballots, people) for key in vote.beside} == set(also)
    assert all(len(vote.beside) == len(also) for vote in ballots.votes)
    # Not many more than were wanted, either.
    assert votes.total() < 1.5 * ballots.protocol.votes_per_cell * len(cells)
    assert raters <= came == len(ballots.raters)
    assert Counter(rater.status for rater in ballots.raters)["withdrawn"] >= raters // 5
    paid = payments_of(folder, Recruitment())
    assert Counter(row.rater for row in paid) == dict.fromkeys((rater.rater for rater in ballots.raters), 1)
    assert {row.decision for row in paid} <= {"approve", "review", "partial", "return"}
    assert all(row.answers for row in paid if row.decision == "approve")
    careless = [person for person in people if any("gold" in why or why == "screened out" for why in person.excluded)]
    assert len(careless) >= raters // 5
