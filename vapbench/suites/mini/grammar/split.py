"""Which conditions training may use, which it never sees, and which the benchmark asks for.

Held out are a range of values and a combination in every family. The conditions of training are drawn one by
one from what is left, so that the first hundred are the same however many are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count, islice
from typing import Any, Literal

from vapbench.suites.mini.grammar.distance import distance
from vapbench.suites.mini.grammar.drawing import draw
from vapbench.suites.mini.grammar.parameters import CATEGORIES, Category, Semantics
from vapbench.suites.mini.scenes import seeded

TRAINING_CONDITIONS = 160
"""Conditions of each category that training uses unless told otherwise."""
SEEN_CONDITIONS = 7
"""Conditions of each category that the benchmark asks for, of those training uses."""
_APART = 0.5
"""Least distance of two of the benchmark's conditions in one group, where 1 is that of any two."""


@dataclass(frozen=True)
class Rule:
    """What no condition of training shows."""

    category: Category
    kind: Literal["value", "combination"]
    what: str
    """In words."""
    covers: Callable[[Any], bool]
    """Whether a condition of the category falls under it."""


RULES: tuple[Rule, ...] = (
    Rule("concept", "value", "six petals or tips", lambda c: c.outline in ("flower", "star") and c.lobes == 6),
    Rule("concept", "combination", "a star of metal", lambda c: c.outline == "star" and c.material == "metal"),
    Rule("style", "value", "greens, hues of 105 to 150 degrees", lambda s: 7 / 24 - 0.01 < s.hue < 10 / 24 + 0.01),
    Rule("style", "combination", "lines on a negative", lambda s: s.texture == "lines" and s.palette == "reversed"),
    Rule(
        "motion",
        "value",
        "paths that set out at 210 to 255 degrees",
        lambda m: m.path != "none" and 14 / 24 - 0.01 < m.direction < 17 / 24 + 0.01,
    ),
    Rule("motion", "combination", "rounds while throbbing", lambda m: m.path.endswith("clockwise") and m.swell > 0),
    Rule(
        "camera",
        "value",
        "pans towards 30 to 75 degrees",
        lambda c: c.distance > 0 and 2 / 24 - 0.01 < c.direction < 5 / 24 + 0.01,
    ),
    Rule("camera", "combination", "a zoom with a roll", lambda c: c.zoom != 0 and c.roll != 0),
)
"""Everything that is held out."""


def broken_rules(semantics: Semantics) -> tuple[Rule, ...]:
    """The rules that keep a condition from training; none of those it uses has any."""
    return tuple(rule for rule in RULES if rule.category == semantics.category and rule.covers(semantics))


def training_conditions(category: Category, number: int = TRAINING_CONDITIONS) -> tuple[Semantics, ...]:
    """The first conditions of a category that training uses, all different."""
    return tuple(islice(_drawn(category, "training", lambda s: not broken_rules(s)), number))


@cache
def seen_conditions(category: Category) -> tuple[Semantics, ...]:
    """Conditions of training that the benchmark asks for, well apart."""
    return _apart(iter(training_conditions(category)), SEEN_CONDITIONS)


@cache
def zero_shot_conditions(category: Category) -> tuple[Semantics, ...]:
    """Conditions of the benchmark under the category's rules, by value and by combination in turn, well apart."""
    value, combination = (rule for rule in RULES if rule.category == category)
    # One rule gets two of the three: values of moves, combinations of looks, so that both kinds are six in all.
    rules = [value, combination, value if category in ("motion", "camera") else combination]
    found: tuple[Semantics, ...] = ()
    for place, rule in enumerate(rules):
        found = _apart(_drawn(category, f"zero-shot {place}", _breaks(rule)), len(found) + 1, found)
    return found


def _breaks(rule: Rule) -> Callable[[Semantics], bool]:
    return lambda semantics: broken_rules(semantics) == (rule,)


def _apart(drawn: Iterator[Semantics], number: int, found: tuple[Semantics, ...] = ()) -> tuple[Semantics, ...]:
    while len(found) < number:
        new = next(drawn)
        if all(distance(new, other) > _APART for other in found):
            found += (new,)
    return found


def _drawn(category: Category, purpose: str, wanted: Callable[[Semantics], bool]) -> Iterator[Semantics]:
    """Different conditions of a category without end, in an order that is always the same."""
    seen = set[Semantics]()
    for index in count():
        new = draw(category, seeded("grammar", purpose, category, index))
        if new not in seen and wanted(new):
            seen.add(new)
            yield new


def all_training_conditions(per_category: int = TRAINING_CONDITIONS) -> tuple[Semantics, ...]:
    """The conditions of training of all categories, one of each category in turn."""
    columns = [training_conditions(category, per_category) for category in CATEGORIES]
    return tuple(semantics for row in zip(*columns, strict=True) for semantics in row)
