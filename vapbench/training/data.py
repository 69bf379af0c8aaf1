"""Training clips of the mini suite's conditions."""

from __future__ import annotations

from collections.abc import Sequence

from vapbench.suites.mini.cases import training_clip
from vapbench.suites.mini.conditions import SEEN
from vapbench.suites.mini.render import MiniClip

SEEN_NAMES: tuple[str, ...] = tuple(condition.name for condition in SEEN)


def training_specs(per_condition: int, first: int = 0, names: Sequence[str] = SEEN_NAMES) -> list[MiniClip]:
    """Clips of seen conditions, each on a training scene of its own, condition after condition in turn.

    Args:
        per_condition: how many clips of each.
        first: how many to leave out first, for data sets that must not overlap.
        names: the conditions, all seen ones by default.
    """
    return [
        training_clip(name, index * len(names) + place)
        for index in range(first, first + per_condition)
        for place, name in enumerate(names)
    ]
