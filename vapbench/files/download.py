"""Plain HTTP(S) downloads that go on where they broke off (RFC 9110, sections 13.1.5 and 14)."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and the expected total (None where the server does not say)."""

_TIMEOUT = 60.0
_ATTEMPTS = 5
_PIECE = 1 << 20
_RANGE_NOT_SATISFIABLE = 416


def download(
    url: str, partial: Path, progress: Progress | None = None, opener: urllib.request.OpenerDirector | None = None
) -> None:
    """Download ``url`` into ``partial``; what an earlier call left there is completed, not fetched again.

    The server is asked for the rest on the condition that its file is still the one that was begun (``If-Range`` with
    the validator it gave then); otherwise, or where it gave none, the download begins anew. A connection that drops is
    opened again while it brings anything.

    Args:
        url: ``http://`` or ``https://``.
        partial: where the file grows. It is whole if this returns, and kept for the next call if this raises.
        progress: called while bytes arrive.
        opener: what opens the link, as :func:`vapbench.files.public_web.public_opener`; None: whatever it leads to.

    Raises:
        OSError: the server refuses or cannot be reached, or the connection keeps dropping.
    """
    bypass_proxy_locally()
    for attempt in range(1, _ATTEMPTS + 1):
        before = _size(partial)
        try:
            _fetch_rest(url, partial, progress, opener)
        except urllib.error.HTTPError as error:
            if error.code != _RANGE_NOT_SATISFIABLE or not before:
                raise
            discard(partial)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if attempt == _ATTEMPTS or _size(partial) <= before:
                raise OSError(f"{str(error) or type(error).__name__}{proxy_note(url, follows_all=False)}") from error
        else:
            _validator_file(partial).unlink(missing_ok=True)
            return
    raise OSError("the server keeps refusing what it offered")


def discard(partial: Path) -> None:
    """Remove what a download has left."""
    partial.unlink(missing_ok=True)
    _validator_file(partial).unlink(missing_ok=True)


def bypass_proxy_locally() -> None:
    """Let requests to this machine go past the proxies that the environment names."""
    proxies = urllib.request.getproxies_environment()
    kept = [host.strip() for host in proxies.pop("no", "").split(",") if host.strip()]
    if proxies and "*" not in kept:
        hosts = ",".join(dict.fromkeys([*kept, "localhost", "127.0.0.1", "::1"]))
        # Libraries read one or the other.
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = hosts


def proxy_note(url: str, follows_all: bool = True) -> str:
    """Which proxy a request went through, to end a message about its failure; empty for none.

    Args:
        url: what was asked for.
        follows_all: whether the library that asked follows ``ALL_PROXY``, as httpx does and urllib does not.
    """
    asked, proxies = urlsplit(url), urllib.request.getproxies()
    proxy = proxies.get(asked.scheme) or (proxies.get("all") if follows_all else None)
    if not proxy or urllib.request.proxy_bypass(asked.hostname or ""):
        return ""
    # A proxy's address may hold a password.
    shown = proxy.rpartition("@")[2].rpartition("//")[2]
    variable = f"{asked.scheme if proxies.get(asked.scheme) else 'all'}_proxy".upper()
    return f" (through the proxy {shown}, as {variable} says; correct it, or name {asked.hostname} in NO_PROXY)"


def _fetch_rest(
    url: str, partial: Path, progress: Progress | None, opener: urllib.request.OpenerDirector | None
) -> None:
    validator, done = _validator(partial, url), _size(partial)
    headers = {"User-Agent": "vapbench", "Accept-Encoding": "identity"}
    if validator and done:
        headers |= {"Range": f"bytes={done}-", "If-Range": validator}
    request = urllib.request.Request(url, headers=headers)
    opened = opener.open(request, None, _TIMEOUT) if opener else urllib.request.urlopen(request, timeout=_TIMEOUT)
    with opened as response:
        continues = response.status == http.HTTPStatus.PARTIAL_CONTENT and _starts_at(response, done)
        done = done if continues else 0
        announced = response.headers.get("Content-Length")
        total = done + int(announced) if announced else None
        if not continues:
            partial.parent.mkdir(parents=True, exist_ok=True)
            discard(partial)
            _remember(partial, url, response)
        with partial.open("ab") as handle:
            # read1 hands over what has come; read would lose it when the connection drops.
            while piece := response.read1(_PIECE):
                handle.write(piece)
                done += len(piece)
                if progress:
                    progress(done, total)
    if total is not None and done != total:
        raise OSError(f"the connection closed after {done:,} of {total:,} bytes")
    if _size(partial) != done:
        raise OSError("another process is downloading the same file; wait for it")


def _starts_at(response: Any, offset: int) -> bool:
    """Whether a partial answer is the part that was asked for.

    Raises:
        OSError: it is another one, of no use.
    """
    if not str(response.headers.get("Content-Range", "")).startswith(f"bytes {offset}-"):
        raise OSError(f"the server answered with another range than bytes {offset}-")
    return True


def _remember(partial: Path, url: str, response: Any) -> None:
    """Keep what tells whether the server's file is still the same; weak validators do not."""
    tag = str(response.headers.get("ETag") or "")
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    if validator:
        _validator_file(partial).write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")


def _validator(partial: Path, url: str) -> str:
    try:
        kept = json.loads(_validator_file(partial).read_text(encoding="utf-8"))
        return str(kept["validator"]) if kept["url"] == url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _validator_file(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
