"""The server, over HTTP: what a rater may do, what nobody may, and what no response gives away."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.refusals import refuses
from tests.study.served import Rater, Served, make_study, serving
from vapbench.errors import DataError, ErrorKind, IdentityError
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder
from vapbench.study.preregistration import preregistration
from vapbench.study.server.database import Clock
from vapbench.study.server.raters import DAY_US, LINK_DAYS
from vapbench.study.server.recruitment import Recruitment

PROLIFIC = Recruitment(platform="prolific", codes={"finished": "ABC123"})


def entry_of(served: Served, participant: str, session: str = "x", study: str = "s") -> dict[str, str]:
    """What Prolific's address brings."""
    key = served.links.platform.partition("k=")[2].partition("&")[0]
    return {"k": key, "PROLIFIC_PID": participant, "STUDY_ID": study, "SESSION_ID": session}


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return make_study(tmp_path / "study")


@pytest.fixture
def served(folder: StudyFolder) -> Iterator[Served]:
    with serving(folder) as running:
        yield running


def first(rater: Rater) -> dict[str, Any]:
    trial = rater.next()
    assert trial is not None
    return trial


def stored(folder: StudyFolder) -> int:
    return len(load_ballots(folder).votes)


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
        with httpx.Client(base_url=served.origin, cookies=cookies) as http:
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
        http = httpx.Client(base_url=served.origin)
        participant = "0123456789abcdef01234567"
        entry = entry_of(served, participant)
        assert http.get("/join", params=entry).status_code == 303
        rater = Rater(http)
        http.post("/api/consent", json={"version": "1"})
        assignment = first(rater)["assignment"]
        assert participant in str(_everything(folder))
        assert http.post("/api/withdraw", json={}).status_code == 200
        assert rater.vote(assignment).status_code == 403
        assert http.get("/api/state").json()["stage"] == "withdrawn"
        http.get("/join", params=entry)
        assert http.get("/api/state").json()["stage"] == "withdrawn"
        assert participant not in str(_everything(folder))
        assert load_ballots(folder).raters[0].status == "withdrawn"


