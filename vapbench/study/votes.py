"""Votes: what a rater answered, as an append-only log in which every record holds the hash of the one before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool, StrictInt, StringConstraints, model_validator

from vapbench.core.case import Name
from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import digest
from vapbench.study.protocol import MOST_TAGS, Frozen

GENESIS = "0" * 64
"""``previous`` of the first vote."""
LONGEST_COMMENT = 2_000
_MOST = 2**53
"""Of any number: what every reader of JSON, and a table's 64-bit column, holds exactly."""

TrialRole = Literal["main", "repeat", "gold", "identical", "training"]
CHECK_ROLES: frozenset[TrialRole] = frozenset({"gold", "identical", "training"})
"""Roles of trials that show a check, not an item."""
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Pseudonym = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{4,64}$")]
"""Of a rater: random, and nothing outside the study can be linked with it."""


class Client(Frozen):
    """What the page observed; best effort, claimed by the browser."""

    ADDED: ClassVar[frozenset[str]] = frozenset({"window"})

    milliseconds: int | None = Field(default=None, ge=0, le=_MOST)
    """From first display to the answer, by the browser's own clock."""
    plays: tuple[Annotated[int, Field(ge=0, le=_MOST)], ...] = Field(default=(), max_length=100)
    """Times each clip was played to its end, in presented order."""
    dropped_frames: int | None = Field(default=None, ge=0, le=_MOST)
    stalls: int | None = Field(default=None, ge=0, le=_MOST)
    hidden: int | None = Field(default=None, ge=0, le=_MOST)
    """Times the tab was left."""
    viewport: tuple[Annotated[int, Field(ge=0, le=_MOST)], Annotated[int, Field(ge=0, le=_MOST)]] | None = None
    """Width and height of the page in CSS pixels."""
    window: tuple[Annotated[int, Field(ge=0, le=_MOST)], Annotated[int, Field(ge=0, le=_MOST)]] | None = None
    """Of the browser's whole window, which a study's least size is about: enlarged text does not make it smaller."""
    browser: str = Field(default="", max_length=40)
    """Family only, such as ``firefox``."""


class Given(Frozen):
    """An answer to one question about what was shown."""

    ADDED: ClassVar[frozenset[str]] = frozenset({"grade", "both_bad", "tags"})

    choice: StrictInt | Literal["tie"]
    """Presented position of the chosen one, from 0, or no difference."""
    grade: StrictInt | None = Field(default=None, ge=-3, le=3)
    """How much better: below 0 the left, above it the right; None where no grade was asked for, or both are bad."""
    both_bad: StrictBool = False
    """Whether no difference was said because both are bad."""
    tags: tuple[StrictInt, ...] = Field(default=(), max_length=MOST_TAGS)
    """Numbers of the question's tags that were ticked, ascending."""


class Vote(Given):
    """What was answered on one trial."""

    ADDED: ClassVar[frozenset[str]] = Given.ADDED | {"small_window", "beside"}

    sequence: int = Field(ge=1, le=_MOST)
    """Place in the study's log: 1, 2, 3, …"""
    assignment: str = Field(min_length=1, max_length=64)
    """The trial as it was handed to this rater; with the question, what makes a vote unique."""
    rater: Pseudonym
    role: TrialRole
    cell: str
    """Id of the design cell (main, repeat) or of the check (gold, identical, training)."""
    case: Name
    """The item; for checks their id, so that no check is ever pooled with an item."""
    question: Name
    order: tuple[str, ...] = Field(min_length=2)
    """What was shown from left to right: blind codes; for checks the candidates' indices."""
    beside: dict[Name, Given] = Field(default_factory=dict)
    """Question -> answer, of the questions that were asked beside the trial's own."""
    response_ms: int = Field(ge=0, le=_MOST)
    """From display to answer, by the server's clock."""
    shown_us: int = Field(ge=0, le=_MOST)
    stored_us: int = Field(ge=0, le=_MOST)
    """Microseconds since 1970, UTC."""
    late: bool = False
    """Whether the lease had expired: stored all the same, and analysed."""
    small_window: bool = False
    """Whether the window was smaller than the study asks for, or of no known size; analysed all the same."""
    client: Client = Client()
    comment: str = Field(default="", max_length=LONGEST_COMMENT)
    previous: Hash = GENESIS

    @model_validator(mode="after")
    def _choice_was_shown(self) -> Vote:
        if isinstance(self.choice, int) and not 0 <= self.choice < len(self.order):
            raise ValueError(f"choice {self.choice} is none of the {len(self.order)} shown")
        return self

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of the record, ``previous`` included."""
        return digest(self.model_dump(mode="json"))

    @property
    def chosen(self) -> str | None:
        """Blind code (or candidate index) of the chosen one; None for a tie."""
        return self.order[self.choice] if isinstance(self.choice, int) else None


def each_answer(votes: Iterable[Vote]) -> tuple[Vote, ...]:
    """Every answer as a vote of its own: after each vote the answers beside it, under their questions' names."""
    return tuple(answer for vote in votes for answer in (vote, *_beside(vote)))


def _beside(vote: Vote) -> Iterable[Vote]:
    for question, given in vote.beside.items():
        own = {name: getattr(given, name) for name in Given.model_fields}
        yield vote.model_copy(update={**own, "question": question, "beside": {}, "comment": ""})


class Rater(Frozen):
    """A participant, as far as the analysis may know one."""

    rater: Pseudonym
    index: int = Field(ge=0)
    """Order of arrival, from 0."""
    status: Literal["active", "finished", "screened_out", "withdrawn", "declined", "evicted"] = "active"
    cohort: str = ""
    consent_version: str = ""
    excluded: str = ""
    """Why an administrator excluded the rater; empty otherwise."""


class Event(Frozen):
    """Something else that happened to a study: consent, withdrawal, exclusion, pause, a comment at the end, a look."""

    at_us: int = Field(ge=0)
    """Microseconds since 1970, UTC."""
    kind: str
    rater: str = ""
    detail: str = ""


def follows(vote: Vote, last: Vote | None) -> bool:
    """Whether ``vote`` continues the log after ``last`` (None: an empty log)."""
    if last is None:
        return vote.sequence == 1 and vote.previous == GENESIS
    return vote.sequence == last.sequence + 1 and vote.previous == last.hash


def check_chain(votes: Sequence[Vote], where: str, hashes: Iterable[str] | None = None) -> str:
    """Return the head of the chain: the last vote's hash.

    Args:
        votes: the log in order.
        where: what it was read from, for messages.
        hashes: hashes stored beside the votes, compared with the votes' own.

    Raises:
        DataError: a vote was changed, removed, added or moved; the message names the first place.
    """
    last: Vote | None = None
    for vote, stored in zip(votes, hashes if hashes is not None else (v.hash for v in votes), strict=True):
        if not follows(vote, last) or stored != vote.hash:
            raise DataError(
                f"{where}: the chain of votes breaks at vote {vote.sequence}: a record was changed, removed or moved. "
                "Restore the file from a backup.",
                ErrorKind.DAMAGED,
                "votes",
            )
        last = vote
    return last.hash if last else GENESIS
