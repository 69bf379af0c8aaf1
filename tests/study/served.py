"""A small study with real videos, served for real: by a thread for requests, by a process for browsers and kills."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from tests.conftest import moving_clip
from tests.study.conftest import key_of, make_protocol
from vapbench.core.video import pad_video, write_video
from vapbench.files.atomic import file_sha256
from vapbench.study.analysis.ballots import load_ballots
from vapbench.study.folder import StudyFolder
from vapbench.study.protocol import Exclusions, MediaFacts
from vapbench.study.server.app import application
from vapbench.study.server.recruitment import Recruitment
from vapbench.study.server.serve import Links, _links
from vapbench.study.server.service import Service

FRAMES, FPS, WIDTH, HEIGHT = 8, 16.0, 96, 64
DIFFERENT = 7
PROLIFIC = Recruitment(platform="prolific", codes={"finished": "ABC123"})


def make_study(folder: Path, **changes: Any) -> StudyFolder:
    """A planned study: 2 methods, 3 cases, one question, one training trial, no gold; half-second videos.

    Answers may come at once, and none is too fast to count: tests do not watch.
    """
    plan: dict[str, Any] = {"methods": 2, "cases": 3, "gold": 0, "trials": 3, "repeats": 0, "training": 1}
    plan |= {"min_play_fraction": 0.001, "exclusions": Exclusions(time_floor=0)}
    plan |= changes
    draft = make_protocol(**{name: value for name, value in plan.items() if name != "one_question"})
    if plan.get("one_question", True):
        first = draft.questions[0].key
        kept = tuple(check for check in draft.checks if check.question == first)
        draft = draft.model_copy(update={"questions": draft.questions[:1], "checks": kept})
    shown = {m for case in draft.cases for m in (case.reference, *case.candidates.values())}
    shown |= {m for check in draft.checks for m in (check.reference, *check.candidates)}
    paths = {name: folder / "media" / f"{name}.mp4" for name in sorted(shown)}
    media = {}
    (folder / "media").mkdir(parents=True)
    for number, (name, path) in enumerate(paths.items()):
        # Few are encoded; a box that players skip makes each a file of its own.
        mark = sha256(name.encode()).digest()
        path.write_bytes(video_bytes(number % DIFFERENT) + (8 + len(mark)).to_bytes(4, "big") + b"free" + mark)
        media[name] = MediaFacts(
            sha256=file_sha256(path), suffix=".mp4", width=WIDTH, height=HEIGHT, frames=FRAMES, fps=FPS,
            size=path.stat().st_size,
        )  # fmt: skip
    study = StudyFolder(folder)
    study.save(draft.model_copy(update={"media": media}), key_of(len(draft.methods)))
    return study


@cache
def video_bytes(number: int) -> bytes:
    """A short video; all have one size, as planning makes them: sizes that tell methods apart are refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_video(path, moving_clip(number, frames=FRAMES, height=HEIGHT, width=WIDTH, fps=FPS))
        pad_video(path, 16_384)
        return path.read_bytes()


@dataclass
class Served:
    """A study that answers requests in a thread of this process."""

    service: Service
    origin: str
    links: Links

    def rater(self, number: int = 0, consented: bool = True) -> Rater:
        """A rater who has opened a link, and unless told otherwise given consent."""
        # Plain HTTP: to read the certificates of this machine would take longer than the rest.
        rater = Rater(httpx.Client(base_url=self.origin, timeout=60, verify=False))
        assert rater.http.get(self.links.raters[number]).status_code == 303
        if consented:
            version = self.service.protocol.consent.version
            assert rater.http.post("/api/consent", json={"version": version}).status_code == 201
        return rater

    def admin(self) -> httpx.Client:
        """The administrator."""
        client = httpx.Client(base_url=self.origin, timeout=60, verify=False)
        assert client.get(self.links.admin).status_code == 303
        return client


@dataclass
class Rater:
    """What a browser would send, without one."""

    http: httpx.Client
    answered: list[str] = field(default_factory=list)

    def next(self, after: str | None = None) -> dict[str, Any] | None:
        """The trial to answer; None at the end."""
        response = self.http.post("/api/next", json={"after": after})
        if response.status_code == 204:
            return None
        assert response.status_code == 200, response.text
        trial: dict[str, Any] = response.json()
        return trial

    def vote(self, assignment: str, choice: int | str = 0, **more: Any) -> httpx.Response:
        """Send an answer."""
        return self.http.put(f"/api/votes/{assignment}", json={"choice": choice, **more})

    def finish(self) -> None:
        """Answer everything that is left."""
        while (trial := self.next()) is not None:
            while (answer := self.vote(trial["assignment"])).status_code == 425:
                time.sleep(0.1)
            assert answer.status_code == 201
            self.answered.append(trial["assignment"])


@contextlib.contextmanager
def serving(folder: StudyFolder, raters: int = 4, outside: tuple[str, ...] = (), **changes: Any) -> Iterator[Served]:
    """Serve ``folder`` on a free port while the block runs; ``outside``: addresses of a proxy before it."""
    import socket

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Service(folder, (*outside, origin), **changes) as service:
            links = _links(service, raters)
            config = uvicorn.Config(
                application(service), log_level="warning", access_log=False, server_header=False,
                timeout_graceful_shutdown=1,
            )  # fmt: skip
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            while not server.started:
                time.sleep(0.005)
            try:
                yield Served(service, origin, links)
            finally:
                server.should_exit = True
                thread.join()


class Process:
    """``vapbench study serve`` as its user starts it."""

    def __init__(self, folder: StudyFolder, port: int = 0, raters: int | None = None, *more: str) -> None:
        command = [sys.executable, "-m", "vapbench", "study", "serve", str(folder.path), "--port", str(port), *more]
        if raters is not None:
            command += ["--raters", str(raters)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.raters: list[str] = []
        self.admin = ""
        for line in self.process.stdout:
            if match := re.match(r"rater \d+ +(\S+)", line):
                self.raters.append(match.group(1))
            if match := re.match(r"admin +(\S+)", line):
                self.admin = match.group(1)
                break
        if not self.admin:
            raise RuntimeError(self.process.communicate()[1])
        self.origin = self.admin.partition("/admin")[0]

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.origin.rpartition(":")[2])

    def kill(self) -> None:
        """End it at once, as the kernel would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> None:
        """End it as Ctrl-C would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate()


def entry_of(served: Served, participant: str, session: str = "x", study: str = "s") -> dict[str, str]:
    """What Prolific's address brings."""
    key = served.links.platform.partition("k=")[2].partition("&")[0]
    return {"k": key, "PROLIFIC_PID": participant, "STUDY_ID": study, "SESSION_ID": session}


def first(rater: Rater) -> dict[str, Any]:
    """The trial to answer, of which there is one."""
    trial = rater.next()
    assert trial is not None
    return trial


def stored(folder: StudyFolder) -> int:
    """How many votes there are."""
    return len(load_ballots(folder).votes)


def everything(folder: StudyFolder) -> list[Any]:
    """Every row of every table."""
    with contextlib.closing(sqlite3.connect(folder.votes_path)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [row for table in tables for row in database.execute(f"SELECT * FROM {table}")]