def _everything(folder: StudyFolder) -> list[Any]:
    with closing(sqlite3.connect(folder.votes_path)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [row for table in tables for row in database.execute(f"SELECT * FROM {table}")]


def test_a_participant_of_prolific_comes_back_as_the_same_rater_and_leaves_with_its_code(folder: StudyFolder) -> None:
    with serving(folder, raters=0, recruitment=PROLIFIC) as served:
        entry = entry_of(served, "0123456789abcdef01234567")
        for _ in range(2):
            http = httpx.Client(base_url=served.origin)
            assert http.get("/join", params=entry).status_code == 303
            http.post("/api/consent", json={"version": "1"})
        rater = Rater(http)
        rater.finish()
        done = http.get("/api/state").json()["completion"]
        assert done == {"code": "ABC123", "url": "https://app.prolific.com/submissions/complete?cc=ABC123"}
        assert len(load_ballots(folder).raters) == 1
        for wrong in ("", "x" * 24, "0123456789ABCDEF01234567", "'; DROP TABLE vote; --"):
            assert http.get("/join", params=entry_of(served, wrong)).status_code == 403


def test_links_of_this_study_alone_let_in(tmp_path: Path, served: Served) -> None:
    with serving(make_study(tmp_path / "other", seed=8)) as other:
        foreign = other.links.raters[0].replace(other.origin, served.origin)
    forged = f"{served.origin}/join?t={'A' * 22}"
    for link in (
        foreign,
        forged,
        f"{served.origin}/join?t=",
        f"{served.origin}/join?t=%00' OR 1=1 --",
        served.links.admin.replace("/admin", ""),
    ):
        with httpx.Client() as http:
            refused = http.get(link)
            assert refused.status_code == 403
            assert "set-cookie" not in refused.headers
    with httpx.Client(base_url=served.origin) as nobody:
        for method, path in (
            ("GET", "/api/state"), ("POST", "/api/next"), ("PUT", "/api/votes/x"), ("POST", "/api/withdraw"),
            ("GET", "/m/x/1"), ("GET", "/admin/api/summary"), ("POST", "/admin/api/status"),
        ):  # fmt: skip
            body = None if method == "GET" else {}
            assert nobody.request(method, path, json=body).status_code == 401, path


def test_an_expired_link_no_longer_lets_in(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    rater = served.rater()
    now = served.service.clock.now()
    monkeypatch.setattr(Clock, "now", lambda self: now + (LINK_DAYS + 1) * DAY_US)
    assert httpx.get(served.links.raters[1]).status_code == 403
    assert rater.http.get("/api/state").status_code == 401


def test_tokens_are_kept_as_hashes_and_leave_the_address_bar(folder: StudyFolder, served: Served) -> None:
    token = served.links.raters[0].partition("t=")[2]
    answer = httpx.get(served.links.raters[0])
    assert answer.headers["location"] == "/study"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie
    assert token not in str(_everything(folder))


def test_nobody_votes_on_another_raters_trial_or_sees_it(folder: StudyFolder, served: Served) -> None:
    one, other = served.rater(0), served.rater(1)
    trial = first(one)
    assert other.vote(trial["assignment"]).status_code == 404
    assert other.http.get(trial["reference"]).status_code == 404
    assert other.http.post(f"/api/skip/{trial['assignment']}", json={}).status_code == 404
    assert one.http.get(trial["reference"]).status_code == 200
    assert stored(folder) == 0


@pytest.mark.parametrize(
    "body",
    [
        {}, {"choice": 2}, {"choice": -1}, {"choice": "both"}, {"choice": None}, {"choice": 0.5}, {"choice": True},
        {"choice": 0, "method": "vap"}, {"choice": 0, "comment": "x" * 2_001}, {"choice": 0, "client": {"stalls": -1}},
        [], "1", {"choice": "1"}, {"choice": 10**400},
    ],
    ids=str,
)  # fmt: skip
def test_answers_that_are_none_are_refused(folder: StudyFolder, served: Served, body: Any) -> None:
    rater = served.rater()
    text = json.dumps(body)
    assignment = first(rater)["assignment"]
    answer = rater.http.put(f"/api/votes/{assignment}", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert stored(folder) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe{}", b'{"choice": NaN}', b'{"choice": 0', b"\xef\xbb\xbf[", b"[" * 60_000,
        b'{"choice":' + b'{"a":' * 9_000 + b"0" + b"}" * 9_001, b'{"choice": 1' + b"0" * 50_000 + b"}",
    ],
    ids=lambda body: body[:16],
)  # fmt: skip
def test_bodies_that_are_no_json_are_refused(folder: StudyFolder, served: Served, body: bytes) -> None:
    rater = served.rater()
    path = f"/api/votes/{first(rater)['assignment']}"
    answer = rater.http.put(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert len(answer.content) < 1_000
    assert stored(folder) == 0


def test_a_tie_is_no_answer_where_none_is_offered(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", ties=False)
    with serving(folder) as served:
        rater = served.rater()
        assert rater.vote(first(rater)["assignment"], "tie").status_code == 422


def test_large_bodies_wrong_types_and_other_sites_are_refused(folder: StudyFolder, served: Served) -> None:
    rater = served.rater()
    path = f"/api/votes/{first(rater)['assignment']}"
    json_type = {"content-type": "application/json"}
    assert rater.http.put(path, content=b"x" * (1 << 20), headers=json_type).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 16384

    assert rater.http.put(path, content=endless(), headers=json_type).status_code == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert rater.http.put(path, content=b'{"choice": 0}', headers={"content-type": kind}).status_code == 415
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert rater.http.put(path, json={"choice": 0}, headers=headers).status_code == 403
    assert rater.http.put(path, json={"choice": 0}, headers={"host": "evil.example"}).status_code == 421
    assert stored(folder) == 0
    assert rater.http.put(path, json={"choice": 0}, headers={"origin": served.origin}).status_code == 201


def test_whoever_hammers_is_slowed_down(served: Served) -> None:
    rater = served.rater()
    codes = Counter(rater.http.post("/api/next", json={"after": None}).status_code for _ in range(90))
    assert codes[429] > 0
    assert codes[200] >= 60


def test_comments_are_kept_as_they_were_written(folder: StudyFolder, served: Served) -> None:
    rater = served.rater()
    comment = '<img src=x onerror=alert(1)> =HYPERLINK("http://evil") \u202e ünïcode 🎬'
    assert rater.vote(first(rater)["assignment"], comment=comment).status_code == 201
    assert load_ballots(folder).votes[0].comment == comment
    surrogate = b'{"choice": 0, "comment": "\\ud800"}'
    path = f"/api/votes/{first(rater)['assignment']}"
    answer = rater.http.put(path, content=surrogate, headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_every_response_is_locked_down(served: Served) -> None:
    rater = served.rater()
    trial = first(rater)
    for path in ("/study", "/page/study.js", "/api/state", trial["reference"], "/nowhere"):
        headers = rater.http.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
    assert rater.http.get("/study").headers["cache-control"] == "no-store"


def test_no_byte_gives_a_method_a_path_or_an_order_away(folder: StudyFolder, served: Served) -> None:
    protocol, rater = served.service.protocol, served.rater()
    seen: list[bytes] = []
    http = rater.http
    http.event_hooks = {"response": [lambda r: seen.append(repr((r.status_code, sorted(r.headers.items()))).encode())]}

    def look(response: httpx.Response) -> httpx.Response:
        seen.append(response.content)
        return response

    for path in ("/", "/study", "/page/study.js", "/page/study.css", "/api/state", "/healthz", "/m/x/1", "/nowhere"):
        look(http.get(path))
    while (trial := rater.next()) is not None:
        look(http.post("/api/next", json={"after": None}))
        for address in (trial["reference"], *trial["results"]):
            look(http.get(address))
        look(rater.vote(trial["assignment"], 0))
        look(rater.vote(trial["assignment"], 1))
    look(http.get("/api/state"))
    key = folder.key(protocol)
    clues = [*protocol.methods, *key.names().values(), *protocol.media, *(case.id for case in protocol.cases)]
    clues += [*(check.id for check in protocol.checks), *(case.condition for case in protocol.cases)]
    clues += [facts.sha256 for facts in protocol.media.values()] + [str(folder.path), ".mp4", "gold", "repeat"]
    clues += [cell.id for cell in served.service.store.design.cells]
    everything = b"\n".join(seen)
    page = b"".join(http.get(f"/page/study.{kind}").content + http.get("/study").content for kind in ("js", "css"))
    for clue in clues:
        if clue.encode() not in page:
            assert clue.encode() not in everything, clue
    assert b"last-modified" not in everything.lower().replace(page.lower(), b"")
    assert b"content-disposition" not in everything.lower()


@pytest.mark.parametrize(
    "slot",
    [
        "0",
        "3",
        "9",
        "-1",
        "01",
        "1.mp4",
        "Reference",
        "..",
        "%2e%2e",
        "..%2f..%2fkey.json",
        "1%00",
        "image",
        "1/2",
    ],
)
def test_media_addresses_lead_nowhere_else(served: Served, slot: str) -> None:
    rater = served.rater()
    assert rater.http.get(f"/m/{first(rater)['assignment']}/{slot}").status_code == 404


@pytest.mark.parametrize("assignment", ["x", "..", "%2e%2e%2f", "..%2f..%2fvotes.db", "%00", "' OR '1'='1"])
def test_assignments_lead_nowhere_else(served: Served, assignment: str) -> None:
    rater = served.rater()
    first(rater)
    assert rater.http.get(f"/m/{assignment}/1").status_code == 404
    assert rater.http.put(f"/api/votes/{assignment}", json={"choice": 0}).status_code == 404


def test_an_answered_trial_no_longer_shows_its_videos(served: Served) -> None:
    rater = served.rater()
    trial = first(rater)
    rater.vote(trial["assignment"])
    assert rater.http.get(trial["results"][0]).status_code == 404


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
        http = httpx.Client(base_url=again.origin)
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


@pytest.mark.parametrize("rule", ["refuse", "mark"])
def test_a_vote_from_too_small_a_window_is_refused_or_marked_by_the_rule(tmp_path: Path, rule: str) -> None:
    folder = make_study(tmp_path / "study", training=0, window=(900, 500), small_window=rule)
    clients: list[dict[str, Any]] = [{}, {"viewport": [1280, 300]}, {"window": [899, 800], "viewport": [1280, 720]}]
    large = {"window": [900, 500], "viewport": [640, 300]}
    with serving(folder) as served:
        for number, client in enumerate(clients):
            rater = served.rater(number)
            trial = rater.next()
            assert trial is not None
            sent = rater.vote(trial["assignment"], client=client)
            assert sent.status_code == (422 if rule == "refuse" else 201), sent.text
            if rule == "refuse":
                assert sent.json()["error"] == "window"
                assert rater.vote(trial["assignment"], client=large).status_code == 201
    votes = load_ballots(folder).votes
    assert [vote.small_window for vote in votes] == [rule == "mark"] * 3
    said = "refused" if rule == "refuse" else "marked, and analysed"
    assert f"below 900 x 500 are {said}." in preregistration(folder.protocol())
