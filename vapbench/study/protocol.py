"""The protocol of a study: everything that is decided before the first vote, frozen and hashed.

A protocol names methods by blind codes, so a server that never reads ``key.json`` cannot give a method away.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from vapbench.core.case import Category, Name
from vapbench.files.atomic import digest
from vapbench.suites import SuiteName

ANALYSIS_VERSION = 4
"""Raise when equal votes may give another report."""

TrialKind = Literal["pair", "best_of_n"]
MediaId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
"""Blind code of a method."""


Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
"""ISO 639, such as ``en``."""
SurveyKind = Literal["choice", "number", "text"]
SmallWindow = Literal["refuse", "mark"]
AnswerKind = Literal["choice", "graded5", "graded7"]
MOST_TAGS = 9
_STEPS: dict[AnswerKind, int] = {"choice": 0, "graded5": 2, "graded7": 3}


class UnfitEntry(ValueError):
    """Parts of a protocol that do not go together; pydantic keeps it with what it raises."""

    def __init__(self, message: str, entry: str) -> None:
        """Say what is wrong, and which entry of ``study.yaml`` can be changed for it."""
        super().__init__(message)
        self.entry = entry


class Frozen(BaseModel):
    """Base of the protocol's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    ADDED: ClassVar[frozenset[str]] = frozenset()
    """Fields that came later: written only where they say something, so that older studies keep their hashes."""

    # pydantic 2.10 looks for the annotation in the module of a subclass, which may not import `Any`.
    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        for name in self.ADDED:
            # pydantic 2.10 wants `validated_data`, though no factory here takes any.
            default = type(self).model_fields[name].get_default(call_default_factory=True, validated_data={})
            if getattr(self, name) == default:
                fields.pop(name, None)
        return fields


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
    """What raters are asked of a trial."""

    ADDED: ClassVar[frozenset[str]] = frozenset({"required", "answer", "both_bad", "tags"})

    key: Name
    wording: str = Field(min_length=1)
    help: str = ""
    required: bool = True
    """Whether a trial needs an answer to it; only one beside a pass's own may do without."""
    answer: AnswerKind = "choice"
    """One of what is shown; of pairs also how much better it is, on a scale of 5 or 7 with "no difference" midway."""
    both_bad: bool = False
    """Of pairs: whether "both are bad" is an answer. For the strengths it is a tie."""
    tags: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = Field(default=(), max_length=MOST_TAGS)
    """Reasons to tick; answers have their numbers, from 0."""

    @property
    def steps(self) -> int:
        """Largest grade for either side; 0: no grades."""
        return _STEPS[self.answer]


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
    """A trial whose answer is known: gold (silent), identical (one video twice) or training (with feedback).

    Never a real method's output.
    """

    id: Name
    kind: Literal["gold", "identical", "training"]
    question: Name
    condition: Name
    prompt: str = ""
    reference: MediaId
    image: MediaId | None = None
    candidates: tuple[MediaId, ...] = Field(min_length=2)
    expected: int | None = Field(ge=0)
    """Index of the right candidate; None for identical ones: there is no difference."""
    feedback: str = ""
    """What a training trial says after the vote."""

    @model_validator(mode="after")
    def _expected_exists(self) -> Self:
        identical = len(set(self.candidates)) == 1
        if identical != (self.kind == "identical") or identical != (self.expected is None):
            raise ValueError(f"check {self.id}: an identical check shows one video throughout and expects none of them")
        if self.expected is not None and self.expected >= len(self.candidates):
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
    identical: int = Field(default=0, ge=0)
    """Trials of each pass that show one video twice."""
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
    identical_trials: int = Field(default=3, ge=1)
    """Flagged, not excluded, for telling this many identical videos apart or more, always for the same side."""
    outlier_z: float = Field(default=-3.0, lt=0)
    """Flagged, not excluded, below this robust z of agreement with the other raters."""


class Consent(Frozen):
    """What a rater agrees to; the version is stored with the rater."""

    version: str = Field(min_length=1)
    text: str = Field(min_length=1)


