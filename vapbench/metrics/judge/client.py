"""A chat endpoint that speaks OpenAI's protocol: one question, one answer, whatever happens on the way."""

from __future__ import annotations

import ipaddress
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from vapbench.errors import ErrorKind, UsageError, VapbenchError
from vapbench.files.download import bypass_proxy_locally, proxy_note
from vapbench.files.parsing import parse_json
from vapbench.metrics.base import CallBudget
from vapbench.metrics.judge.answer import MalformedAnswer, beginning

LOCAL = "local"
_ATTEMPTS = 6
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_LONGEST_DEMAND = 300.0
_LARGEST_ANSWER = 1 << 20
_TOO_MANY = 429
_SHORTEST_SECRET = 8
"""A shorter key, such as the ``EMPTY`` a local server is content with, is no secret, and may be part of any word."""
_NO_HEADERS: Mapping[str, str] = {}


class JudgeUnreachable(VapbenchError):
    """The endpoint refused, or gave no answer after every attempt."""

    kind = ErrorKind.UNREACHABLE


@dataclass(frozen=True)
class Reply:
    """What an endpoint sent back."""

    text: str
    model: str
    """The model that answered, as the endpoint calls it; often more exact than the one asked for."""
    tokens_in: int | None
    """As the endpoint counted; None where it did not say, or said no number of tokens."""
    tokens_out: int | None


