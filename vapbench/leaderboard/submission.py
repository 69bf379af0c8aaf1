"""The submission format: a run folder, and ``submission.json`` that says whose it is and what it holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from vapbench.core.case import Name
from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import digest, file_sha256
from vapbench.files.faults import unusable
from vapbench.files.parsing import parse_json, read_text
from vapbench.leaderboard.texts import read_as, unfit_line, unfit_name, unfit_note, unfit_title
from vapbench.results.manifest import LARGEST_SEED

MANIFEST = "submission.json"
_ADDRESS = r"[!#-&(-;=?-\[\]-~]{1,300}"
"""What an address goes on with: printed ASCII without quotes, backslash and angle brackets."""
# No name before the host, which would read as one: https://github.com@example.org/ is at example.org.
_LINK = rf"https?://(?![^/?#]*@)[a-zA-Z0-9]{_ADDRESS}"
_CONTACT = rf"[A-Za-z0-9._%+-]{{1,64}}@[A-Za-z0-9.-]{{1,100}}\.[A-Za-z]{{2,20}}|{_LINK}"


def _fit(unfit: Callable[[str], str]) -> AfterValidator:
    """Refuse text of which ``unfit`` gives a reason."""

    def check(text: str) -> str:
        if reason := unfit(text):
            raise ValueError(reason)
        return text

    return AfterValidator(check)


def _matching(pattern: str, reason: str) -> AfterValidator:
    return _fit(lambda text: "" if re.fullmatch(pattern, text) else reason)


def _submitter(text: str) -> str:
    # As one word: spaces and signs between the letters are read over.
    if "vapbench" in read_as(re.sub(r"[\W_]+", "", text)):
        raise ValueError("names this project, which submits nothing")
    return text


Line = Annotated[str, StringConstraints(min_length=1), _fit(unfit_line)]


Title = Annotated[str, StringConstraints(min_length=1), _fit(unfit_title)]
Submitter = Annotated[Line, AfterValidator(_submitter)]
Contact = Annotated[str, _matching(_CONTACT, "is neither an e-mail address nor an http(s) link")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Link = Annotated[str, _matching(_LINK, "is no http(s) link, or names a user")]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=True)


class Output(_Strict):
    """One video: there is exactly one for a case and a seed."""

    case: Name
    seed: Seed
    sha256: Sha256


class Code(_Strict):
    """Where the generator can be read."""

    repository: Link
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,64}$")]


class Submission(_Strict):
    """``submission.json``."""

    schema_: int = Field(alias="schema", ge=1, le=1)
    id: Annotated[Name, _fit(unfit_name)]
    """Name of the folder."""
    title: Title
    submitter: Submitter
    contact: Contact
    """An e-mail address, or an http(s) link."""
    licence: Line
    """Under which the videos may be shown; an SPDX identifier if there is one."""
    seeds: tuple[Seed, ...] = Field(min_length=1, max_length=100)
    outputs: tuple[Output, ...] = Field(min_length=1)
    """Every output; failed generations have none."""
    code: Code | None = None
    """None for closed generators."""
    videos: Link | None = None
    """Where the videos are, each under its row's name; None if they are in the folder, or nowhere."""
    note: Annotated[str, _fit(unfit_note)] = ""


def read_submission(folder: Path) -> Submission:
    """Read ``submission.json`` of a folder.

    Raises:
        DataError: it is absent or not of this form; the message names the field.
    """
    path = folder / MANIFEST
    try:
        text = read_text(path)
        parse_json(text, unique=True)
        return Submission.model_validate_json(text)
    except OSError as error:
        raise unusable(path, error, "; write it: vapbench leaderboard pack --help") from error
    except ValidationError as error:
        raise unusable(path, error, "; the format: docs/guides/leaderboard.md") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid UTF-8 JSON ({error}); fix it.", ErrorKind.DAMAGED, MANIFEST) from error


def submission_digest(folder: Path) -> str:
    """Hash of everything a submission says: its JSON and its rows, which hold the hashes of its videos."""
    files = sorted(path for path in folder.rglob("*.json*") if path.is_file())
    return digest({path.relative_to(folder).as_posix(): file_sha256(path) for path in files})
