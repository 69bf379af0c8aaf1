"""Scores as a report keeps them: of a million rows the numbers, and words only where there are any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from vapbench.results.rows import Failure, Status

Place = tuple[str, int]
"""A case and a seed."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


class ReadScore(NamedTuple):
    """What a report needs of a score's row."""

    metric: str
    status: Status
    value: float | None
    """A finite number exactly where the status is ``ok`` and the metric gave one."""
    note: str
    failure: Failure | None
    parts: Mapping[str, Any]
    """Empty if they were not asked for."""
    kind: str = ""
    """What the note says, in words that are the same for every case."""


class Scores(Mapping[Place, ReadScore]):
    """The scores of one column of a run. Most are a number and nothing else, and are kept as one."""

    def __init__(self, metric: str) -> None:
        """Begin with none."""
        self.metric = metric
        self.numbers: dict[Place, float] = {}
        """The value of every score that has one."""
        self._told: dict[Place, ReadScore] = {}
        """Every score that has no number, or says more than it."""

    def add_number(self, place: Place, value: float) -> None:
        """Add a score that is a number and nothing else; it replaces one of its place."""
        self.numbers[place] = value
        if self._told:
            self._told.pop(place, None)

    def add(self, place: Place, score: ReadScore) -> None:
        """Add a score; it replaces one of its place."""
        if score.value is not None and not (score.note or score.kind or score.parts):
            self.add_number(place, score.value)
            return
        self._told[place] = score
        if score.value is not None:
            self.numbers[place] = score.value
        else:
            self.numbers.pop(place, None)

    def __getitem__(self, place: Place) -> ReadScore:
        if place in self._told:
            return self._told[place]
        return ReadScore(self.metric, "ok", self.numbers[place], "", None, NOTHING)

    def __iter__(self) -> Iterator[Place]:
        yield from self.numbers
        yield from (place for place in self._told if place not in self.numbers)

    def __len__(self) -> int:
        return len(self.numbers.keys() | self._told.keys())

    def __contains__(self, place: object) -> bool:
        return place in self.numbers or place in self._told

    def kinds(self) -> dict[str, set[str]]:
        """What notes say of scores with a number, in words that are the same for every case -> the cases."""
        found: dict[str, set[str]] = {}
        for (case, _), score in self._told.items():
            if score.kind and score.value is not None:
                found.setdefault(score.kind, set()).add(case)
        return found
