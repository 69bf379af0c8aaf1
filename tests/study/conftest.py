"""Protocols and raters for the study's tests; media are named, never shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from vapbench.files.atomic import canonical_json
from vapbench.study.design.assign import Design
from vapbench.study.design.simulation import simulate_sessions
from vapbench.study.folder import StudyFolder
from vapbench.study.protocol import Check, Consent, Key, KeyedMethod, MediaFacts, Protocol, Question, Session, StudyCase
from vapbench.study.votes import GENESIS, Rater, Vote


def media_id(*what: object) -> str:
    return sha256(repr(what).encode()).hexdigest()[:32]


def code(number: int) -> str:
    return sha256(f"method {number}".encode()).hexdigest()[:8]


def key_of(methods: int) -> Key:
    return Key(methods={code(m): KeyedMethod(name=f"method-{m}") for m in range(methods)})


CATEGORIES = ("concept", "style", "motion", "camera")


def make_protocol(methods: int = 4, cases: int = 12, gold: int = 6, **changes: Any) -> Protocol:
    """A pair study of ``methods`` on ``cases``; ``changes`` go to the protocol, those of ``Session`` to the session."""
    codes = [code(m) for m in range(methods)]
    items = tuple(
        StudyCase(
            id=f"case-{c}",
            condition=f"condition-{c % 6}",
            category=CATEGORIES[c % len(CATEGORIES)],
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
    if changes.get("identical"):
        checks += tuple(
            Check(
                id=f"identical-{question.key}-{n}",
                kind="identical",
                question=question.key,
                condition="condition-0",
                reference=media_id("reference", 0),
                candidates=(media_id("same", n),) * 2,
                expected=None,
            )
            for question in questions
            for n in range(3)
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


@dataclass(frozen=True)
class Population:
    """Simulated raters with a known truth."""

    strength: Sequence[float]
    """Per method, on the log scale."""
    ties: float = 0.5
    side: float = 0.0
    rater_sd: float = 0.3
    item_sd: float = 0.3


def collect(protocol: Protocol, raters: int, population: Population, seed: int = 0) -> list[Vote]:
    """Votes of raters who take turns, through the real assigner, as the log a server would keep.

    Gold is answered right 49 times in 50, a repeat as the first time four times in five.
    """
    random = np.random.default_rng(seed)
    design = Design(protocol)
    tastes = random.normal(0, population.rater_sd, (raters, len(protocol.methods)))
    items = random.normal(0, population.item_sd, (len(protocol.cases), len(protocol.methods)))
    number = {code: n for n, code in enumerate(protocol.methods)}
    item_of = {case.id: n for n, case in enumerate(protocol.cases)}
    votes: list[Vote] = []
    said: dict[tuple[int, str], str | None] = {}
    for rater, history in enumerate(simulate_sessions(design, raters, 0.1, random)):
        for place, trial in enumerate(history):
            if trial.role in ("gold", "training"):
                choice: int | str = trial.order.index("0") if random.random() < 0.98 else trial.order.index("1")
            elif trial.role == "identical":
                choice = "tie" if random.random() < 0.8 else int(random.integers(2))
            elif trial.role == "repeat" and random.random() < 0.8:
                before = said[rater, trial.cell]
                choice = trial.order.index(before) if before else "tie"
            else:
                utility = np.array(population.strength) + tastes[rater] + items[item_of[trial.case]]
                choice = answer(population, utility[[number[code] for code in trial.order]], protocol.ties, random)
                said[rater, trial.cell] = trial.order[choice] if isinstance(choice, int) else None
            votes.append(
                Vote(
                    sequence=len(votes) + 1,
                    assignment=media_id("assignment", rater, place),
                    rater=f"rater-{rater:03}",
                    role=trial.role,
                    cell=trial.cell,
                    case=trial.case,
                    question=trial.question,
                    order=trial.order,
                    choice=choice,
                    response_ms=int(random.integers(4_000, 20_000)),
                    shown_us=1_000_000 * len(votes),
                    stored_us=1_000_000 * len(votes) + 500_000,
                    previous=votes[-1].hash if votes else GENESIS,
                )
            )
    return votes


def answer(population: Population, utility: Any, ties: bool, random: np.random.Generator) -> int | str:
    """Davidson's model for two with ties, Luce's for the rest."""
    if not ties:
        return int(np.argmax(utility + random.gumbel(size=len(utility))))
    left, right = utility[0] + population.side / 2, utility[1] - population.side / 2
    weights = np.exp([left, np.log(population.ties) + (utility[0] + utility[1]) / 2, right])
    return (0, "tie", 1)[int(random.choice(3, p=weights / weights.sum()))]


def rechain(votes: Sequence[Vote]) -> list[Vote]:
    """The same votes as a valid log, after a test has changed some."""
    log: list[Vote] = []
    for vote in votes:
        previous = log[-1].hash if log else GENESIS
        log.append(vote.model_copy(update={"sequence": len(log) + 1, "previous": previous}))
    return log


def write_log(folder: StudyFolder, votes: Sequence[Vote]) -> Path:
    """A database with the two views a server offers."""
    connection = sqlite3.connect(folder.votes_path)
    with connection:
        connection.execute("CREATE TABLE IF NOT EXISTS vote_log (sequence INTEGER PRIMARY KEY, record TEXT, hash TEXT)")
        connection.execute("CREATE TABLE IF NOT EXISTS rater_log (record TEXT)")
        rows = [(vote.sequence, canonical_json(vote.model_dump(mode="json")), vote.hash) for vote in votes]
        connection.executemany("INSERT INTO vote_log VALUES (?, ?, ?)", rows)
        for index, rater in enumerate(dict.fromkeys(vote.rater for vote in votes)):
            record = Rater(rater=rater, index=index, status="finished").model_dump(mode="json")
            connection.execute("INSERT INTO rater_log VALUES (?)", (canonical_json(record),))
    connection.close()
    return folder.votes_path


def write_protocol(path: Path, protocol: Protocol) -> StudyFolder:
    """A study folder without media."""
    folder = StudyFolder(path)
    folder.save(protocol, key_of(len(protocol.methods)))
    return folder
