"""What rows and manifests read from disk must be before anything is computed with them.

Results travel: by git, by submissions, by hand. A row that cannot be is no row (its work is done again); a manifest
that is none ends in a sentence. What is checked is what readers rely on, no more: a manifest may hold fields of a later
version.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

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


class _Generation(Protocol):
    """What is checked of a :class:`vapbench.results.rows.GenerationRow`."""

    @property
    def seed(self) -> int: ...

    @property
    def video(self) -> str | None: ...


class _Score(Protocol):
    """What is checked of a :class:`vapbench.results.rows.ScoreRow`."""

    @property
    def seed(self) -> int: ...

    @property
    def version(self) -> int: ...

    @property
    def status(self) -> str: ...

    @property
    def value(self) -> float | None: ...


def check_generation(row: _Generation) -> None:
    """Refuse a generation row whose types are right and whose values cannot be.

    Raises:
        ValueError: the seed is out of range, or the video's name is a path.
    """
    if not abs(row.seed) <= LARGEST_SEED:
        raise ValueError("the seed has more than 64 bits")
    if row.video is not None and not _VIDEO.fullmatch(row.video):
        raise ValueError("video is no name of a file")


def check_score(row: _Score) -> None:
    """Refuse a score row whose types are right and whose values cannot be.

    Raises:
        ValueError: the seed or version is out of range, an ok row has no finite value, or another row has one: a
            missing score is null.
    """
    if not (abs(row.seed) <= LARGEST_SEED and abs(row.version) <= LARGEST_SEED):
        raise ValueError("seed or version has more than 64 bits")
    if (row.status == "ok") != (row.value is not None):
        raise ValueError(f"an ok row has a value, and no other: this one is {row.status}")
    if row.value is not None and not abs(row.value) < LARGEST_SCORE:
        raise ValueError("the value is larger than can be averaged")


# Pydantic's own check of a text refuses half characters, which names of files and words of models may hold.
Text = InstanceOf[str]


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class _Shown(_Open):
    """How a column is printed."""

    needs: list[Text] | None = None
    title: Text = ""
    higher_is_better: bool | None = None
    unit: Text = ""
    scale: float = Field(default=1.0, allow_inf_nan=False, ge=-1e9, le=1e9)
    digits: int = Field(default=2, ge=0, le=12)
    range: Annotated[list[float | None], Field(min_length=2, max_length=2)] | None = None


class _Clip(_Open):
    """What a suite asks of a clip."""

    frames: int
    height: int
    width: int
    fps: float = Field(allow_inf_nan=False)


class _Planned(_Open):
    condition: Text | None = None
    category: Text | None = None
    tasks: list[Text] = []
    seeds: list[Annotated[int, Field(ge=-LARGEST_SEED, le=LARGEST_SEED)]] = []
    fields: dict[Text, Any] | None = None
    media: Text | None = None
    caption: Text | None = None
    reference: Text | None = None
    reference_caption: Text | None = None
    image: Text | None = None
    target: Text | None = None
    clip: _Clip | None = None


class _Card(_Open):
    title: Text | None = None
    kind: Text | None = None
    notes: list[Text] | None = None
    changed: dict[Text, Any] | None = None


class _Identity(_Open):
    suite: Text
    name: Text
    parameters: dict[Text, Any] | None = None


class Manifest(_Open):
    """``manifest.json``: what readers rely on."""

    identity: _Identity
    cases: dict[Text, _Planned] = {}
    metrics: dict[Text, _Shown] = {}
    card: _Card | None = None
    sessions: list[dict[Text, Any]] = []
