"""Cases in an order that shows every condition early, and cases that stand for a wrong one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

from vapbench.core.case import Case

Item = TypeVar("Item")
_NOTHING = object()


def in_turn(items: Iterable[Item], group: Callable[[Item], Hashable]) -> list[Item]:
    """One item of each group, then a second of each, and so on; groups in the order they appear."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(group(item), []).append(item)
    turns = zip_longest(*groups.values(), fillvalue=_NOTHING)
    return [item for turn in turns for item in turn if item is not _NOTHING]  # type: ignore[misc]


def of_other_conditions(case: Case, among: Iterable[Case]) -> Sequence[Case]:
    """Cases of other conditions; those of the same category alone, the hardest to tell apart, where there are any."""
    others = [other for other in among if other.condition != case.condition]
    return [other for other in others if other.category == case.category] or others
