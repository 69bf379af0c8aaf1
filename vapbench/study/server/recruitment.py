"""Where raters come from and where they go back to: platforms, completion codes, who is paid for what."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import quote

from pydantic import Field, model_validator

from vapbench.study.protocol import Frozen
from vapbench.study.server.records import usable

PlatformName = Literal["link", "prolific", "mturk", "connect", "sona"]
Outcome = Literal["finished", "screened_out", "full", "declined", "technical", "closed"]
"""How a part in a study may end, each with a completion code of its own."""


@dataclass(frozen=True)
class Platform:
    """What a platform puts into the address that it opens, and where it takes people back."""

    participant: str
    """Query parameter with the participant's id."""
    session: str
    """That of one submission; empty: the platform has none."""
    study: str
    """That of the study; empty: none."""
    pattern: str
    """Of participants' ids."""
    query: str
    """What to enter there, with the platform's own placeholders."""
    back: str = ""
    """Address that takes a code; empty: the researcher copies it from the platform."""


PLATFORMS: Mapping[str, Platform] = {
    "prolific": Platform(
        "PROLIFIC_PID", "SESSION_ID", "STUDY_ID", "[0-9a-f]{24}",
        "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}",
        "https://app.prolific.com/submissions/complete?cc={code}",
    ),
    "mturk": Platform(
        "workerId", "assignmentId", "hitId", "[A-Z0-9]{10,32}",
        "workerId=${workerId}&assignmentId=${assignmentId}&hitId=${hitId}",
    ),
    "connect": Platform(
        "participantId", "assignmentId", "projectId", "[A-Za-z0-9-]{8,64}",
        "participantId={participantId}&assignmentId={assignmentId}&projectId={projectId}",
    ),
    "sona": Platform("survey_code", "", "", "[1-9][0-9]{1,6}", "survey_code=%SURVEY_CODE%"),
}  # fmt: skip


class Recruitment(Frozen):
    """The recruitment section of ``study.yaml``; no part of the protocol, as codes are secrets."""

    platform: PlatformName = "link"
    study: str = Field(default="", max_length=64)
    """The platform's id of the study; participants of another are refused. Empty: not checked."""
    codes: dict[Outcome, str] = Field(default_factory=dict)
    """Outcome -> completion code; outcomes without one are told to write or to return the submission."""
    back: str = ""
    """Address that takes people back, with ``{code}`` and ``{participant}``; empty: the platform's own, if any."""

    @model_validator(mode="after")
    def _codes_differ(self) -> Recruitment:
        given = [code for code in self.codes.values() if code]
        if len(set(given)) < len(given):
            raise ValueError("two outcomes have one code, so that nobody could tell them apart")
        if self.back and not self.back.startswith("https://"):
            raise ValueError("back must be an https:// address")
        if strange := set(re.findall(r"{.*?}", self.back)) - {"{code}", "{participant}"}:
            raise ValueError(f"back has {min(strange)}, and only {{code}} and {{participant}} are filled in")
        return self

    @property
    def known(self) -> Platform | None:
        """The platform; None for plain links."""
        return PLATFORMS.get(self.platform)

    def completion(self, outcome: Outcome, own: str, participant: str) -> dict[str, str] | None:
        """What a rater is given at the end: a code and an address that takes it.

        Args:
            outcome: how it ended.
            own: the rater's own code, for plain links.
            participant: the platform's id.
        """
        if self.known is None:
            return {"code": own, "url": ""} if outcome in ("finished", "screened_out", "closed") else None
        code, back = self.codes.get(outcome, ""), self.back or self.known.back
        if not code and not (outcome == "finished" and back and "{code}" not in back):
            return None
        url = back.replace("{code}", quote(code, safe="")).replace("{participant}", quote(participant, safe=""))
        return {"code": code, "url": url}


BY_LINK = Recruitment()


@dataclass(frozen=True)
class Arrival:
    """A platform's parameters of a participant."""

    participant: str
    session: str
    study: str


def arrival(recruitment: Recruitment, query: Mapping[str, str]) -> Arrival | None:
    """Who arrives; None if the address does not name a participant of the platform's."""
    platform = recruitment.known
    if platform is None or platform.participant not in query:
        return None
    session, study = (query.get(name, "") if name else "" for name in (platform.session, platform.study))
    return Arrival(query[platform.participant], session, study)


def fits(recruitment: Recruitment, who: Arrival) -> bool:
    """Whether an arrival looks like one of the platform's, and comes for this study."""
    platform = recruitment.known
    if platform is None or not re.fullmatch(platform.pattern, who.participant) or len(who.session) > 64:
        return False
    return not recruitment.study or who.study == recruitment.study


@dataclass(frozen=True)
class Payment:
    """One participant, as whoever pays needs it."""

    rater: str
    participant: str
    """The platform's id; empty for plain links and for those who withdrew, whose identity was erased."""
    session: str
    """The platform's id of the submission."""
    outcome: str
    decision: str
    """``approve``, ``partial``, ``review``, ``return`` or ``wait``: a suggestion; a person decides."""
    why: str
    code: str
    answers: int
    minutes: float | None
    """From consent to the end."""


def outcome_of(rater: sqlite3.Row, complete: bool, closed: bool) -> str:
    """How a rater's part ended, or ``active``."""
    if rater["status"] == "finished" and not complete:
        return "technical"
    if rater["status"] == "active" and closed and rater["place"] is not None:
        return "closed"
    return str(rater["status"])


def payment(
    recruitment: Recruitment, rater: sqlite3.Row, private: sqlite3.Row | None, outcome: str, own: str, answers: int
) -> Payment:
    """The row of one participant."""
    participant = private["platform_id"] if private else ""
    given = recruitment.completion(_as_outcome(outcome), own, participant) if outcome in get_args(Outcome) else None
    decision, why = _decide(rater, outcome, answers)
    ended, began = rater["ended_us"], rater["consented_us"]
    minutes = round((ended - began) / 6e7, 1) if ended and began else None
    session = private["session_id"] if private else ""
    code = given["code"] if given else ""
    return Payment(rater["id"], participant, session, outcome, decision, why, code, answers, minutes)


def _as_outcome(text: str) -> Outcome:
    return next(known for known in get_args(Outcome) if known == text)


def _decide(rater: sqlite3.Row, outcome: str, answers: int) -> tuple[str, str]:
    doubts = "; ".join(filter(None, (rater["excluded"], rater["broken"])))
    match outcome:
        case "finished":
            return ("review", doubts) if not usable(rater) else ("approve", "")
        case "closed" if not usable(rater):
            return "review", doubts
        case "closed":
            return ("approve", "the study closed meanwhile") if answers else ("partial", "closed before an answer")
        case "screened_out":
            return "partial", "failed the first checks with known answers"
        case "technical":
            return "review", "too many videos could not be loaded"
        case "evicted":
            return "review", doubts
        case "withdrawn":
            return "return", "withdrew; the identity was erased"
        case "declined":
            return "return", "did not consent"
        case _:
            return "wait", "has not finished"
