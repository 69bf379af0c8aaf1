"""What rater pages and the admin page share: sessions, bodies, errors, the files of the page."""

from __future__ import annotations

import logging
import re
import sqlite3
from html import escape
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ExceptionHandler

from vapbench.study.server import raters
from vapbench.study.server.database import StorageUnavailable
from vapbench.study.server.refused import Refused
from vapbench.study.server.service import Service
from vapbench.study.texts import best_language, page_texts

log = logging.getLogger(__name__)

Body = TypeVar("Body", bound=BaseModel)
_PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_RETRY_SECONDS = 2
_LANGUAGE = "vapbench-language"
_PLACEHOLDER = re.compile(r"\{\{([a-z0-9_.]+)\}\}")


def service_of(request: Request) -> Service:
    """The study that the application serves."""
    service: Service = request.app.state.service
    return service


def page(name: str, status: int = 200) -> Response:
    """A file of the page; ``name`` is the program's own, never a request's."""
    path = _PAGE / name
    return Response(path.read_bytes(), status, media_type=_TYPES[path.suffix])


def language_of(request: Request) -> str:
    """The language a rater reads: chosen on the page, else what the browser asks for."""
    chosen = (request.query_params.get("lang", ""), request.cookies.get(_LANGUAGE, ""))
    accepted = request.headers.get("accept-language", "")[:200].split(",")
    return best_language(service_of(request).protocol, (*filter(None, chosen), *accepted))


def noticed(request: Request, what: str, status: int) -> Response:
    """A page that says one thing in the reader's language: the texts ``<what>.title`` and ``<what>.text``."""
    return spoken(request, "notice.html", status, what)


def spoken(request: Request, name: str, status: int = 200, notice: str = "") -> Response:
    """A page of text in the rater's language, with texts put in as text."""
    language = language_of(request)
    texts = page_texts(service_of(request).protocol, language) | {"lang": language}
    texts |= {f"notice.{part}": texts[f"{notice}.{part}"] for part in ("title", "text") if notice}
    filled = _PLACEHOLDER.sub(lambda found: escape(texts[found[1]]), (_PAGE / name).read_text(encoding="utf-8"))
    response = Response(filled, status, media_type="text/html")
    if "lang" in request.query_params:
        response.set_cookie(_LANGUAGE, language, httponly=True, samesite="lax", secure=service_of(request).secure)
    return response


def let_in(request: Request, token: str, kind: str, where: str) -> Response:
    """Set the session's cookie and lead on to the address without the token."""
    service = service_of(request)
    response = RedirectResponse(where, 303)
    response.set_cookie(
        _cookie(service, kind),
        token,
        max_age=raters.LINK_DAYS * 24 * 3600,
        httponly=True,
        samesite="lax",
        secure=service.secure,
    )
    return response


def rater_here(request: Request) -> sqlite3.Row | None:
    """The rater whose session the browser has; None: no valid one."""
    service = service_of(request)
    return raters.rater_of(service.reader, service.clock, request.cookies.get(_cookie(service, "rater"), ""))


def entered(request: Request) -> sqlite3.Row:
    """The rater whose session this is.

    Raises:
        Refused: there is no valid session.
    """
    rater = rater_here(request)
    if rater is None:
        raise Refused(401, "session", "Please open the study with your personal link.")
    return rater


def administers(request: Request) -> None:
    """Let the administrator pass.

    Raises:
        Refused: anybody else.
    """
    service = service_of(request)
    if not raters.is_administrator(service.reader, service.clock, request.cookies.get(_cookie(service, "admin"), "")):
        raise Refused(401, "session", "Please open this page with the link that vapbench study serve printed.")


async def body_of(request: Request, model: type[Body]) -> Body:
    """The request's JSON body.

    Raises:
        ValidationError: it is not what ``model`` describes.
    """
    return model.model_validate_json(await request.body())


def _cookie(service: Service, kind: str) -> str:
    # The prefix has browsers refuse the cookie unless it came by HTTPS from this very host.
    return f"{'__Host-' if service.secure else ''}vapbench-{kind}-{service.label}"


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {"Retry-After": str(error.retry_seconds)} if error.retry_seconds is not None else None
    return JSONResponse({"error": error.code, "message": error.message}, error.status, headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "body"
    return JSONResponse({"error": "body", "message": f"{where}: {first['msg']}"}, 422)


async def _on_unavailable(request: Request, error: Exception) -> Response:
    log.error("nothing stored: %s. Raters are told to wait; make room, or end what locks votes.db.", error)
    if _read_by_people(request):
        return noticed(request, "storage", 503)
    headers = {"Retry-After": str(_RETRY_SECONDS)}
    return JSONResponse({"error": "storage", "message": "Not stored; please try again."}, 503, headers)


async def _on_nowhere(request: Request, error: Exception) -> Response:
    if _read_by_people(request):
        return noticed(request, "nowhere", 404)
    return JSONResponse({"error": "unknown", "message": "There is no such page."}, 404)


def _read_by_people(request: Request) -> bool:
    """Whether a browser goes to an address, and does not fetch for a page."""
    return "text/html" in request.headers.get("accept", "")


ERRORS: dict[int | type[Exception], ExceptionHandler] = {
    Refused: _on_refused,
    ValidationError: _on_invalid,
    StorageUnavailable: _on_unavailable,
    sqlite3.Error: _on_unavailable,
    404: _on_nowhere,
}
"""Errors that are answers."""
