"""The web application of a study: what raters' browsers ask for. ``admin`` has the administrator's part."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from vapbench.study.analysis.ballots import CLOSED
from vapbench.study.design.planning import session_minutes
from vapbench.study.protocol import Protocol
from vapbench.study.server import admin, media, raters
from vapbench.study.server.database import StorageUnavailable
from vapbench.study.server.preview import preview_page
from vapbench.study.server.records import note, rater_row, setting
from vapbench.study.server.recruitment import Arrival, Outcome, arrival, fits, outcome_of
from vapbench.study.server.refused import Refused
from vapbench.study.server.security import Guard
from vapbench.study.server.service import Service
from vapbench.study.server.store import open_assignment
from vapbench.study.server.survey import check_answers, words_of
from vapbench.study.server.voting import Answer, Receipt
from vapbench.study.server.web import (
    ERRORS,
    body_of,
    entered,
    language_of,
    let_in,
    noticed,
    page,
    rater_here,
    service_of,
    spoken,
)
from vapbench.study.texts import page_texts, said

_OUTCOMES = {"stored": 201, "repeated": 200, "conflict": 409}


class _Consent(BaseModel):
    model_config = ConfigDict(extra="forbid")
    version: str = Field(max_length=64)


class _Next(BaseModel):
    model_config = ConfigDict(extra="forbid")
    after: str | None = Field(default=None, max_length=64)


class _Closing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    comment: str = Field(min_length=1, max_length=2_000)


class _Answers(BaseModel):
    model_config = ConfigDict(extra="forbid")
    when: Literal["before", "after"]
    answers: dict[str, Annotated[str, Field(max_length=500)]] = Field(max_length=50)


def application(service: Service) -> Starlette:
    """The application for an open study (an entered :class:`Service`)."""
    routes = [
        Route("/", _home),
        Route("/join", _join),
        Route("/study", _study),
        Route("/page/study.css", _asset),
        Route("/page/study.js", _asset),
        Route("/page/questions.js", _asset),
        Route("/page/videos.js", _asset),
        Route("/page/texts", _texts),
        Route("/favicon.ico", _nothing),
        Route("/healthz", _alive),
        Route("/readyz", _ready),
        Route("/m/{assignment}/{slot}", _media, methods=["GET"]),
        Route("/api/state", _state),
        Route("/api/consent", _consent, methods=["POST"]),
        Route("/api/decline", _decline, methods=["POST"]),
        Route("/api/next", _next, methods=["POST"]),
        Route("/api/shown/{assignment}", _shown, methods=["POST"]),
        Route("/api/votes/{assignment}", _vote, methods=["PUT"]),
        Route("/api/skip/{assignment}", _skip, methods=["POST"]),
        Route("/api/closing", _closing, methods=["POST"]),
        Route("/api/answers", _answers, methods=["POST"]),
        Route("/api/withdraw", _withdraw, methods=["POST"]),
        *admin.ROUTES,
        *([Route("/preview", _preview), Route("/page/preview.css", _asset)] if service.preview else []),
    ]
    guard = Middleware(Guard, origins=service.origins, framed=service.preview)
    app = Starlette(routes=routes, middleware=[guard], exception_handlers=ERRORS)
    app.router.redirect_slashes = False
    app.state.service = service
    return app


async def _home(request: Request) -> Response:
    return RedirectResponse("/study", 303)


async def _study(request: Request) -> Response:
    return spoken(request, "index.html")


async def _preview(request: Request) -> Response:
    service = service_of(request)
    return preview_page(service.protocol, service.frozen)


async def _texts(request: Request) -> Response:
    return JSONResponse(page_texts(service_of(request).protocol, language_of(request)))


async def _asset(request: Request) -> Response:
    return page(request.url.path.removeprefix("/page/"))


async def _nothing(request: Request) -> Response:
    return Response(status_code=204)


async def _alive(request: Request) -> Response:
    return JSONResponse({"alive": True})


async def _ready(request: Request) -> Response:
    """Whether a vote would be stored now: an empty transaction is tried."""
    await service_of(request).write(lambda database: setting(database, "status"))
    return JSONResponse({"ready": True})


async def _join(request: Request) -> Response:
    service, query = service_of(request), request.query_params
    who = arrival(service.recruitment, query)
    if who is not None:
        return await _arrive(request, who)
    token = query.get("t", "")
    if raters.rater_of(service.reader, service.clock, token) is None:
        return noticed(request, "link", 403)
    return let_in(request, token, "rater", "/preview" if service.preview else "/study")


async def _arrive(request: Request, who: Arrival) -> Response:
    service, key = service_of(request), request.query_params.get("k", "")
    if not fits(service.recruitment, who) or not raters.may_arrive(service.reader, who.participant, key):
        return noticed(request, "link", 403)
    # Newcomers share one limit; it keeps nobody out who has begun.
    if not service.arrivals.take(who.participant if raters.has_arrived(service.reader, who.participant) else "new"):
        return noticed(request, "crowded", 429)
    platform, here = service.recruitment.platform, rater_here(request)
    try:
        token = await service.write(
            lambda database: raters.arrive(
                database, service.clock, platform, who.participant, who.session, here["id"] if here else ""
            )
        )
    except Refused:
        return noticed(request, "link", 403)
    return let_in(request, token, "rater", "/study")


async def _state(request: Request) -> Response:
    service, rater = service_of(request), entered(request)
    protocol, database, language = service.protocol, service.reader, language_of(request)
    state: dict[str, Any] = {
        "stage": await _stage(service, rater),
        "me": rater["id"],
        "preview": service.preview,
        "answered": raters.surveys_answered(database, rater["id"]),
        "study": {
            **words_of(protocol, language),
            "label": service.label,
            "minutes": max(1, round(session_minutes(protocol))),
            "languages": protocol.languages,
            "window": protocol.window,
            "block": protocol.session.block,
            "training": protocol.session.training > 0,
            "ties": protocol.ties,
            "below": bool(protocol.also) or any(question.steps for question in protocol.questions),
            "both_bad": any(question.both_bad for question in protocol.asked),
            "tags": any(question.tags for question in protocol.asked),
            "play_fraction": protocol.session.min_play_fraction,
        },
    }
    if rater["place"] is not None:
        progress = service.store.progress(database, rater["id"], rater["place"])
        state["progress"] = {"done": progress.voted + progress.skipped, "total": progress.total}
        state["outcome"] = outcome_of(rater, progress.complete, state["stage"] == CLOSED)
    else:
        state["outcome"] = state["stage"]
    if given := _completion(service, rater, state["outcome"]):
        state["completion"] = given
    return JSONResponse(state)


async def _stage(service: Service, rater: sqlite3.Row) -> str:
    if rater["status"] != "active":
        return str(rater["status"])
    status = setting(service.reader, "status")
    if status != "open":
        return status
    if rater["place"] is not None:
        return "trials"
    # Written, not read: a lease that ran out is given back when nobody else is there to do it.
    admission = await service.write(service.store.admission)
    return "consent" if admission == "open" else admission


def _completion(service: Service, rater: sqlite3.Row, outcome: str) -> dict[str, str] | None:
    known: tuple[Outcome, ...] = get_args(Outcome)
    ended = next((name for name in known if name == outcome), None)
    if ended is None or (ended == CLOSED and rater["place"] is None):
        return None
    database = service.reader
    row = database.execute("SELECT platform_id FROM rater_private WHERE rater = ?", (rater["id"],)).fetchone()
    own = raters.completion_code(database, rater["id"])
    return service.recruitment.completion(ended, own, row["platform_id"] if row else "")


async def _consent(request: Request) -> Response:
    service, rater = service_of(request), entered(request)
    given = await body_of(request, _Consent)
    if given.version != service.protocol.consent.version:
        raise Refused(409, "consent", "The consent form has changed; please read it again.")
    stage = await _stage(service, rater)
    if stage not in ("consent", "trials"):
        raise _nobody_new(stage)

    def agree(database: sqlite3.Connection) -> str:
        # Looked at again where nobody comes between: of many at once only as many as are needed get in. Told, not
        # raised: a refusal would undo the leases that ran out in the database alone.
        row = rater_row(database, rater["id"])
        if row["status"] != "active":
            return str(row["status"])
        if row["place"] is None and (admission := service.store.admission(database)) != "open":
            return admission
        raters.consent(database, service.clock, rater["id"], given.version)
        return "trials"

    if (now := await service.write(agree)) != "trials":
        raise _nobody_new(now)
    return JSONResponse({"consented": True}, 201)


def _nobody_new(stage: str) -> Refused:
    return Refused(403, stage, "The study takes nobody new at the moment.")


async def _decline(request: Request) -> Response:
    service, rater = service_of(request), entered(request)
    await service.write(lambda database: raters.decline(database, service.clock, rater["id"]))
    return JSONResponse({"declined": True})


async def _next(request: Request) -> Response:
    service, rater = service_of(request), entered(request)
    asked = await body_of(request, _Next)
    _throttle(service, rater)
    handed = await service.write(lambda database: service.store.hand_out(database, rater["id"], asked.after))
    return Response(status_code=204) if handed is None else JSONResponse(service.describe(handed, language_of(request)))


async def _shown(request: Request) -> Response:
    service, rater, assignment = service_of(request), entered(request), request.path_params["assignment"]
    await service.write(lambda database: service.store.shown(database, rater["id"], assignment))
    return JSONResponse({"shown": True})


async def _vote(request: Request) -> Response:
    service, rater, assignment = service_of(request), entered(request), request.path_params["assignment"]
    answer = await body_of(request, Answer)
    _throttle(service, rater)
    receipt = await service.write(lambda database: service.store.vote(database, rater["id"], assignment, answer))
    return JSONResponse(_answer(receipt, service.protocol, language_of(request)), _OUTCOMES[receipt.outcome])


def _answer(receipt: Receipt, protocol: Protocol, language: str) -> dict[str, Any]:
    if receipt.outcome == "conflict":
        return {"error": "conflict", "message": "Another answer to this trial was stored before; it stands."}
    answer: dict[str, Any] = {"stored": True}
    if receipt.right is not None:
        text = said(protocol, language, f"feedback.{receipt.question}", receipt.feedback)
        answer["feedback"] = {"right": receipt.right, "text": text}
    return answer


async def _skip(request: Request) -> Response:
    service, rater, assignment = service_of(request), entered(request), request.path_params["assignment"]
    await service.write(lambda database: service.store.skip(database, rater["id"], assignment))
    return JSONResponse({"skipped": True})


async def _closing(request: Request) -> Response:
    service, rater = service_of(request), entered(request)
    said = await body_of(request, _Closing)
    _throttle(service, rater)
    await service.write(lambda database: note(database, service.clock, "comment", rater["id"], said.comment))
    return JSONResponse({"stored": True}, 201)


async def _answers(request: Request) -> Response:
    service, rater = service_of(request), entered(request)
    given = await body_of(request, _Answers)
    _throttle(service, rater)
    asked = service.protocol.before if given.when == "before" else service.protocol.after
    checked = check_answers(asked, given.answers)
    await service.write(lambda d: raters.keep_answers(d, service.clock, rater["id"], given.when, checked))
    return JSONResponse({"stored": True}, 201)


async def _withdraw(request: Request) -> Response:
    service, rater = service_of(request), entered(request)

    def leave(database: sqlite3.Connection) -> None:
        raters.withdraw(database, service.clock, rater["id"])
        service.store.settle(database, rater["id"])

    await service.write(leave)
    return JSONResponse({"withdrawn": True})


async def _media(request: Request) -> Response:
    service, rater = service_of(request), entered(request)
    handed = open_assignment(service.reader, rater["id"], request.path_params["assignment"])
    path = service.media_of(handed, request.path_params["slot"]) if handed else None
    if path is None:
        raise Refused(404, "unknown", "There is no such video.")
    try:
        return await media.respond(path, request.url.path, request.headers.get("range"), request.method == "HEAD")
    except OSError as error:
        raise StorageUnavailable(f"{path}: {error.strerror}") from error


def _throttle(service: Service, rater: sqlite3.Row) -> None:
    if not service.bucket.take(rater["id"]):
        raise Refused(429, "pace", "That was faster than anybody can watch; please wait a moment.")
