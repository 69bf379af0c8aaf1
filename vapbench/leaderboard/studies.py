"""Preference studies on the board: what ``vapbench study report`` wrote as ``leaderboard.json``.

Such a file may come from elsewhere: it is data, held to its form before anything of it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from vapbench.errors import DataError, ErrorKind
from vapbench.files.faults import field_of, unusable

Line = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]

STATISTICS = {
    "choice_share": "how often raters chose it when it was shown",
    "luce_share": "how often it would be chosen among all, by the fitted model",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Preferred(_Part):
    """One method on one question."""

    question: Line
    method: Line
    value: Share | None
    low: Share | None
    high: Share | None
    rank: Annotated[str, StringConstraints(pattern=r"^(\d{1,4}(-\d{1,4})?)?$")]
    votes: Count
    """Votes it was a candidate in."""


def place_of(path: str) -> str:
    """The last two folders of a path, ``mini/vap``: enough to know a run by, and nothing of whose machine it lay on."""
    return "/".join(PurePath(path).parts[-2:])


class Compared(_Part):
    """The run that a method's videos came from."""

    run: Annotated[str, AfterValidator(place_of), Field(max_length=4000)] = ""
    identity: dict[str, Any] = Field(default_factory=dict, exclude=True)
    """Version, parameters and weights of that run; not for publication, as it may name files of a machine."""

    def shows(self, folder: Path, identity: Mapping[str, Any]) -> bool:
        """Whether people saw videos of this run: its place may hold another by now, and another place its like."""
        return self.run == place_of(str(folder)) and self.identity == identity


class Study(_Part):
    """One closed study: shares with 95 % intervals that are robust to raters and cases alike."""

    schema_: Literal[1] = Field(alias="schema")
    study: Line
    title: Line
    suite: Line
    kind: Literal["pair", "best_of_n"]
    statistic: Literal["choice_share", "luce_share"]
    raters: Count
    excluded_raters: Count
    items: Count
    votes: Count
    closed: Literal[True]
    seen_before_closing: list[object]
    protocol_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    methods: dict[Line, Compared]
    rows: tuple[Preferred, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _methods_are_named(self) -> Study:
        if strangers := {row.method for row in self.rows} - set(self.methods):
            raise ValueError(f"{min(strangers)} is not among its methods")
        return self

    def questions(self) -> Iterator[tuple[str, list[Preferred]]]:
        """Each question with its methods, the most preferred first."""
        for question in dict.fromkeys(row.question for row in self.rows):
            rows = [row for row in self.rows if row.question == question]
            yield question, sorted(rows, key=lambda row: (row.value is None, -(row.value or 0), row.method))


def read_studies(folder: Path) -> list[Study]:
    """Every ``*.json`` of a folder, by name.

    Raises:
        DataError: one is not of this form, or of a study that is still open.
    """
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Study:
    try:
        return Study.model_validate_json(path.read_bytes())
    except ValidationError as error:
        if field_of(error.errors()[0]) == "closed":
            raise DataError(
                f"{path}: the study was still open; close it, then write it again: vapbench study report.",
                ErrorKind.CONFLICT,
                "closed",
            ) from error
        raise unusable(path, error, "; it must be the leaderboard.json that vapbench study report writes.") from error
