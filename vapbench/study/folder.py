"""A study on disk: protocol, key, media and votes.

    studies/<id>/
      protocol.json     what was decided before the first vote: :class:`vapbench.study.protocol.Protocol`
      key.json          which blind code is which method; never served, read by the report alone
      media/<id>.mp4    blinded videos and <id>.png first frames, named by random ids
      opening.json      hash of the protocol when the study was opened; from then on no other is accepted
      votes.db          what the server stores

Opening a study freezes its protocol.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from vapbench.errors import DataError, ErrorKind, IdentityError, UsageError, did_you_mean
from vapbench.files.atomic import file_sha256, write_json
from vapbench.files.faults import unusable
from vapbench.files.parsing import parse_json, read_text
from vapbench.files.provenance import now
from vapbench.study.leaks import refuse_leaks
from vapbench.study.protocol import Frozen, Key, Protocol

Model = TypeVar("Model", bound=BaseModel)
STUDIES = Path("studies")


class StudyFolder:
    """``studies/<id>``: where a study's files are."""

    def __init__(self, path: Path) -> None:
        """Name the folder; ``path`` may also be its ``protocol.json``."""
        self.path = path.parent if path.name == "protocol.json" else path

    @property
    def protocol_path(self) -> Path:
        """``protocol.json``."""
        return self.path / "protocol.json"

    @property
    def key_path(self) -> Path:
        """``key.json``; no server opens it."""
        return self.path / "key.json"

    @property
    def opening_path(self) -> Path:
        """``opening.json``; there once the study has been opened."""
        return self.path / "opening.json"

    @property
    def opened(self) -> bool:
        """Whether the protocol is final."""
        return self.opening_path.exists()

    @property
    def votes_path(self) -> Path:
        """``votes.db``."""
        return self.path / "votes.db"

    def media_path(self, protocol: Protocol, media: str) -> Path:
        """The file of a media id.

        Raises:
            DataError: the protocol lists no such id.
        """
        if media not in protocol.media:
            raise DataError(f"{self.path}: no media {media!r} in the protocol.", ErrorKind.UNKNOWN, "media")
        return self.path / "media" / f"{media}{protocol.media[media].suffix}"

    def save(self, protocol: Protocol, key: Key) -> None:
        """Write protocol and key.

        Raises:
            IdentityError: the study has been opened.
            DataError: the key is not the one the protocol records.
        """
        if self.opening_path.exists():
            raise IdentityError(
                f"{self.path} has been opened for votes: its protocol is final. Plan another study with --id NAME.",
                ErrorKind.CONFLICT,
                "protocol",
            )
        if key.sha256 != protocol.key_sha256:
            raise DataError(
                f"{self.path}: the key is not the one the protocol records; plan the study again.",
                ErrorKind.CONFLICT,
                "key.json",
            )
        write_json(self.key_path, key.model_dump(mode="json"))
        write_json(self.protocol_path, protocol.model_dump(mode="json"))

    def protocol(self) -> Protocol:
        """Read the protocol.

        Raises:
            DataError: it is absent or not valid.
            IdentityError: it was edited after the study was opened.
        """
        protocol = _read(self.protocol_path, Protocol)
        if self.opening_path.exists():
            opened = _read(self.opening_path, Opening).protocol_sha256
            if opened != protocol.sha256:
                raise IdentityError(
                    f"{self.protocol_path} was edited after the study was opened (hash {protocol.sha256[:8]} now, "
                    f"{opened[:8]} then): restore it, or plan another study with --id NAME.",
                    ErrorKind.CONFLICT,
                    "protocol.json",
                )
        return protocol

    def key(self, protocol: Protocol) -> Key:
        """Read the key.

        Raises:
            DataError: it is absent or not valid.
            IdentityError: it is not the one the protocol records.
        """
        key = _read(self.key_path, Key)
        if key.sha256 != protocol.key_sha256:
            raise IdentityError(
                f"{self.key_path} is not the key that the protocol records: restore it.", ErrorKind.CONFLICT, "key.json"
            )
        return key

    def open(self) -> Protocol:
        """Check every media file and look for leaks, then freeze the protocol; harmless on an open study.

        Raises:
            DataError: a media file is missing or was changed, or gives a method away.
            IdentityError: the protocol was edited after the study was opened.
        """
        protocol = self.protocol()
        for media, facts in protocol.media.items():
            path = self.media_path(protocol, media)
            if not path.is_file():
                raise DataError(f"{path} is missing; restore it, or plan the study again.", ErrorKind.MISSING, "media")
            if file_sha256(path) != facts.sha256:
                raise DataError(
                    f"{path} was changed since the study was planned; restore it, or plan the study again.",
                    ErrorKind.CONFLICT,
                    "media",
                )
        refuse_leaks(protocol)
        if not self.opening_path.exists():
            opening = Opening(protocol_sha256=protocol.sha256, opened=now())
            write_json(self.opening_path, opening.model_dump(mode="json"))
        return protocol


def find_study(path: Path | None, studies: Path = STUDIES) -> StudyFolder:
    """The study at ``path``, by its name under ``studies``, or without ``path`` the only one there is.

    Raises:
        UsageError: there is no such study, or several to choose from.
    """
    known = sorted(found.parent.name for found in studies.glob("*/protocol.json"))
    if path is None:
        if len(known) == 1:
            return StudyFolder(studies / known[0])
        if not known:
            raise UsageError(
                f"{studies}/ holds no study; make one first: vapbench study plan --help", ErrorKind.MISSING, "study"
            )
        raise UsageError(
            f"{studies}/ holds several studies; name one of them: {', '.join(known)}", ErrorKind.MISSING, "study"
        )
    for folder in (StudyFolder(path), StudyFolder(studies / path)):
        if folder.protocol_path.is_file():
            return folder
    raise UsageError(f"{path} is no study.{did_you_mean(path.name, known)}", ErrorKind.UNKNOWN, "study")


class Opening(Frozen):
    """``opening.json``."""

    protocol_sha256: str
    opened: str
    """UTC, ISO 8601."""


def _read(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate(parse_json(read_text(path)))
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; make a study first: vapbench study plan --help", ErrorKind.MISSING, path.name
        ) from None
    except ValueError as error:
        raise unusable(path, error, "; correct it, or plan the study again.") from error
