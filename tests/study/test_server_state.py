"""The server's time and its database: leases, clocks, restarts, and a log that nobody may edit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.refusals import refuses
from tests.study.served import Rater, Served, first, make_study, serving
from vapbench.errors import DataError, ErrorKind, IdentityError
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder
from vapbench.study.server.database import Clock


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return make_study(tmp_path / "study")


@pytest.fixture
def served(folder: StudyFolder) -> Iterator[Served]:
    with serving(folder) as running:
        yield running


def test_a_lease_that_ran_out_is_given_to_others_and_its_vote_still_counts(
    folder: StudyFolder, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = served.rater(0), served.rater(1)
    slow.vote(first(slow)["assignment"])
    trial = first(slow)
    now = served.service.clock.now()
    monkeypatch.setattr(Clock, "now", lambda self: now + 3_600_000_000)
    coverage = served.service.store.coverage
    before = coverage.taken.sum()
    first(quick)
    assert coverage.taken.sum() == before - 1
    assert slow.vote(trial["assignment"]).status_code == 201
    assert coverage.taken.sum() == before
    assert [vote.late for vote in load_ballots(folder).votes] == [False, True]


def test_a_refused_request_gives_no_lease_back(
    folder: StudyFolder, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = served.rater(0), served.rater(1)
    for rater in (slow, quick):
        rater.vote(first(rater)["assignment"])
    first(slow)
    here = first(quick)
    ahead = quick.next(after=here["assignment"])
    assert ahead is not None
    now = served.service.clock.now()
    monkeypatch.setattr(Clock, "now", lambda self: now + 3_600_000_000)
    for _ in range(3):
        assert quick.http.post("/api/next", json={"after": ahead["assignment"]}).status_code == 409
    store = served.service.store
    remembered = store.coverage.taken.copy()
    store.recount(served.service.reader)
    assert remembered.tolist() == store.coverage.taken.tolist()


def test_the_clock_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(last=2_000_000_000_000_000)
    assert clock.now() > 2_000_000_000_000_000
    before = clock.now()
    monkeypatch.setattr("time.time_ns", lambda: 0)
    assert before <= clock.now() < before + 10_000_000
    assert Clock(last=before).now() > before


def test_a_clock_that_jumps_moves_no_vote(folder: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    system = time.time_ns()
    for jump in (0, -86_400, 864_000, 0):
        monkeypatch.setattr("time.time_ns", lambda jump=jump: system + jump * 1_000_000_000)
        with serving(folder) as served:
            rater = served.rater()
            trial = first(rater)
            rater.http.post(f"/api/shown/{trial['assignment']}", json={})
            monkeypatch.setattr("time.time_ns", lambda: system - 10**15)
            assert rater.vote(trial["assignment"]).status_code == 201
    votes = load_ballots(folder).votes
    times = [vote.stored_us for vote in votes]
    assert times == sorted(set(times)) and len(times) == 4
    assert all(0 <= vote.response_ms < 60_000 and not vote.late for vote in votes)


def test_a_server_that_restarts_goes_on_where_it_was(folder: StudyFolder) -> None:
    with serving(folder) as served:
        rater = served.rater()
        rater.vote(first(rater)["assignment"])
        waiting = first(rater)
        link = served.links.raters[0]
        counted = served.service.store.coverage.taken.copy()
    with serving(folder, raters=0) as again:
        http = httpx.Client(base_url=again.origin, verify=False)
        http.get("/join", params={"t": link.partition("t=")[2]})
        assert Rater(http).next() == waiting
        assert (again.service.store.coverage.taken == counted).all()


def test_two_servers_never_share_a_study(folder: StudyFolder, served: Served) -> None:
    with refuses(DataError, ErrorKind.BUSY, "study"), serving(folder):
        pass


def test_an_edited_protocol_or_log_is_refused(folder: StudyFolder) -> None:
    with serving(folder) as served:
        rater = served.rater()
        for _ in range(2):
            rater.vote(first(rater)["assignment"])
    text = folder.protocol_path.read_text()
    folder.protocol_path.write_text(text.replace("Which video?", "Which of the two?"))
    with refuses(IdentityError, ErrorKind.CONFLICT, "protocol.json"), serving(folder):
        pass
    folder.protocol_path.write_text(text)
    with closing(sqlite3.connect(folder.votes_path)) as database:
        for statement in ("UPDATE vote SET record = ''", "DELETE FROM vote", "DELETE FROM event"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(statement)
        database.execute("DROP TRIGGER vote_is_final")
        database.execute("UPDATE vote SET record = replace(record, '\"choice\":0', '\"choice\":1') WHERE sequence = 1")
        database.commit()
    with refuses(DataError, ErrorKind.DAMAGED, "votes", "votes.db", "vote 1"), serving(folder):
        pass


def test_votes_of_another_protocol_are_refused(tmp_path: Path, folder: StudyFolder) -> None:
    with serving(folder):
        pass
    other = make_study(tmp_path / "other", seed=8)
    folder.votes_path.rename(other.votes_path)
    with refuses(IdentityError, ErrorKind.CONFLICT, "protocol"), serving(other):
        pass


def test_a_damaged_database_is_named(folder: StudyFolder) -> None:
    folder.votes_path.write_bytes(b"not a database" * 100)
    with refuses(DataError, ErrorKind.DAMAGED, "votes.db"), serving(folder):
        pass
