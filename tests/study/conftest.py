"""Protocols and raters for the study's tests; media are named, never shown."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from vapbench.study.protocol import Check, Consent, Key, KeyedMethod, MediaFacts, Protocol, Question, Session, StudyCase


def media_id(*what: object) -> str:
    return sha256(repr(what).encode()).hexdigest()[:32]


def code(number: int) -> str:
    return sha256(f"method {number}".encode()).hexdigest()[:8]


def key_of(methods: int) -> Key:
    return Key(methods={code(m): KeyedMethod(name=f"method-{m}") for m in range(methods)})


def make_protocol(methods: int = 4, cases: int = 12, gold: int = 6, **changes: Any) -> Protocol:
    """A pair study of ``methods`` on ``cases``; ``changes`` go to the protocol, those of ``Session`` to the session."""
    codes = [code(m) for m in range(methods)]
    items = tuple(
        StudyCase(
            id=f"case-{c}",
            condition=f"condition-{c % 6}",
            reference=media_id("reference", c),
            candidates={name: media_id("candidate", c, name) for name in codes},
        )
        for c in range(cases)
    )
    questions = (
        Question(key="semantic", wording="Which shows it?"),
        Question(key="overall", wording="Which is better?"),
    )
    checks = tuple(
        Check(
            id=f"{kind}-{question.key}-{n}",
            kind=kind,
            question=question.key,
            condition="condition-0",
            reference=media_id("reference", 0),
            candidates=(media_id("good", n), media_id("bad", n)),
            expected=0,
        )
        for question in questions
        for kind, count in (("gold", gold), ("training", 2))
        for n in range(count)
    )
    shown = [*(case.reference for case in items), *(m for case in items for m in case.candidates.values())]
    shown += [m for check in checks for m in (check.reference, *check.candidates)]
    facts = MediaFacts(sha256="0" * 64, suffix=".mp4", width=64, height=64, frames=16, fps=8, size=1000)
    plan = {"trials": 20, "gold": 3, "repeats": 2, "training": 2}
    plan |= {name: changes.pop(name) for name in list(changes) if name in Session.model_fields}
    fields: dict[str, Any] = {
        "id": "test",
        "title": "Which video?",
        "suite": "mini",
        "kind": "pair",
        "methods": codes,
        "key_sha256": key_of(methods).sha256,
        "cases": changes.pop("items", items),
        "questions": questions,
        "ties": True,
        "votes_per_cell": 3,
        "raters": 20,
        "session": Session.model_validate(plan),
        "checks": checks,
        "consent": Consent(version="1", text="What is kept: Your answers.\nYou can stop: At any time."),
        "media": {name: facts for name in shown},
        "seed": 7,
    }
    return Protocol.model_validate(fields | changes)


@pytest.fixture
def protocol() -> Callable[..., Protocol]:
    return make_protocol
