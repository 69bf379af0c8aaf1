"""What must not lose a vote: kills, locks, full disks; and byte ranges of the videos."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.refusals import refuses
from tests.study.served import Process, Rater, make_study, serving
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder
from vapbench.study.server.database import StorageUnavailable
from vapbench.study.server.media import Unsatisfiable, parse_range
from vapbench.study.server.serve import invite_raters, serve
from vapbench.study.server.service import Service
from vapbench.study.votes import check_chain

RATERS = 6


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return make_study(tmp_path / "study")


def persist(server: dict[str, str], token: str, acknowledged: set[str], done: threading.Event) -> None:
    """A rater who never gives up: goes on with the same link after every death of the server."""
    http = httpx.Client(base_url=server["origin"], timeout=10, verify=False)
    while not done.is_set():
        try:
            if not http.cookies:
                http.get("/join", params={"t": token})
                # What the page asks first: the end may have been reached, and the answer that said so lost.
                if http.get("/api/state").raise_for_status().json()["stage"] == "consent":
                    http.post("/api/consent", json={"version": "1"}).raise_for_status()
            response = http.post("/api/next", json={"after": None})
            if response.status_code == 204:
                return
            assignment = response.raise_for_status().json()["assignment"]
            time.sleep(random.uniform(0, 0.02))
            http.put(f"/api/votes/{assignment}", json={"choice": 0}).raise_for_status()
            acknowledged.add(assignment)
        except httpx.HTTPError:
            # What was sent may not have arrived: the link is opened again.
            http.cookies.clear()
            time.sleep(0.1)


def kill_and_restart(tmp_path: Path, kills: int) -> tuple[int, int]:
    """Votes that were acknowledged to raters while the server was killed again and again, and votes stored."""
    trials = 12
    folder = make_study(
        tmp_path / "study", cases=trials, trials=trials, training=0, one_question=False, votes_per_cell=RATERS + kills
    )
    process = Process(folder, 0, RATERS + kills)
    server = {"origin": process.origin}
    acknowledged: list[set[str]] = []
    done = threading.Event()
    threads: list[threading.Thread] = []

    def send_rater(token: str) -> None:
        acknowledged.append(set())
        threads.append(threading.Thread(target=persist, args=(server, token, acknowledged[-1], done), daemon=True))
        threads[-1].start()

    tokens = iter([link.partition("t=")[2] for link in process.raters])
    for _ in range(RATERS):
        send_rater(next(tokens))
    try:
        for _ in range(kills):
            time.sleep(random.uniform(0.05, 0.4))
            process.kill()
            process = Process(folder, process.port, 0)
            # Somebody new each time, so that there is always work under way.
            send_rater(next(tokens))
        for thread in threads:
            thread.join(300)
        assert not any(thread.is_alive() for thread in threads), "raters could not finish"
    finally:
        done.set()
        process.stop()
    votes = load_ballots(folder).votes
    stored = [vote.assignment for vote in votes]
    assert set().union(*acknowledged) <= set(stored)
    assert len(stored) == len(set(stored)) == (RATERS + kills) * trials * 2
    check_chain(votes, "votes")
    with closing(sqlite3.connect(folder.votes_path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return sum(map(len, acknowledged)), len(stored)


def test_kills_lose_no_acknowledged_vote_and_store_none_twice(tmp_path: Path) -> None:
    kill_and_restart(tmp_path, kills=3)


def test_a_rater_whom_a_kill_did_not_let_hear_of_the_end_is_told_again(folder: StudyFolder) -> None:
    with serving(folder) as served:
        served.rater().finish()
        token = served.links.raters[0].partition("t=")[2]
        again = threading.Thread(target=persist, args=({"origin": served.origin}, token, set(), threading.Event()))
        again.daemon = True
        again.start()
        again.join(20)
        assert not again.is_alive()


@pytest.mark.slow
def test_fifty_kills_lose_no_acknowledged_vote_and_store_none_twice(tmp_path: Path) -> None:
    kill_and_restart(tmp_path, kills=50)


def test_a_locked_database_acknowledges_nothing_and_recovers(folder: StudyFolder) -> None:
    with serving(folder) as served:
        rater = served.rater()
        trial = rater.next()
        assert trial is not None
        with closing(sqlite3.connect(folder.votes_path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = rater.vote(trial["assignment"])
            ready = rater.http.get("/readyz").status_code
            seen = rater.http.get("/readyz", headers={"accept": "text/html,*/*"})
            alive = rater.http.get("/healthz").status_code
            other.execute("ROLLBACK")
        assert (refused.status_code, ready, alive) == (503, 503, 200)
        assert seen.status_code == 503 and "<h1>One moment, please</h1>" in seen.text, "people get a page"
        assert int(refused.headers["retry-after"]) > 0
        assert len(load_ballots(folder).votes) == 0
        assert rater.vote(trial["assignment"]).status_code == 201
        assert rater.http.get("/readyz").status_code == 200
        rater.finish()
        counted = served.service.store.coverage.taken.copy()
        served.service.store.recount(served.service.reader)
        assert (served.service.store.coverage.taken == counted).all()


def test_a_full_database_acknowledges_nothing_and_recovers(folder: StudyFolder) -> None:
    """SQLite refuses to grow: what it does on a full disk, on any machine."""
    with serving(folder) as served:
        rater = served.rater()
        trial = rater.next()
        assert trial is not None
        database = served.service.database
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        code, sent = 201, 0
        while code == 201 and sent < 200:
            # Other raters fill what is left of the last pages.
            response = rater.vote(trial["assignment"], comment="x" * 1900, client={"stalls": sent})
            code, sent = response.status_code, sent + 1
            if code == 201 and (trial := rater.next()) is None:
                pytest.skip("the study ended before the database was full")
        stored = len(load_ballots(folder).votes)
        assert code == 503 and "retry-after" in response.headers
        database.execute("PRAGMA max_page_count = 1000000")
        assert len(load_ballots(folder).votes) == stored
        rater.finish()


def test_a_commit_that_fails_takes_its_whole_batch_and_is_forgotten(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study", training=0)

    def fail(database: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async def together(service: Service) -> list[object]:
        begun = threading.Event()
        busy = asyncio.ensure_future(service.write(lambda database: (begun.set(), time.sleep(0.2))[1]))
        await asyncio.to_thread(begun.wait, 120)
        # Both wait for the first, so they share a transaction.
        jobs = (busy, service.write(lambda database: service.store.hand_out(database, rater)), service.write(fail))
        return list(await asyncio.gather(*jobs, return_exceptions=True))

    with serving(folder) as served:
        served.rater().http.close()
        service = served.service
        rater = service.reader.execute("SELECT id FROM rater WHERE place = 0").fetchone()[0]
        done, handed, failed = asyncio.run(together(service))
        assert done is None
        assert isinstance(handed, StorageUnavailable) and isinstance(failed, StorageUnavailable)
        assert service.reader.execute("SELECT count(*) FROM assignment").fetchone()[0] == 0
        asyncio.run(service.write(lambda database: None))
        assert service.store.coverage.taken.sum() == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a file system is not allowed here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_acknowledges_nothing_and_recovers(small_disk: Path) -> None:
    folder = make_study(small_disk / "study", cases=2, trials=2)
    with serving(folder) as served:
        rater = served.rater()
        trial = rater.next()
        assert trial is not None
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file, pytest.raises(OSError, match="No space left"):
            while True:
                os.write(file.fileno(), b"x" * 4096)
        refused = rater.vote(trial["assignment"], comment="x" * 2_000)
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
        ballast.unlink()
        assert rater.vote(trial["assignment"], comment="x" * 2_000).status_code == 201
        rater.finish()
    assert len(load_ballots(folder).votes) == 3


def test_votes_are_not_carried_in_the_clear(folder: StudyFolder) -> None:
    unsafe: tuple[tuple[dict[str, Any], ErrorKind], ...] = (
        ({"host": "0.0.0.0"}, ErrorKind.MISSING),
        ({"base_url": "http://study.example.org"}, ErrorKind.INVALID),
        ({"base_url": "https://a.org/path"}, ErrorKind.INVALID),
    )
    for options, kind in unsafe:
        with refuses(UsageError, kind, "base_url", "--base-url"):
            serve(folder, lambda _: pytest.fail(), port=0, **options)
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as taken,
        refuses(UsageError, ErrorKind.BUSY, "port", "--port"),
    ):
        serve(folder, lambda _: pytest.fail(), port=taken.getsockname()[1])
    with refuses(UsageError, ErrorKind.MISSING, "votes", "--raters"):
        invite_raters(folder, 1)


def test_who_holds_the_database_is_waited_for_and_then_named(folder: StudyFolder) -> None:
    with serving(folder):
        pass
    with closing(sqlite3.connect(folder.votes_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with refuses(DataError, ErrorKind.BUSY, "votes", str(folder.votes_path), "close whatever holds it"):
            invite_raters(folder, 1)
    assert invite_raters(folder, 1)


def test_more_raters_are_invited_while_the_study_is_served(folder: StudyFolder) -> None:
    process = Process(folder, 0, 0)
    try:
        command = [sys.executable, "-m", "vapbench", "study", "invite", str(folder.path), "-n", "2"]
        links = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert len(links) == 2
        for link in links:
            with httpx.Client(base_url=process.origin, verify=False) as http:
                assert http.get(link).status_code == 303
                http.post("/api/consent", json={"version": "1"})
                Rater(http).finish()
        assert httpx.get(process.admin).status_code == 303
    finally:
        process.stop()
    assert len(load_ballots(folder).votes) == 8


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None), ("bytes=0-9", (0, 9)), ("bytes=90-", (90, 99)), ("bytes=-10", (90, 99)), ("bytes=-200", (0, 99)),
        ("bytes=0-999", (0, 99)), ("bytes=99-99", (99, 99)), ("bytes=5-2", None), ("bytes=0-1,5-6", None),
        ("bytes=-", None), ("lines=0-1", None), ("bytes=a-b", None), ("bytes=" + "9" * 40 + "-", None),
    ],
)  # fmt: skip
def test_ranges_are_read_as_the_standard_says(header: str | None, expected: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=999999999999999999-"])
def test_ranges_beyond_the_end_are_refused(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, 100)


def test_videos_are_sent_whole_or_in_ranges(folder: StudyFolder) -> None:
    with serving(folder) as served:
        rater = served.rater()
        trial = rater.next()
        assert trial is not None
        whole = rater.http.get(trial["reference"])
        size = len(whole.content)
        assert whole.status_code == 200
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["accept-ranges"] == "bytes"
        parts = [rater.http.get(trial["reference"], headers={"range": r}) for r in ("bytes=0-99", "bytes=100-")]
        assert [part.status_code for part in parts] == [206, 206]
        assert b"".join(part.content for part in parts) == whole.content
        assert parts[1].headers["content-range"] == f"bytes 100-{size - 1}/{size}"
        beyond = rater.http.get(trial["reference"], headers={"range": f"bytes={size}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
        head = rater.http.head(trial["reference"])
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
        etags = {rater.http.get(address).headers["etag"] for address in (trial["reference"], *trial["results"])}
        assert len(etags) == 3


def test_many_open_downloads_leak_no_file(folder: StudyFolder) -> None:
    with serving(folder) as served:
        rater = served.rater()
        trial = rater.next()
        assert trial is not None
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(200):
            with rater.http.stream("GET", trial["reference"], headers={"range": "bytes=0-"}):
                pass
        rater.http.close()
        for _ in range(1200):
            time.sleep(0.05)
            if len(list(Path("/proc/self/fd").iterdir())) <= before + 4:
                return
        raise AssertionError("files stay open")
