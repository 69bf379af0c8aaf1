"""The submission format: a run folder, and ``submission.json`` that says whose it is and what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from vapbench.core.case import Name
from vapbench.errors import DataError
from vapbench.files.parsing import read_text

MANIFEST = "submission.json"
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Link = Annotated[str, StringConstraints(pattern=r"^https?://[^\s\"'<>\\]{1,400}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Output(_Strict):
    """One video: there is exactly one for a case and a seed."""

    case: Name
    seed: int = Field(ge=0)
    sha256: Sha256


class Code(_Strict):
    """Where the generator can be read."""

    repository: Link
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,64}$")]


class Submission(_Strict):
    """``submission.json``."""

    schema_: Literal[1] = Field(alias="schema")
    id: Name
    """Name of the folder."""
    title: Line
    submitter: Line
    contact: Line
    """An e-mail address, or an http(s) link."""
    licence: Line
    """Under which the videos may be shown; an SPDX identifier if there is one."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    outputs: tuple[Output, ...] = Field(min_length=1)
    """Every output; failed generations have none."""
    code: Code | None = None
    """None for closed generators."""
    note: str = Field(default="", max_length=2000)


def read_submission(folder: Path) -> Submission:
    """Read ``submission.json`` of a folder.

    Raises:
        DataError: it is absent or not of this form; the message names the field.
    """
    path = folder / MANIFEST
    try:
        return Submission.model_validate_json(read_text(path))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; write it: vapbench leaderboard pack --help") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"{path}: {where}: {first['msg']}; the format: docs/guides/leaderboard.md") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid UTF-8 JSON ({error}); mend it.") from error