class Pace:
    """Keeps all threads of a command together below the rate an endpoint allows."""

    def __init__(self, per_minute: float | None = None) -> None:
        """Allow ``per_minute`` requests, evenly spaced; None: no limit."""
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = Lock()

    def wait(self) -> None:
        """Sleep until the next request may be sent."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap
        time.sleep(max(0.0, turn - now))

    def hold(self, seconds: float) -> None:
        """Send nothing for so long: the endpoint asked for it."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class ChatClient:
    """Asks an endpoint, from any thread.

    Refusals for haste (429), failures of the server (5xx), timeouts and broken connections are tried again, up to six
    times in all, after what ``Retry-After`` says or else after 1, 2, 4, … seconds. Redirects are not followed: the key
    goes to the host it was meant for and to no other.
    """

    def __init__(self, base_url: str, key: str, timeout: float, pace: Pace, budget: CallBudget) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            base_url: what ``/chat/completions`` is appended to; see :func:`check_url`.
            key: sent as a bearer token; empty for none.
            timeout: seconds for one answer, from request to last byte.
            pace: shared with whoever else asks this endpoint.
            budget: where attempts after the first are taken from.
        """
        import httpx

        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._host = urlsplit(base_url).hostname or ""
        self._key = key
        self._timeout = timeout
        self._pace = pace
        self._budget = budget
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        bypass_proxy_locally()
        try:
            self._http = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False)
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise JudgeUnreachable(
                f"{self._host} cannot be asked: {error}{proxy_note(self._url)}", ErrorKind.UNREACHABLE, "base_url"
            ) from error

    def ask(self, payload: Mapping[str, Any]) -> Reply:
        """Send a request that was taken from the budget, and wait for its answer.

        Raises:
            JudgeUnreachable: the endpoint refuses, or every attempt failed; the message says how the last one did.
            BudgetSpent: another attempt is needed and not allowed.
            MalformedAnswer: what came back is no chat completion.
        """
        import httpx

        body = json.dumps(payload).encode()
        problem, status, headers = "", 0, _NO_HEADERS
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._before_another(attempt, status, headers)
            self._pace.wait()
            status, headers = 0, _NO_HEADERS
            try:
                status, headers, text = self._send(body)
            except (httpx.TransportError, TimeoutError) as error:
                problem = f"{type(error).__name__}: {error}"
                continue
            if status == 200:
                return _reply(text)
            problem = f"HTTP {status}: {beginning(text, quoted=False)}"
            if status != _TOO_MANY and status < 500:
                raise JudgeUnreachable(
                    f"{self._host} answered {problem}. {_advice(status)}".rstrip(), ErrorKind.UNREACHABLE, "status"
                )
        said = f"{self._host} gave no answer in {_ATTEMPTS} attempts; the last: {problem}"
        raise JudgeUnreachable(said + proxy_note(self._url), ErrorKind.UNREACHABLE, "attempts")

    def _send(self, body: bytes) -> tuple[int, Mapping[str, str], str]:
        deadline = time.monotonic() + self._timeout
        content = bytearray()
        with self._http.stream(
            "POST", self._url, content=body, headers={"Content-Type": "application/json"}
        ) as response:
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > _LARGEST_ANSWER:
                    raise MalformedAnswer(
                        f"{self._host} sent more than {_LARGEST_ANSWER >> 20} MB for one answer",
                        ErrorKind.LIMIT,
                        "answer",
                    )
                # The timeout of the library is one per read; a trickle would never reach it.
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no whole answer in {self._timeout:g} s")
            # Here, before anything is cut: half a key would not be found.
            return response.status_code, response.headers, self._without_key(content.decode("utf-8", "replace"))

    def _before_another(self, attempt: int, status: int, headers: Mapping[str, str]) -> None:
        asked = _retry_after(headers.get("retry-after", ""))
        if asked is not None and asked > _LONGEST_DEMAND:
            raise JudgeUnreachable(
                f"{self._host} answered HTTP {status} and asks to wait {asked:.0f} s: its quota seems used up. "
                "Run the same command with --refresh failed when it is there again.",
                ErrorKind.LIMIT,
                "retry_after",
            )
        if status != _TOO_MANY:
            # A request refused for haste was not worked on; any other may have been, and paid for.
            self._budget.take()
        backoff = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1)) * random.uniform(0.5, 1)
        seconds = backoff if asked is None else asked
        if asked is not None or status == _TOO_MANY:
            self._pace.hold(seconds)
        time.sleep(seconds)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if len(self._key) >= _SHORTEST_SECRET else text


def check_url(url: str) -> str:
    """Return an endpoint's address, which may appear in messages: it can hold no secret.

    Raises:
        UsageError: it is no http(s) address, or has a user, a password, a query or a fragment.
    """
    # First, so that no other message repeats a secret.
    if any(mark in url for mark in "@?#"):
        raise UsageError(
            "base_url holds a user, a password, a query or a fragment; give the plain address, "
            "and the key in an environment variable (key_env=NAME).",
            ErrorKind.INVALID,
            "base_url",
        )
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"base_url={url}: expected an address such as https://host/v1.", ErrorKind.INVALID, "base_url")
    return url


def host_of(url: str) -> str:
    """What a column says of an endpoint: its host, or ``local`` for this machine and private networks."""
    host = (urlsplit(url).hostname or "").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return LOCAL if host == "localhost" or host.endswith((".localhost", ".local", ".internal")) else host
    return LOCAL if address.is_private or address.is_loopback else host


def check_key(key: str, name: str, url: str) -> str:
    """Return a key that can be sent to ``url``, without surrounding blanks.

    Raises:
        UsageError: it holds characters no header takes, or would travel unencrypted to somebody else's machine.
    """
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            f"${name} holds a blank, a line break or another character that no key has; set it again.",
            ErrorKind.INVALID,
            "key_env",
        )
    if key and urlsplit(url).scheme == "http" and host_of(url) != LOCAL:
        raise UsageError(
            f"{url} is not encrypted and would carry the key of ${name} in the clear; use https.",
            ErrorKind.CONFLICT,
            "base_url",
        )
    return key


def _reply(text: str) -> Reply:
    try:
        found = parse_json(text)
        message = found["choices"][0]["message"]
        content = message.get("content") or message.get("refusal") or ""
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content)
        usage = found.get("usage") or {}
        counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        tokens = [count if type(count) is int and count >= 0 else None for count in counts]
        if not isinstance(content, str):
            raise TypeError
        return Reply(content, str(found.get("model") or "")[:200], *tokens)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise MalformedAnswer(f"the endpoint sent no chat completion but {beginning(text)}") from None


def _retry_after(text: str) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (a number or a date, RFC 9110 section 10.2.3)."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _advice(status: int) -> str:
    return {
        401: "Check the key: the environment variable that key_env names.",
        403: "The key may not use this model.",
        404: "Check base_url and model.",
        301: "It redirects; give the address it redirects to.",
        308: "It redirects; give the address it redirects to.",
    }.get(status, "")
