"""The administrator's page: who is where, how far the cells are filled, pause, exclude. Never who wins.

Nothing here reads a vote's choice between methods: before the study is closed not even the administrator can peek.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vapbench.study.server import raters
from vapbench.study.server.closing import Status, change_status
from vapbench.study.server.database import connect
from vapbench.study.server.records import setting
from vapbench.study.server.service import Service
from vapbench.study.server.web import administers, body_of, let_in, noticed, page, service_of

_HOUR_US = 3_600_000_000


class _Study(BaseModel):
    model_config = ConfigDict(extra="forbid")
    status: Status


class _Exclusion(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rater: str = Field(max_length=64)
    reason: str = Field(max_length=500)
    """Empty takes the exclusion back."""
    evict: bool = False
    """Whether the rater may not go on either."""


async def _page(request: Request) -> Response:
    return page("admin.html")


async def _asset(request: Request) -> Response:
    return page(request.url.path.removeprefix("/page/"))


async def _join(request: Request) -> Response:
    service, token = service_of(request), request.query_params.get("t", "")
    if not raters.is_administrator(service.reader, service.clock, token):
        return noticed(request, "link", 403)
    return let_in(request, token, "admin", "/admin")


async def _summary(request: Request) -> Response:
    administers(request)
    return await _summarise(service_of(request))


async def _set_status(request: Request) -> Response:
    administers(request)
    service = service_of(request)
    wanted = await body_of(request, _Study)
    await service.write(lambda database: change_status(database, service.clock, wanted.status))
    return await _summarise(service)


async def _exclude(request: Request) -> Response:
    administers(request)
    service = service_of(request)
    wanted = await body_of(request, _Exclusion)

    def exclude(database: sqlite3.Connection) -> None:
        raters.exclude(database, service.clock, wanted.rater, wanted.reason.strip(), wanted.evict)
        service.store.settle(database, wanted.rater)

    await service.write(exclude)
    return await _summarise(service)


async def _summarise(service: Service) -> Response:
    # Reads every vote: in a thread, so that raters do not wait for it.
    return JSONResponse(await run_in_threadpool(summary, service))


def summary(service: Service) -> dict[str, Any]:
    """What the page shows: counts, times and states, nothing of what was chosen between methods."""
    with closing(connect(service.folder.votes_path)) as database:
        return _summary_of(service, database)


def _summary_of(service: Service, database: sqlite3.Connection) -> dict[str, Any]:
    protocol, now = service.protocol, service.clock.now()
    (stored,) = database.execute("SELECT count(*) FROM vote").fetchone()
    (recent,) = database.execute(
        "SELECT count(*) FROM vote WHERE json_extract(record, '$.stored_us') > ?", (now - _HOUR_US,)
    ).fetchone()
    events = database.execute("SELECT at_us, kind, rater, detail FROM event ORDER BY sequence DESC LIMIT 40").fetchall()
    return {
        "title": protocol.title,
        "status": setting(database, "status"),
        "now_us": now,
        "protocol": protocol.sha256[:12],
        "votes": {"stored": stored, "last_hour": recent},
        "coverage": _coverage(service, database),
        "raters": {"planned": protocol.raters, "rows": _raters(service, database)},
        # A conflict's detail says what was chosen.
        "events": [dict(row) | ({"detail": ""} if row["kind"] == "conflict" else {}) for row in events],
    }


def _coverage(service: Service, database: sqlite3.Connection) -> dict[str, Any]:
    """Votes that count per cell, by question and case; the order of the cells within a case says nothing of methods."""
    design, protocol = service.store.design, service.protocol
    rows = database.execute(
        "SELECT json_extract(trial, '$.cell') AS cell, count(*) AS votes FROM assignment WHERE state = 'voted' "
        "AND counted = 1 AND json_extract(trial, '$.role') = 'main' GROUP BY 1"
    )
    done = {row["cell"]: row["votes"] for row in rows}
    questions = []
    for question in protocol.questions:
        by_case: dict[str, list[int]] = {case.id: [] for case in protocol.cases}
        for cell in design.cells:
            if cell.question == question.key:
                by_case[cell.case].append(done.get(cell.id, 0))
        questions.append({"question": question.wording, "cases": [{"case": c, "cells": v} for c, v in by_case.items()]})
    target = protocol.votes_per_cell * len(design.cells)
    filled = sum(min(votes, protocol.votes_per_cell) for votes in done.values())
    return {"per_cell": protocol.votes_per_cell, "target": target, "filled": filled, "questions": questions}


def _raters(service: Service, database: sqlite3.Connection) -> list[dict[str, Any]]:
    protocol = service.protocol
    answered: Counter[str] = Counter()
    times: dict[str, list[int]] = {}
    last: dict[str, int] = {}
    gold: dict[str, list[bool]] = {}
    for row in database.execute("SELECT record FROM vote ORDER BY sequence"):
        vote = json.loads(row["record"])
        who = vote["rater"]
        answered[who] += 1
        times.setdefault(who, []).append(vote["response_ms"])
        last[who] = vote["stored_us"]
        if vote["role"] == "gold":
            choice, expected = vote["choice"], str(protocol.check(vote["cell"]).expected)
            gold.setdefault(who, []).append(choice != "tie" and vote["order"][choice] == expected)
    listed = []
    for row in database.execute("SELECT * FROM rater ORDER BY place IS NULL, place, created_us"):
        who = row["id"]
        ordered = sorted(times.get(who, []))
        listed.append(
            {
                "rater": who,
                "status": row["status"] if row["place"] is not None else "invited",
                "cohort": row["cohort"],
                "excluded": row["excluded"],
                "broken": row["broken"],
                "votes": answered[who],
                "median_seconds": ordered[len(ordered) // 2] / 1000 if ordered else None,
                "last_us": last.get(who),
                "gold": [sum(gold[who]), len(gold[who])] if who in gold else None,
                "code": raters.completion_code(database, who) if row["status"] == "finished" else "",
            }
        )
    return listed


ROUTES = [
    Route("/admin", _page),
    Route("/admin/join", _join),
    Route("/page/admin.css", _asset),
    Route("/page/admin.js", _asset),
    Route("/admin/api/summary", _summary),
    Route("/admin/api/status", _set_status, methods=["POST"]),
    Route("/admin/api/exclusion", _exclude, methods=["POST"]),
]
