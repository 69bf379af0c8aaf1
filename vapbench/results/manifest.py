"""What a manifest read from disk must be before anything is computed with them.

Results travel: by git, by submissions, by hand. A manifest that is none ends in a
sentence. What is checked is what readers rely on, no more: a manifest may hold fields of a later
version, and :attr:`Manifest.document` keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, PrivateAttr, WrapValidator

LARGEST_SEED = 2**63 - 1
"""What every random generator takes."""
LARGEST_SCORE = 1e100
"""Of a score, either way: its square, summed over any number of cases, is still a number."""
_VIDEO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}")


def is_video_name(name: object) -> bool:
    """Whether ``name`` can only be a file in the folder it is looked for in: no path, no hidden file."""
    return isinstance(name, str) and _VIDEO.fullmatch(name) is not None


def is_seed(value: object) -> bool:
    """Whether ``value`` is a whole number that random generators take."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_SEED


# Pydantic's own check of a text refuses lone surrogates, which names of files and words of models may hold.
Text = InstanceOf[str]
FileRole = Literal["reference", "image", "target"]


def _as_written(value: Any, validate: Callable[[Any], object]) -> Any:
    validate(value)
    return value


# A whole number stays one: tables print it as the manifest has it.
_Scale = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9), WrapValidator(_as_written)]
_Bound = Annotated[float, Field(allow_inf_nan=False), WrapValidator(_as_written)]
_Rate = Annotated[float, Field(allow_inf_nan=False), WrapValidator(_as_written)]
_NullIsEmpty = BeforeValidator(lambda value: {} if value is None else value)


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class ColumnDisplay(_Open):
    """How a metric's values are shown; what a manifest does not say is not in ``model_fields_set``."""

    needs: list[Text] | None = None
    """Case fields that the metric looks at; None where that is not known."""
    title: Text = ""
    higher_is_better: bool | None = None
    unit: Text = ""
    scale: _Scale = 1.0
    """What a value is multiplied by when it is printed."""
    digits: int = Field(default=2, ge=0, le=12)
    range: Annotated[list[_Bound | None], Field(min_length=2, max_length=2)] | None = None


class ClipSize(_Open):
    """What a suite asks of a clip."""

    frames: int
    height: int
    width: int
    fps: _Rate


class CaseNote(_Open):
    """What a suite says of a case beside its content."""

    kind: Text
    detail: Text = ""


class PlannedCase(_Open):
    """A case as it was planned last."""

    condition: Text | None = None
    category: Text | None = None
    tasks: list[Text] = Field(default_factory=list)
    """Names of the tasks that contain it."""
    seeds: list[Annotated[int, Field(ge=-LARGEST_SEED, le=LARGEST_SEED)]] = Field(default_factory=list)
    fields: dict[Text, Text] | None = None
    """Case field -> hash of its content."""
    media: Text | None = None
    """Folder that the three files below are named relative to."""
    caption: Text | None = None
    reference: Text | None = ""
    """None: the case has no such file. Empty: the manifest does not name it, as in a submission."""
    reference_caption: Text | None = None
    image: Text | None = ""
    """As ``reference``."""
    target: Text | None = None
    clip: ClipSize | None = None
    # A default that is a list would be copied for every case.
    notes: list[CaseNote] = Field(default_factory=list)

    def file(self, role: FileRole) -> str | None:
        """The file of one role, relative to ``media``."""
        named: str | None = getattr(self, role)
        return named


class ManifestCard(_Open):
    """What a manifest keeps of the method's card."""

    title: Text | None = None
    kind: Text | None = None
    notes: list[Text] | None = None
    changed: dict[Text, Any] | None = None
    """Parameters that are not at their default; None in runs of before this was kept."""


class Identity(_Open):
    """What makes two results comparable."""

    suite: Text
    name: Text
    """The method's."""
    version: int | Text = "?"
    parameters: Annotated[dict[Text, Any], _NullIsEmpty] = {}
    clip: dict[Text, Any] | None = None
    """What the method asks of a clip instead of the suite's; empty or None if nothing."""


class Session(_Open):
    """One command that wrote the run. It is recorded, and part of no key."""

    started: Text | None = None
    """UTC, ISO 8601."""
    ended: Text | None = None
    """None while it runs, and for ever if it died."""
    host: Text | None = None
    pid: int | None = None
    argv: list[Text] | Text | None = None
    device: Text | None = None
    git: dict[Text, Any] | Text | None = None
    python: Text | None = None
    platform: Text | None = None
    packages: Annotated[dict[Text, Any], _NullIsEmpty] = {}
    counts: Annotated[dict[Text, Any], _NullIsEmpty] = {}
    """Stage -> counts of its results."""
    videos_from: Text | None = None
    """Folder that finished videos were taken from."""
    versions: Any = None
    """Versions that are part of no key: ``suite`` and video ``reader``."""


class Manifest(_Open):
    """``manifest.json``: what readers rely on."""

    identity: Identity
    cases: dict[Text, PlannedCase] = {}
    metrics: dict[Text, ColumnDisplay] = {}
    card: Annotated[ManifestCard, _NullIsEmpty] = ManifestCard()
    sessions: list[Session] = []
    _document: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def of(cls, document: Any) -> Self:
        """Check a parsed ``manifest.json``.

        Raises:
            pydantic.ValidationError: it is none.
        """
        manifest = cls.model_validate(document)
        manifest._document = document
        return manifest

    @property
    def document(self) -> Mapping[str, Any]:
        """The parsed file, every field as written and in its order: what a writer changes a copy of. Read only."""
        return self._document
