"""The protocol of a study: everything that is decided before the first vote, frozen and hashed.

    studies/<id>/
      protocol.json     this module's :class:`Protocol`
      key.json          which blind code is which method; never served, read by the report alone
      media/<id>.mp4    blinded videos and <id>.png first frames, named by random ids
      opening.json      hash of the protocol when the study was opened; from then on no other is accepted
      votes.db          what the server stores

A protocol names methods by blind codes, so a server that never reads ``key.json`` cannot give a method away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from vapbench.cases import Category, Name
from vapbench.errors import DataError, IdentityError, UsageError, did_you_mean
from vapbench.files import digest, file_sha256, write_json
from vapbench.parsing import parse_json
from vapbench.store import now
from vapbench.study.leaks import refuse_leaks

ANALYSIS_VERSION = 1
"""Raise when equal votes may give another report."""

Model = TypeVar("Model", bound=BaseModel)
STUDIES = Path("studies")

TrialKind = Literal["pair", "best_of_n"]
MediaId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
"""Blind code of a method."""


class Frozen(BaseModel):
    """Base of the protocol's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MediaFacts(Frozen):
    """A file under ``media/``."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    suffix: Literal[".mp4", ".png"]
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    frames: int = Field(ge=1)
    fps: float = Field(ge=0)
    """0 for a picture."""
    size: int = Field(ge=1)
    """Bytes."""

    @property
    def seconds(self) -> float:
        """Duration; 0 for a picture."""
        return self.frames / self.fps if self.fps else 0.0


class Question(Frozen):
    """What raters are asked; each question is a pass of its own."""

    key: Name
    wording: str = Field(min_length=1)
    help: str = ""


class StudyCase(Frozen):
    """One item: what every rater sees beside the candidates, and the candidates by blind code."""

    id: Name
    """The suite's case id. Not for raters: it may name the condition."""
    condition: Name
    category: Category | None = None
    prompt: str = ""
    reference: MediaId
    image: MediaId | None = None
    """The target first frame."""
    candidates: dict[Code, MediaId] = Field(min_length=2)


class Check(Frozen):
    """A trial whose answer is known: gold (silent) or training (with feedback). Never a real method's output."""

    id: Name
    kind: Literal["gold", "training"]
    question: Name
    condition: Name
    prompt: str = ""
    reference: MediaId
    image: MediaId | None = None
    candidates: tuple[MediaId, ...] = Field(min_length=2)
    expected: int = Field(ge=0)
    """Index of the right candidate."""
    feedback: str = ""
    """What a training trial says after the vote."""

    @model_validator(mode="after")
    def _expected_exists(self) -> Self:
        if self.expected >= len(self.candidates):
            raise ValueError(f"check {self.id}: expected {self.expected} is not one of its candidates")
        return self


class Session(Frozen):
    """What one rater does."""

    trials: int = Field(ge=1)
    """Main trials of each question's pass."""
    gold: int = Field(ge=0)
    """Gold trials of each pass."""
    repeats: int = Field(ge=0)
    """Repeats of earlier trials of each pass, with the sides swapped."""
    repeat_distance: int = Field(default=10, ge=1)
    """Least number of trials between a trial and its repeat."""
    training: int = Field(ge=0)
    """Training trials before each pass."""
    block: int = Field(default=15, ge=1)
    """Trials between breaks."""
    qualification: tuple[int, int] = (2, 3)
    """Screened out politely with fewer than the first of the first second gold trials right."""
    min_play_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of each clip that has to be played before a vote is taken."""
    lease_seconds: int = Field(default=1800, ge=60)
    """How long a trial waits for its vote before it is given to somebody else."""


class Exclusions(Frozen):
    """Rules that are fixed before the first vote and applied after the last. Votes are never deleted."""

    version: int = 1
    gold_accuracy: float = Field(default=0.7, ge=0, le=1)
    """Excluded below this share of gold trials ..."""
    gold_trials: int = Field(default=5, ge=1)
    """... once there are this many."""
    time_floor: float = Field(default=0.9, ge=0)
    """A vote is too fast below this multiple of its longest clip's duration."""
    fast_share: float = Field(default=0.2, ge=0, le=1)
    """Excluded above this share of votes that are too fast."""
    side_p: float = Field(default=1e-4, gt=0, lt=1)
    """Excluded when always voting for one side is less likely than this by chance (exact binomial) ..."""
    side_trials: int = Field(default=20, ge=1)
    """... over at least this many decisive votes."""
    repeat_agreement: float = Field(default=0.6, ge=0, le=1)
    """Flagged, not excluded, below this share of equal answers ..."""
    repeat_trials: int = Field(default=4, ge=1)
    """... over at least this many repeats."""
    outlier_z: float = Field(default=-3.0, lt=0)
    """Flagged, not excluded, below this robust z of agreement with the other raters."""


class Consent(Frozen):
    """What a rater agrees to; the version is stored with the rater."""

    version: str = Field(min_length=1)
    text: str = Field(min_length=1)


