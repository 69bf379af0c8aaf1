"""What rows and manifests read from disk must be before anything is computed with them.

Results travel: by git, by submissions, by hand. A row whose fields are of other types is no row (its work is done
again); a manifest that is none ends in a sentence. What is checked is what readers rely on, no more: a manifest may
hold fields of a later version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

LARGEST_SEED = 2**63 - 1
"""What every random generator takes."""
_STATUSES = frozenset({"ok", "failed", "unscored"})
_VIDEO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}")
_GENERATION_TEXTS = ("key", "case", "condition", "note", "code")
_SCORE_TEXTS = ("key", "metric", "case", "condition", "video_sha256", "case_sha256", "note", "weights")
_FAILURE_TEXTS = ("type", "message", "traceback")


def is_video_name(name: object) -> bool:
    """Whether ``name`` can only be a file in the folder it is looked for in: no path, no hidden file."""
    return isinstance(name, str) and _VIDEO.fullmatch(name) is not None


def is_seed(value: object) -> bool:
    """Whether ``value`` is a whole number that random generators take."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_SEED


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def check_generation(data: Mapping[str, Any]) -> None:
    """Refuse what is no generation row.

    Raises:
        ValueError: a field has another type, the seed is out of range, or its video is no name of a file.
    """
    _check_common(data, _GENERATION_TEXTS)
    if data.get("video") is not None and not is_video_name(data["video"]):
        raise ValueError("video is no name of a file")
    if not isinstance(data.get("sha256"), str | None):
        raise ValueError("sha256 is no text")
    for name in ("seconds", "peak_mb"):
        if data.get(name) is not None and not is_number(data[name]):
            raise ValueError(f"{name} is no number")
    attempts = data.get("attempts", ())
    if not isinstance(attempts, list | tuple):
        raise ValueError("attempts is no list")
    for attempt in attempts:
        _check_failure(attempt)


def check_score(data: Mapping[str, Any]) -> None:
    """Refuse what is no score row.

    Raises:
        ValueError: a field has another type, the seed is out of range, an ok row has no finite value, or another row
            has one: a missing score is null.
    """
    _check_common(data, _SCORE_TEXTS)
    value = data.get("value")
    if (data["status"] == "ok") != (value is not None) or (value is not None and not is_number(value)):
        raise ValueError(f"status {data['status']} does not go with the value {_cut(value)}")
    if not is_seed(data.get("version")):
        raise ValueError("version is no whole number")
    if not isinstance(data.get("params"), dict) or not isinstance(data.get("parts", {}), dict):
        raise ValueError("params or parts is no object")
    if data.get("seconds") is not None and not is_number(data["seconds"]):
        raise ValueError("seconds is no number")
    if data.get("failure") is not None:
        _check_failure(data["failure"])


def _check_common(data: Mapping[str, Any], texts: tuple[str, ...]) -> None:
    for name in texts:
        if not isinstance(data.get(name, ""), str):
            raise ValueError(f"{name} is no text")
    if not isinstance(data.get("status"), str) or data["status"] not in _STATUSES:
        raise ValueError(f"status is {_cut(data.get('status'))}")
    if not is_seed(data.get("seed")):
        raise ValueError("seed is no whole number of 64 bits")
    if not isinstance(data.get("category"), str | None):
        raise ValueError("category is no text")


def _check_failure(failure: Any) -> None:
    if not isinstance(failure, dict) or not all(isinstance(failure.get(name, ""), str) for name in _FAILURE_TEXTS):
        raise ValueError("a failure is no object of texts")


def _cut(value: Any) -> str:
    return value[:40] if isinstance(value, str) else type(value).__name__


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class _Shown(_Open):
    """How a column is printed."""

    needs: list[str] | None = None
    title: str = ""
    higher_is_better: bool | None = None
    unit: str = ""
    scale: float = Field(default=1.0, allow_inf_nan=False, ge=-1e9, le=1e9)
    digits: int = Field(default=2, ge=0, le=12)
    range: Annotated[list[float | None], Field(min_length=2, max_length=2)] | None = None


class _Planned(_Open):
    condition: str | None = None
    category: str | None = None
    tasks: list[str] = []
    seeds: list[Annotated[int, Field(ge=-LARGEST_SEED, le=LARGEST_SEED)]] = []
    fields: dict[str, Any] | None = None
    media: str | None = None
    caption: str | None = None
    reference: str | None = None
    reference_caption: str | None = None
    image: str | None = None
    target: str | None = None


class _Card(_Open):
    title: str | None = None
    kind: str | None = None
    notes: list[str] | None = None


class _Identity(_Open):
    suite: str
    name: str
    parameters: dict[str, Any] | None = None


class Manifest(_Open):
    """``manifest.json``: what readers rely on."""

    identity: _Identity
    cases: dict[str, _Planned] = {}
    metrics: dict[str, _Shown] = {}
    card: _Card | None = None
    sessions: list[dict[str, Any]] = []