class Instruction(Frozen):
    """One step of the instructions."""

    title: str = Field(min_length=1)
    text: str = ""


class Survey(Frozen):
    """A question that is asked once, before the trials or after them."""

    key: Name
    ask: str = Field(min_length=1)
    kind: SurveyKind = "choice"
    options: tuple[str, ...] = ()
    """Of a choice; answers are their numbers, from 0."""
    required: bool = False

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if (self.kind == "choice") != (len(self.options) >= 2):
            raise ValueError(f"{self.key}: a choice has at least two options, and nothing else has any")
        return self


class Protocol(Frozen):
    """A study as it will be run and analysed."""

    ADDED: ClassVar[frozenset[str]] = frozenset(
        {"languages", "contact", "review", "instructions", "before", "after", "window", "small_window", "texts", "also"}
    )

    schema_version: Literal[1] = 1
    analysis_version: int = ANALYSIS_VERSION
    id: Name
    title: str = Field(min_length=1)
    suite: SuiteName
    kind: TrialKind
    methods: tuple[Code, ...] = Field(min_length=2)
    key_sha256: str
    """:func:`vapbench.files.atomic.digest` of ``key.json``: the mapping cannot be changed afterwards."""
    cases: tuple[StudyCase, ...] = Field(min_length=1)
    questions: tuple[Question, ...] = Field(min_length=1)
    """Each is a pass of its own."""
    also: tuple[Question, ...] = ()
    """Asked on every trial beside the question of the only pass: one viewing, several answers."""
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
    languages: tuple[Language, ...] = Field(default=("en",), min_length=1)
    """What raters may read it in; the texts of the protocol are in the first."""
    contact: str = ""
    review: str = ""
    """Ethics review: board and number."""
    instructions: tuple[Instruction, ...] = ()
    """Empty: those of the page."""
    before: tuple[Survey, ...] = ()
    """Asked once, after consent."""
    after: tuple[Survey, ...] = ()
    """Asked once, after the last trial."""
    window: tuple[int, int] | None = None
    """Smallest width and height of the browser's window that trials are shown in, in CSS pixels."""
    small_window: SmallWindow = "mark"
    """What the server does with a vote from a smaller window."""
    texts: dict[Language, dict[str, str]] = Field(default_factory=dict)
    """Language -> key -> text: translations of the protocol's texts, and other words for the page's."""

    @model_validator(mode="after")
    def _answers_fit(self) -> Self:
        if self.also and len(self.questions) > 1:
            passes = ", ".join(question.key for question in self.questions)
            raise UnfitEntry(
                f"`also` asks several questions in one viewing, which needs a study of one pass, not of {passes}: plan "
                f"the study again with --question {self.questions[0].key} alone (nothing is encoded again, this file "
                f"stays), and list under `also` what else to ask",
                "also",
            )
        if not all(question.required for question in self.questions):
            raise ValueError("only a question beside the pass's own may be left out")
        for question in self.asked:
            if (question.steps or question.both_bad) and (self.kind != "pair" or not self.ties):
                raise UnfitEntry(
                    f"{question.key}: grades and both_bad are for pairs in which a tie is an answer",
                    f"{'also' if question in self.also else 'questions'}.{question.key}",
                )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for entry, what, names in (
            ("methods", "method", self.methods),
            ("cases", "case", [case.id for case in self.cases]),
            ("also", "question", [question.key for question in self.asked]),
            ("checks", "check", [check.id for check in self.checks]),
            ("languages", "language", self.languages),
            ("before", "question before", [question.key for question in self.before]),
            ("after", "question after", [question.key for question in self.after]),
        ):
            if twice := [name for name in names if list(names).count(name) > 1]:
                raise UnfitEntry(f"a {what} is listed twice: {twice[0]}", entry)
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

    @property
    def asked(self) -> tuple[Question, ...]:
        """All questions: those of the passes, and those beside them."""
        return (*self.questions, *self.also)

    def question(self, key: str) -> Question:
        """The question of that key."""
        return next(question for question in self.asked if question.key == key)

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