class Protocol(Frozen):
    """A study as it will be run and analysed."""

    schema_version: Literal[1] = 1
    analysis_version: int = ANALYSIS_VERSION
    id: Name
    title: str = Field(min_length=1)
    suite: Name
    kind: TrialKind
    methods: tuple[Code, ...] = Field(min_length=2)
    key_sha256: str
    """:func:`vapbench.files.digest` of ``key.json``: the mapping cannot be changed afterwards."""
    cases: tuple[StudyCase, ...] = Field(min_length=1)
    questions: tuple[Question, ...] = Field(min_length=1)
    ties: bool
    """Whether "no difference" is an answer."""
    votes_per_cell: int = Field(ge=1)
    """Target number of votes for each (question, case, set of methods)."""
    raters: int = Field(ge=1)
    """Planned number of raters."""
    session: Session
    checks: tuple[Check, ...] = ()
    exclusions: Exclusions = Exclusions()
    consent: Consent
    media: dict[MediaId, MediaFacts]
    seed: int = Field(ge=0)
    """Of assignment and analysis."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what, names in {
            "method": self.methods,
            "case": [case.id for case in self.cases],
            "question": [question.key for question in self.questions],
            "check": [check.id for check in self.checks],
        }.items():
            if len(set(names)) < len(names):
                raise ValueError(f"a {what} is listed twice")
        for case in self.cases:
            if strangers := set(case.candidates) - set(self.methods):
                raise ValueError(f"case {case.id} has a candidate of an unknown method {min(strangers)}")
            self._known(f"case {case.id}", case.reference, case.image, *case.candidates.values())
        for check in self.checks:
            if check.question not in {question.key for question in self.questions}:
                raise ValueError(f"check {check.id} asks an unknown question {check.question}")
            self._known(f"check {check.id}", check.reference, check.image, *check.candidates)
        return self

    def _known(self, where: str, *media: str | None) -> None:
        for name in media:
            if name is not None and name not in self.media:
                raise ValueError(f"{where} shows media {name}, which is not listed")

    @property
    def sha256(self) -> str:
        """Hash of the protocol's canonical JSON."""
        return digest(self.model_dump(mode="json"))

    def question(self, key: str) -> Question:
        """The question of that key."""
        return next(question for question in self.questions if question.key == key)

    def case(self, name: str) -> StudyCase:
        """The case of that id."""
        return next(case for case in self.cases if case.id == name)

    def check(self, name: str) -> Check:
        """The check of that id."""
        return next(check for check in self.checks if check.id == name)


class KeyedMethod(Frozen):
    """What a blind code stands for."""

    name: str
    """As reports print it."""
    run: str = ""
    """Folder the videos come from."""
    identity: dict[str, Any] = Field(default_factory=dict)
    """The run's identity: version, parameters, weights."""
    sources: dict[str, str] = Field(default_factory=dict)
    """Case -> SHA-256 of the video before blinding."""


class Key(Frozen):
    """``key.json``: blind code -> method."""

    methods: dict[Code, KeyedMethod]

    @property
    def sha256(self) -> str:
        """Hash that the protocol records."""
        return digest(self.model_dump(mode="json"))

    def names(self) -> dict[str, str]:
        """Blind code -> name."""
        return {code: method.name for code, method in self.methods.items()}


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
    def votes_path(self) -> Path:
        """``votes.db``."""
        return self.path / "votes.db"

    def media_path(self, protocol: Protocol, media: str) -> Path:
        """The file of a media id.

        Raises:
            DataError: the protocol lists no such id.
        """
        if media not in protocol.media:
            raise DataError(f"{self.path}: no media {media!r} in the protocol.")
        return self.path / "media" / f"{media}{protocol.media[media].suffix}"

    def save(self, protocol: Protocol, key: Key) -> None:
        """Write protocol and key.

        Raises:
            IdentityError: the study has been opened.
            DataError: the key is not the one the protocol records.
        """
        if self.opening_path.exists():
            raise IdentityError(
                f"{self.path} has been opened for votes: its protocol is final. Plan another study with --id NAME."
            )
        if key.sha256 != protocol.key_sha256:
            raise DataError(f"{self.path}: the key is not the one the protocol records; plan the study again.")
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
                    f"{opened[:8]} then): restore it, or plan another study with --id NAME."
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
            raise IdentityError(f"{self.key_path} is not the key that the protocol records: restore it.")
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
            if not path.is_file() or file_sha256(path) != facts.sha256:
                raise DataError(f"{path} is missing or was changed since the study was planned; plan it again.")
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
            raise UsageError(f"{studies}/ holds no study; make one first: vapbench study plan --help")
        raise UsageError(f"{studies}/ holds several studies; name one of them: {', '.join(known)}")
    for folder in (StudyFolder(path), StudyFolder(studies / path)):
        if folder.protocol_path.is_file():
            return folder
    raise UsageError(f"{path} is no study.{did_you_mean(path.name, known)}")


class Opening(Frozen):
    """``opening.json``."""

    protocol_sha256: str
    opened: str
    """UTC, ISO 8601."""


def _read(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate(parse_json(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; make a study first: vapbench study plan --help") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"{path}: {where}: {first['msg']}; correct it, or plan the study again.") from error
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error}); restore it, or plan the study again.") from error
