"""Rubrics: what a judge is asked, as data with a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from vapbench.files.atomic import digest
from vapbench.files.parsing import read_yaml

_FOLDER = Path(__file__).parent / "rubrics"
_PROTOCOL = "protocol"
GENERAL = "general"
"""The rubric of a case whose condition no task lists."""

CRITERION_MAXIMUM = 10
SCORE_MAXIMUM = 100

CriterionName = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]


class Protocol(BaseModel):
    """What every judge is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=1)
    """Raised with any change of wording, here or in a rubric."""
    system: str
    roles: Mapping[str, str]
    """``reference``, ``image``, ``output``: what is said above the pictures of each."""
    caption: str
    rules: str
    answer: str


class Rubric(BaseModel):
    """What one category is judged by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: str
    semantic: str
    """What "the semantic" means in this category."""
    criteria: Mapping[CriterionName, str] = Field(min_length=1)
    """Name to question; each is rated 0 to 10."""
    anchors: Mapping[int, str]
    """Score to what deserves it."""


@dataclass(frozen=True)
class Rubrics:
    """Every rubric, and the protocol they share."""

    protocol: Protocol
    by_category: Mapping[str, Rubric]
    identity: str
    """Version and eight digits of the wording: ``1-0f3a…``. Part of the column."""

    def of(self, category: str | None) -> Rubric:
        """The rubric of a category; the general one where there is none."""
        return self.by_category.get(category or GENERAL, self.by_category[GENERAL])


@cache
def load_rubrics() -> Rubrics:
    """Read the rubrics of the package."""
    texts: dict[str, Any] = {path.stem: read_yaml(path) for path in sorted(_FOLDER.glob("*.yaml"))}
    protocol = Protocol.model_validate(texts.pop(_PROTOCOL))
    rubrics = {name: Rubric.model_validate(text) for name, text in texts.items()}
    # Dumped models, not file bytes: a comment or a line break in a file is no other question.
    wording = digest([protocol.model_dump(mode="json"), *(rubrics[name].model_dump(mode="json") for name in rubrics)])
    return Rubrics(protocol, rubrics, f"{protocol.version}-{wording[:8]}")
