"""Downloads against a real server that drops connections, changes its file, or knows no ranges."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.metrics import judges
from tests.refusals import refuses
from vapbench.checkpoints import catalogue as weights
from vapbench.checkpoints import fetching
from vapbench.errors import ErrorKind, WeightsError
from vapbench.files.atomic import TEMPORARY
from vapbench.files.download import download
from vapbench.metrics.base import CallBudget
from vapbench.metrics.judge.client import ChatClient, JudgeUnreachable, Pace

CONTENT = bytes(range(256)) * 4000


@dataclass
class Publisher:
    """What the server serves, and what it was asked."""

    content: bytes = CONTENT
    tag: str = '"v1"'
    ranges: bool = True
    drops: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off."""
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    """``Range`` and ``If-Range`` of each request."""
    url: str = ""

    def serve(self) -> type[http.server.BaseHTTPRequestHandler]:
        publisher = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted, condition = self.headers["Range"], self.headers["If-Range"]
                publisher.asked.append((wanted, condition))
                content, start = publisher.content, 0
                if wanted and publisher.ranges and condition == publisher.tag:
                    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                    if start >= len(content):
                        self.send_error(416)
                        return
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                else:
                    self.send_response(200)
                if publisher.tag:
                    self.send_header("ETag", publisher.tag)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                rest = content[start:]
                self.wfile.write(rest[: publisher.drops.pop(0)] if publisher.drops else rest)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Publisher]:
    monkeypatch.setenv("VAPBENCH_WEIGHTS", str(tmp_path / "weights"))
    served = Publisher()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served.serve()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        served.url = f"http://127.0.0.1:{server.server_port}/head.pth"
        entry = replace(weights.CATALOGUE["laion-aesthetic"], source=served.url)
        monkeypatch.setattr(weights, "CATALOGUE", {"laion-aesthetic": entry})
        yield served
        server.shutdown()


def left_over() -> list[str]:
    folder = weights.folders()[0]
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_dropped_connection_is_taken_up_where_it_broke_off(publisher: Publisher) -> None:
    publisher.drops = [300_000, 200_000]
    seen: list[tuple[int, int | None]] = []
    path = fetching.fetch("laion-aesthetic", progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert publisher.asked == [(None, None), ("bytes=300000-", '"v1"'), ("bytes=500000-", '"v1"')]
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert left_over() == [path.name, fetching.LOCK_FILE]


def test_the_next_call_goes_on_and_half_a_file_is_never_used(publisher: Publisher) -> None:
    publisher.drops = [400_000, 0]
    with refuses(WeightsError, ErrorKind.UNREACHABLE, "weights", "400,000 of 1,024,000 bytes"):
        fetching.fetch("laion-aesthetic")
    assert weights.locate("laion-aesthetic") is None
    assert fetching.verify("laion-aesthetic").state == "absent"
    assert all(name.startswith(TEMPORARY) for name in left_over())
    path = fetching.fetch("laion-aesthetic")
    assert path.read_bytes() == CONTENT
    assert publisher.asked[-1] == ("bytes=400000-", '"v1"')
    lock = json.loads((path.parent / fetching.LOCK_FILE).read_text())
    assert lock["laion-aesthetic"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("change", [{"content": CONTENT[::-1], "tag": '"v2"'}, {"ranges": False}, {"tag": ""}])
def test_what_cannot_be_continued_begins_anew(publisher: Publisher, change: dict[str, object]) -> None:
    if change == {"tag": ""}:
        publisher.tag = ""
    publisher.drops = [400_000, 0]
    with refuses(WeightsError, ErrorKind.UNREACHABLE, "weights", "the connection closed"):
        fetching.fetch("laion-aesthetic")
    for name, value in change.items():
        setattr(publisher, name, value)
    # A file that changed in between is not glued to the old one's beginning.
    assert fetching.fetch("laion-aesthetic").read_bytes() == publisher.content


def test_a_continued_file_of_another_hash_is_refused_and_removed(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = replace(weights.CATALOGUE["laion-aesthetic"], sha256_prefix="0123abcd")
    monkeypatch.setattr(weights, "CATALOGUE", {"laion-aesthetic": entry})
    publisher.drops = [300_000]
    with refuses(WeightsError, ErrorKind.CONFLICT, "sha256", "0123abcd"):
        fetching.fetch("laion-aesthetic")
    assert left_over() == []


def test_a_server_that_refuses_the_rest_is_asked_for_the_whole(publisher: Publisher, tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    publisher.drops = [400_000, 0]
    with pytest.raises(OSError, match="the connection closed"):
        download(publisher.url, partial)
    # Cut at the publisher's end while its validator stayed: there is no rest (416).
    publisher.content = CONTENT[:400_000]
    download(publisher.url, partial)
    assert partial.read_bytes() == CONTENT[:400_000]
    assert [name for name, _ in publisher.asked[-2:]] == ["bytes=400000-", None]


DEAD = "127.0.0.1:9"


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request would go to a port where nobody listens; the hub's client asks again without waiting."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv(name, f"http://ada:hidden@{DEAD}")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.setenv("no_proxy", "intranet.example")


def test_this_machine_is_reached_past_a_proxy(publisher: Publisher, dead_proxy: None) -> None:
    assert fetching.fetch("laion-aesthetic").read_bytes() == CONTENT
    assert urllib.request.proxy_bypass("intranet.example"), "what the user excepts stays excepted"
    with judges.Endpoint(usual=judges.says("yes")) as endpoint:
        client = ChatClient(endpoint.url, "", 10, Pace(None), CallBudget(None))
        assert client.ask({"messages": []}).text == "yes"


@pytest.mark.parametrize("source", ["http://elsewhere.example/head.pth", "hf://owner/name/head.pth"])
def test_a_dead_proxy_is_named_without_its_password(
    publisher: Publisher, dead_proxy: None, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    entry = replace(weights.CATALOGUE["laion-aesthetic"], source=source)
    monkeypatch.setattr(weights, "CATALOGUE", {"laion-aesthetic": entry})
    with refuses(WeightsError, ErrorKind.UNREACHABLE, "weights", f"through the proxy {DEAD}") as refused:
        fetching.fetch("laion-aesthetic")
    assert "hidden" not in str(refused.value)
    assert re.search("as HTTPS?_PROXY says; correct it, or name (elsewhere|huggingface)", str(refused.value))


@pytest.mark.parametrize("proxy", ["foo:bar", "http://[::1", "gopher://x"])
def test_a_proxy_that_is_none_ends_in_a_sentence(
    proxy: str, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, dead_proxy: None
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    for source in ("http://elsewhere.example/head.pth", "hf://owner/name/head.pth"):
        entry = replace(weights.CATALOGUE["laion-aesthetic"], source=source)
        monkeypatch.setattr(weights, "CATALOGUE", {"laion-aesthetic": entry})
        with refuses(WeightsError, ErrorKind.UNREACHABLE, "weights", "through the proxy"):
            fetching.fetch("laion-aesthetic")
    with refuses(JudgeUnreachable, ErrorKind.UNREACHABLE, "base_url", "judge.example", "through the proxy"):
        ChatClient("https://judge.example/v1", "", 10, Pace(None), CallBudget(None))
