"""Checkpoints from the model hub: what is loaded is what the keys of results say."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vapbench.checkpoints.folder import checkpoint_folder, checkpoint_identity, local_folder

FETCHED, NEWER = "a" * 40, "b" * 40


class _Hub(http.server.BaseHTTPRequestHandler):
    """A hub whose ``owner/name`` holds one file, and whose branch ``main`` has moved to a newer commit."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if "/resolve/" in path:
            self._answer(b"{}", {"ETag": '"1"', "X-Repo-Commit": path.split("/")[4]})
        elif "/tree/" in path:
            file = {"type": "file", "path": "model_index.json", "size": 2, "oid": "1"}
            self._answer(json.dumps([file]).encode())
        else:
            self._answer(json.dumps({"id": "owner/name", "sha": NEWER, "siblings": []}).encode())

    do_HEAD = do_GET

    def _answer(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the hub's client keeps ``owner/name``; the hub is a local server."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        file = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", file)
        yield tmp_path / "models--owner--name"
        server.shutdown()


def test_the_commit_that_is_keyed_is_the_one_that_is_loaded(cache: Path) -> None:
    """A branch that moved after it was fetched changes neither, until somebody fetches it anew."""
    (cache / "snapshots" / FETCHED).mkdir(parents=True)
    (cache / "snapshots" / FETCHED / "model_index.json").write_text("{}")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(FETCHED)
    assert checkpoint_identity("owner/name", None)["commit"] == FETCHED
    assert checkpoint_folder("owner/name", None).name == FETCHED
    assert checkpoint_identity("owner/name", None)["commit"] == FETCHED


def test_what_is_not_here_is_fetched_at_the_commit_that_was_told(cache: Path) -> None:
    assert local_folder("owner/name") is None
    assert checkpoint_identity("owner/name", None)["commit"] == NEWER
    folder = checkpoint_folder("owner/name", None)
    assert folder.name == NEWER
    assert (folder / "model_index.json").read_text() == "{}"
    assert local_folder("owner/name") == folder
    assert local_folder("owner/name", "another-branch") is None
    assert checkpoint_identity("owner/name", None)["commit"] == NEWER
