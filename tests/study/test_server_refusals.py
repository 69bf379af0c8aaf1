"""The server, over HTTP: whom it lets in, what nobody may, and what no response gives away."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.study.served import PROLIFIC, Rater, Served, entry_of, everything, first, make_study, serving, stored
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder
from vapbench.study.preregistration import preregistration
from vapbench.study.server.database import Clock
from vapbench.study.server.raters import DAY_US, LINK_DAYS


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return make_study(tmp_path / "study")


@pytest.fixture
def served(folder: StudyFolder) -> Iterator[Served]:
    with serving(folder) as running:
        yield running


def test_a_participant_of_prolific_comes_back_as_the_same_rater_and_leaves_with_its_code(folder: StudyFolder) -> None:
    with serving(folder, raters=0, recruitment=PROLIFIC) as served:
        entry = entry_of(served, "0123456789abcdef01234567")
        for _ in range(2):
            http = httpx.Client(base_url=served.origin, verify=False)
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
        with httpx.Client(verify=False) as http:
            refused = http.get(link)
            assert refused.status_code == 403
            assert "set-cookie" not in refused.headers
    with httpx.Client(base_url=served.origin, verify=False) as nobody:
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
    assert token not in str(everything(folder))


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
