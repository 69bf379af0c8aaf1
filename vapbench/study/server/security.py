"""What every request and response passes: who may send it, how large it may be, what the browser may do with it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 64 * 1024

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""Sent with every response: no third party, no frame, no inline script or style."""


class Guard:
    """Middleware: refuses foreign hosts, cross-site changes and what is no JSON; bounds bodies; adds the headers."""

    def __init__(self, app: ASGIApp, origins: Iterable[str], framed: bool = False) -> None:
        """Wrap ``app``, which is reached as any of ``origins`` (``https://study.example.org``).

        Args:
            app: what answers.
            origins: its addresses.
            framed: whether its pages may be shown in frames of its own, as a preview does.
        """
        self._app = app
        own = "frame-ancestors 'self'; frame-src 'self'"
        policy = _POLICY.replace("frame-ancestors 'none'", own) if framed else _POLICY
        self._headers = {**HEADERS, "Content-Security-Policy": policy}
        self._origins = frozenset(origins)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is None and scope["method"] not in ("GET", "HEAD"):
            try:
                receive = await _bounded(receive)
            except _TooLarge:
                refusal = _refuse(413, "size", f"A request may have {LARGEST_BODY} bytes.")
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        # A name of somebody else's that resolves to this machine must not reach it.
        if headers.get("host", "") not in self._hosts:
            return _refuse(421, "host", "This study is not reached by that name.")
        if method in ("GET", "HEAD"):
            return None
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins:
            return _refuse(403, "origin", "Requests from other sites are refused.")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _refuse(403, "origin", "Requests from other sites are refused.")
        # A form of another site cannot send this type, and a script of one has to ask first and is not answered.
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _refuse(415, "type", "Send application/json.")
        length = headers.get("content-length", "0")
        # So many digits are refused unread: reading them as a number would fail.
        if not length.isdecimal() or len(length) > 12 or int(length) > LARGEST_BODY:
            return _refuse(413, "size", f"A request may have {LARGEST_BODY} bytes.")
        return None


class _TooLarge(Exception):
    pass


async def _bounded(receive: Receive) -> Receive:
    """Read the whole body, up to the bound, whatever its headers claim; answer with it once."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_BODY:
            raise _TooLarge
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


def _refuse(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status)


@dataclass
class Bucket:
    """How often each rater may change something: a burst, then a steady rate. Forgotten with the process."""

    burst: float = 60
    per_second: float = 4
    _levels: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, who: str) -> bool:
        """Whether ``who`` may go on now."""
        now = time.monotonic()
        level, at = self._levels.get(who, (self.burst, now))
        level = min(self.burst, level + (now - at) * self.per_second)
        self._levels[who] = (level - 1 if level >= 1 else level, now)
        return level >= 1
