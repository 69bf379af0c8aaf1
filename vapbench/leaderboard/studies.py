"""What people preferred: the sections that ``vapbench study report`` writes, put on the site as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vapbench.cases import Name
from vapbench.errors import DataError
from vapbench.leaderboard.submission import Sha256
from vapbench.parsing import parse_json

Count = Annotated[int, Field(ge=0)]
Portion = Annotated[float, Field(ge=0, le=1)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class StudyRow(_Said):
    """One method on one question."""

    question: str
    method: str
    value: Portion
    low: Portion | None
    high: Portion | None
    reason: str
    """Why there is no interval."""
    rank: str = Field(pattern=r"^\d{1,4}(-\d{1,4})?$")
    votes: Count


class _Method(_Said):
    identity: Mapping[str, Any]


class StudySection(_Said):
    """``leaderboard.json`` of a study's report."""

    schema_: Literal[1] = Field(alias="schema")
    study: Name
    title: str
    suite: Name
    kind: Literal["pair", "best_of_n"]
    statistic: Literal["choice_share", "luce_share"]
    protocol_sha256: Sha256
    votes_sha256: Sha256
    raters: Count
    excluded_raters: Count
    items: Count
    votes: Count
    target_votes: Count
    closed: Literal[True]
    """Results before that are no results: votes that follow a look are other votes."""
    seen_before_closing: tuple[Mapping[str, Any], ...]
    methods: Mapping[str, _Method]
    rows: tuple[StudyRow, ...] = Field(min_length=1)

    def compared(self, identity: Mapping[str, Any]) -> bool:
        """Whether the videos of this very run, version and parameters included, were judged."""
        return any(method.identity == identity for method in self.methods.values())

    def tables(self) -> Iterator[tuple[str, list[StudyLine]]]:
        """Question -> its methods, strongest first as the report lists them."""
        for question in dict.fromkeys(row.question for row in self.rows):
            yield question, [_line(row) for row in self.rows if row.question == question]


@dataclass(frozen=True)
class StudyLine:
    """A row as it is printed."""

    method: str
    rank: str
    share: str
    interval: str
    votes: str


def read_studies(folder: Path) -> tuple[StudySection, ...]:
    """Read every section of a folder, by file name.

    Raises:
        DataError: one is damaged, not of this form, or of a study that is not closed.
    """
    return tuple(_read(path) for path in sorted(folder.glob("*.json")))


def _read(path: Path) -> StudySection:
    try:
        return StudySection.model_validate(parse_json(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(
            f"{path}: {where}: {first['msg']}; copy leaderboard.json of a closed study's report: vapbench study report"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; copy leaderboard.json of a study's report again.") from error


def _line(row: StudyRow) -> StudyLine:
    interval = row.reason or "no interval"
    if row.low is not None and row.high is not None:
        interval = f"{100 * row.low:.1f} to {100 * row.high:.1f}"
    return StudyLine(
        row.method, f"#{row.rank}".replace("-", "\N{EN DASH}"), f"{100 * row.value:.1f}", interval, f"{row.votes:,}"
    )
