"""A model's votes on disk: ``judges/<column>.jsonl``, a log of its own that no reader of people's votes opens.

Each line is the head, a vote or a failure. The head names the model and the study's protocol; the last line of a trial
is what counts. Lines are synced and carry checksums, so that the same command goes on after a kill.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from vapbench.core.case import Name
from vapbench.errors import DataError, ErrorKind, IdentityError
from vapbench.files.faults import unusable
from vapbench.files.journal import Journal, seal, unseal
from vapbench.study.design.assign import Trial
from vapbench.study.folder import StudyFolder
from vapbench.study.judging.trials import model_trials
from vapbench.study.protocol import Frozen, Protocol
from vapbench.study.votes import TrialRole, Vote

JUDGES = "judges"
Model = TypeVar("Model", bound=BaseModel)


class Head(Frozen):
    """Whose votes a log holds."""

    voter: Literal["model"] = "model"
    column: str
    """As the command line spells it, such as ``semantic_alignment[judge]:model=…``."""
    identity: dict[str, Any]
    """Model, host, frames, wording."""
    study: Name
    protocol_sha256: str
    passes: int = Field(ge=1)
    """How often every cell is asked for."""


class ModelVote(Frozen):
    """One answer of a model. Not a :class:`vapbench.study.votes.Vote`: nothing that takes people's takes it."""

    voter: Literal["model"] = "model"
    trial: str
    """Name of the planned trial that it answers."""
    role: TrialRole
    cell: str
    case: Name
    question: Name
    order: tuple[str, ...] = Field(min_length=2)
    """What was shown, first to last: blind codes; for checks the candidates' indices."""
    choice: int | Literal["tie"]
    """Presented position, from 0, or no difference."""
    at_us: int = Field(ge=0)
    """Microseconds since 1970, UTC."""
    explanation: str = ""
    served_by: str = ""
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def chosen(self) -> str | None:
        """Blind code (or candidate index) of the chosen one; None for a tie."""
        return self.order[self.choice] if isinstance(self.choice, int) else None


class Failure(Frozen):
    """A trial that the model gave no usable answer to; it is asked again."""

    failed: str
    """The trial."""
    problem: str


@dataclass(frozen=True)
class ModelBallots:
    """What one model answered."""

    head: Head
    votes: tuple[ModelVote, ...]
    """In the order of the plan, whatever order they came in."""
    planned: int
    failures: Mapping[str, str]
    """Trial -> why it has no answer; those that were never asked are not here."""

    @property
    def missing(self) -> int:
        """Planned trials without an answer."""
        return self.planned - len(self.votes)

    def as_votes(self, role: TrialRole) -> list[Vote]:
        """Votes of one role in the form the estimators take; every vote by a rater of its own.

        A model is one voter whom nobody drew from a crowd, so that items alone are what intervals cluster by.
        """
        return [
            Vote(
                sequence=number,
                assignment=vote.trial,
                rater=f"model-{number:06}",
                role=role,
                cell=vote.cell,
                case=vote.case,
                question=vote.question,
                order=vote.order,
                choice=vote.choice,
                response_ms=0,
                shown_us=vote.at_us,
                stored_us=vote.at_us,
            )
            for number, vote in enumerate(self.votes, start=1)
            if vote.role == role
        ]


class ModelLog:
    """A log open for appending."""

    def __init__(self, folder: StudyFolder, slug: str, head: Head) -> None:
        """Open the log of a column, made if there is none.

        Raises:
            IdentityError: it holds votes for another protocol, or of another model.
        """
        self.path = folder.path / JUDGES / f"{slug}.jsonl"
        known = _read(self.path) if self.path.is_file() else None
        if known is not None and _same(known.head) != _same(head):
            raise IdentityError(
                f"{self.path} holds votes of another model or for another protocol; move it away.",
                ErrorKind.CONFLICT,
                self.path.name,
            )
        self._journal = Journal(self.path)
        if known is None or known.head.passes != head.passes:
            self._append(head)

    def add(self, line: ModelVote | Failure) -> None:
        """Append; on disk when this returns."""
        self._append(line)

    def close(self) -> None:
        """Close the file."""
        self._journal.close()

    def _append(self, line: Frozen) -> None:
        self._journal.append(seal(line.model_dump(mode="json")))


def load_models(folder: StudyFolder, protocol: Protocol) -> tuple[ModelBallots, ...]:
    """Every model's votes on a study, by file name.

    Raises:
        DataError: a line is damaged, or a vote is not on the trial it claims.
        IdentityError: a log belongs to another protocol.
    """
    logs = sorted((folder.path / JUDGES).glob("*.jsonl"))
    return tuple(_checked(path, protocol) for path in logs)


def load_model(folder: StudyFolder, protocol: Protocol, slug: str) -> ModelBallots | None:
    """One model's votes; None if there are none yet. Errors as of :func:`load_models`."""
    path = folder.path / JUDGES / f"{slug}.jsonl"
    return _checked(path, protocol) if path.is_file() else None


@dataclass(frozen=True)
class _Log:
    head: Head
    votes: dict[str, ModelVote]
    failures: dict[str, str]


def _checked(path: Path, protocol: Protocol) -> ModelBallots:
    log = _read(path)
    if log.head.protocol_sha256 != protocol.sha256:
        raise IdentityError(
            f"{path} holds votes for another protocol than the study's; move it away.", ErrorKind.CONFLICT, "protocol"
        )
    trials = dict(model_trials(protocol, log.head.passes))
    for name, vote in log.votes.items():
        trial = trials.get(name)
        if trial is None or _shown(trial) != (vote.role, vote.cell, vote.case, vote.question, vote.order):
            raise DataError(
                f"{path}: the vote on trial {name} is not on what that trial shows; restore the file.",
                ErrorKind.CONFLICT,
                "trial",
            )
    votes = tuple(log.votes[name] for name in trials if name in log.votes)
    return ModelBallots(log.head, votes, len(trials), log.failures)


def _shown(trial: Trial) -> tuple[object, ...]:
    return trial.role, trial.cell, trial.case, trial.question, trial.order


def _same(head: Head) -> dict[str, Any]:
    return head.model_dump(exclude={"passes"})


def _read(path: Path) -> _Log:
    head: Head | None = None
    votes: dict[str, ModelVote] = {}
    failures: dict[str, str] = {}
    # A last line without its end was cut short by a kill; the trial is asked again.
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        where = f"{path}:{number}"
        try:
            values = unseal(line)
        except ValueError as error:
            raise DataError(
                f"{where}: {error}; restore the file from a backup, or remove the line.", ErrorKind.DAMAGED, path.name
            ) from error
        if "passes" in values:
            head = _parse(Head, values, where)
        elif "failed" in values:
            failure = _parse(Failure, values, where)
            failures[failure.failed] = failure.problem
        else:
            vote = _parse(ModelVote, values, where)
            votes[vote.trial] = vote
            failures.pop(vote.trial, None)
    if head is None:
        raise DataError(f"{path}: no head says whose votes these are; remove the file.", ErrorKind.MISSING, path.name)
    return _Log(head, votes, failures)


def _parse(model: type[Model], values: dict[str, Any], where: str) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise unusable(where, error, "; restore the file, or remove the line.") from error
