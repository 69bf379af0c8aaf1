"""Votes as they come out of a study: from the server's database, from an export, or from FastChat-style records."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import quoted
from vapbench.files.faults import unusable
from vapbench.files.parsing import parse_json, read_text
from vapbench.study.answers import answers_fault
from vapbench.study.folder import StudyFolder
from vapbench.study.protocol import Key, Protocol
from vapbench.study.votes import CHECK_ROLES, Event, Rater, Vote, check_chain

VOTES, RATERS, EVENTS = "votes.jsonl", "raters.jsonl", "events.jsonl"
CLOSED, UNBLINDED = "closed", "unblinded"
"""Kinds of events that decide who may see results."""
Record = TypeVar("Record", bound=BaseModel)


@dataclass(frozen=True)
class Ballots:
    """All that was collected, in the order of the log."""

    protocol: Protocol
    key: Key
    votes: tuple[Vote, ...]
    raters: tuple[Rater, ...]
    head: str
    """Hash of the last vote: names this very log."""
    events: tuple[Event, ...] | None = None
    """What else happened; None where the log does not say."""

    @property
    def closed(self) -> bool:
        """Whether no vote can come any more; a log that does not say what happened is complete."""
        return self.events is None or any(event.kind == CLOSED for event in self.events)

    @property
    def looks(self) -> tuple[Event, ...]:
        """When somebody saw results by method before the study was closed."""
        return tuple(event for event in self.events or () if event.kind == UNBLINDED)


def load_ballots(folder: StudyFolder, votes: Path | None = None) -> Ballots:
    """Read a study's protocol, key and votes.

    Args:
        folder: the study.
        votes: ``votes.db``, or an exported ``votes.jsonl`` with ``raters.jsonl`` beside it; None: the study's database,
            else its ``votes.jsonl``.

    Raises:
        DataError: there are no votes, a record is malformed or not of this protocol, or the chain breaks.
        IdentityError: protocol or key is another than the study was opened with.
    """
    protocol = folder.protocol()
    key = folder.key(protocol)
    path = votes_file(folder, votes)
    if not path.is_file():
        raise DataError(
            f"{path}: no votes yet; collect them first: vapbench study serve {quoted(folder.path)}",
            ErrorKind.MISSING,
            "votes",
        )
    records, raters, hashes, events = _from_database(path) if path.suffix == ".db" else _from_jsonl(path)
    head = check_chain(records, str(path), hashes)
    _check_known(protocol, records, path)
    known = {rater.rater for rater in raters}
    missing = dict.fromkeys(vote.rater for vote in records if vote.rater not in known)
    arrived = [Rater(rater=name, index=len(raters) + n) for n, name in enumerate(missing)]
    return Ballots(protocol, key, tuple(records), (*raters, *arrived), head, events)


def votes_file(folder: StudyFolder, votes: Path | None = None) -> Path:
    """Where a study's votes are: ``votes``, else its database, else its ``votes.jsonl``; it need not exist."""
    kept = (folder.votes_path, folder.path / VOTES)
    return votes or next((found for found in kept if found.is_file()), folder.votes_path)


_Log = tuple[list[Vote], list[Rater], list[str], tuple[Event, ...] | None]


def _from_database(path: Path) -> _Log:
    try:
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as connection:
            rows = list(connection.execute("SELECT record, hash FROM vote_log ORDER BY sequence"))
            people = [row[0] for row in connection.execute("SELECT record FROM rater_log")]
            happened = _happened(connection)
        connection.close()
    except sqlite3.Error as error:
        raise DataError(
            f"{path}: not a readable votes database ({error}); restore it from a backup.", ErrorKind.DAMAGED, path.name
        ) from error
    votes = [_parse(Vote, text, f"{path}: vote {number}") for number, (text, _) in enumerate(rows, start=1)]
    raters = [_parse(Rater, text, f"{path}: rater {number}") for number, text in enumerate(people, start=1)]
    return votes, sorted(raters, key=lambda rater: rater.index), [stored for _, stored in rows], happened


def _happened(connection: sqlite3.Connection) -> tuple[Event, ...] | None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'event'").fetchone():
        return None
    rows = connection.execute("SELECT at_us, kind, rater, detail FROM event ORDER BY sequence")
    return tuple(Event(at_us=at, kind=kind, rater=rater, detail=detail) for at, kind, rater, detail in rows)


def _from_jsonl(path: Path) -> _Log:
    votes, hashes = [], []
    for where, data in _lines(path):
        # An export adds what a reader without the key would miss; the record itself is under "record".
        record = data.get("record", data)
        votes.append(_parse(Vote, record, where))
        hashes.append(str(data.get("hash", votes[-1].hash)))
    people = path.with_name(RATERS)
    raters = [_parse(Rater, data, where) for where, data in _lines(people)] if people.is_file() else []
    others = path.with_name(EVENTS)
    events = tuple(_parse(Event, data, where) for where, data in _lines(others)) if others.is_file() else None
    return votes, raters, hashes, events


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        lines = read_text(path).split("\n")
    except ValueError as error:
        raise DataError(
            f"{path}: not readable ({error}); export the votes again.", ErrorKind.DAMAGED, path.name
        ) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            data = parse_json(line)
        except ValueError as error:
            raise DataError(
                f"{where}: not valid JSON ({error}); export the votes again.", ErrorKind.DAMAGED, path.name
            ) from error
        if not isinstance(data, dict):
            raise DataError(f"{where}: not a JSON object; export the votes again.", ErrorKind.INVALID, path.name)
        yield where, data


def _parse(model: type[Record], data: str | dict[str, Any], where: str) -> Record:
    try:
        return model.model_validate_json(data) if isinstance(data, str) else model.model_validate(data)
    except ValidationError as error:
        raise unusable(where, error, "; export the votes again.") from error


def _check_known(protocol: Protocol, votes: list[Vote], path: Path) -> None:
    cases = {case.id: case for case in protocol.cases}
    checks = {check.id: check for check in protocol.checks}
    questions = {question.key for question in protocol.questions}
    for vote in votes:
        where = f"{path}: vote {vote.sequence}"
        if vote.question not in questions:
            raise DataError(
                f"{where} answers the question {vote.question}, which the protocol does not ask.",
                ErrorKind.UNKNOWN,
                "question",
            )
        if vote.role in CHECK_ROLES:
            known = {str(n) for n in range(len(checks[vote.case].candidates))} if vote.case in checks else set()
        else:
            known = set(cases[vote.case].candidates) if vote.case in cases else set()
        if not known or not set(vote.order) <= known:
            raise DataError(
                f"{where} is about {vote.case}, which the protocol does not show like that.", ErrorKind.UNKNOWN, "case"
            )
        if vote.choice == "tie" and not protocol.ties and vote.role in ("main", "repeat"):
            raise DataError(f"{where} is a tie, which the protocol does not allow.", ErrorKind.CONFLICT, "choice")
        ties = protocol.ties or vote.role in CHECK_ROLES
        if fault := answers_fault(protocol, vote.question, vote, vote.beside, len(vote.order), ties):
            raise DataError(f"{where} is no answer that the protocol offers: {fault}.", ErrorKind.CONFLICT, "answer")
