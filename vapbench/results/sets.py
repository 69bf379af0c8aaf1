"""What a set metric said of a whole run, as a file beside its rows: ``<run>/sets/<metric>-<digits>.json``.

A value holds for the very videos it was made from; :func:`videos_digest` tells whether they are still the run's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import digest, write_json
from vapbench.files.parsing import parse_json, read_text
from vapbench.results.run import RunFolder

SCHEMA = 1
_FOLDER = "sets"


@dataclass(frozen=True)
class SetResult:
    """One number for a run on a task."""

    metric: str
    version: int
    params: Mapping[str, Any]
    """Those that set the column apart; the network by name."""
    weights: str
    """Hash of the network."""
    task: str
    reference: str
    """What the outputs were compared with."""
    value: float | None
    """None where there are too few videos; never 0 for want of a number."""
    low: float | None
    high: float | None
    """95 % interval over conditions; None where there is one condition."""
    n: int
    """Videos."""
    cases: int
    clusters: int
    """Conditions."""
    note: str
    """Why there is no value."""
    videos: str
    """See :func:`videos_digest`."""
    title: str
    higher_is_better: bool
    unit: str
    digits: int
    schema: int = SCHEMA

    @property
    def definition(self) -> tuple[str, int, str]:
        """What two runs must share to stand in one column."""
        return self.metric, self.version, digest([dict(self.params), self.weights])


def videos_digest(videos: Iterable[tuple[str, int, str]]) -> str:
    """Hash of the videos of a set: case, seed and SHA-256 of each, in any order."""
    return digest(sorted([case, seed, sha256] for case, seed, sha256 in videos))


def write_result(folder: RunFolder, result: SetResult) -> Path:
    """Keep a result, in place of an earlier one of the same metric, network and task."""
    path = folder.path / _FOLDER / f"{result.metric}-{digest([*result.definition, result.task])[:8]}.json"
    write_json(path, asdict(result))
    return path


def read_results(folder: RunFolder) -> list[SetResult]:
    """The results a run folder holds.

    Raises:
        DataError: a file is damaged or of another schema.
    """
    return [_read(path) for path in sorted((folder.path / _FOLDER).glob("*.json"))]


def _read(path: Path) -> SetResult:
    try:
        data = parse_json(read_text(path))
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']}, this version reads {SCHEMA}")
        result = SetResult(**{field.name: data[field.name] for field in fields(SetResult)})
        for number in (result.value, result.low, result.high):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{number} is no value")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read ({error}); delete it, and run vapbench score again.", ErrorKind.DAMAGED, path.name
        ) from None
    return result
