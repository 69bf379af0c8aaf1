"""What reference and caption do to a score: effects, paired by case, with intervals by condition, and verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vapbench.report.ranking import SHORTFALL, Units
from vapbench.stats.intervals import Bounds, Estimate, clustered_mean
from vapbench.stats.paired import PairedDifference, Pairs, paired_differences
from vapbench.validation.probe.cells import BOTH, OWN, CaptionLevel, Cell
from vapbench.validation.probe.results import Outputs
from vapbench.validation.probe.unchanged import UNCHANGED

Name = Literal["reference", "caption", "interaction", "two references"]
Verdict = Literal["reads", "unchanged", "changes", "against", "unclear", "unknown"]


@dataclass(frozen=True)
class Effect:
    """A difference between cells."""

    name: Name
    formula: str
    difference: PairedDifference | None
    """None where more than one case in twenty lacks a score."""
    total: int
    """Cases that were asked for."""
    verdict: Verdict = "unknown"
    scored: int = 0
    """Cases that have every score it takes."""

    @property
    def clear(self) -> bool:
        """Whether its interval is clear of 0."""
        ends = (self.difference.low, self.difference.high) if self.difference else (None, None)
        return ends[0] is not None and ends[1] is not None and (ends[0] > 0 or ends[1] < 0)


@dataclass(frozen=True)
class CellSummary:
    """One cell of one method."""

    cell: Cell
    score: Estimate | None
    total: int
    change: float | None
    """Mean over cases of how far the output is from that of the own cell, in grey levels."""
    unchanged: int
    """Cases whose output is that of the own cell."""
    compared: int
    lost: Mapping[str, int]
    """Why cases have no score, and how many."""

    @property
    def still_the_same(self) -> bool:
        """Whether every output is that of the own cell."""
        return 0 < self.compared == self.unchanged


def summarise_cells(outputs: Mapping[Cell, Outputs], units: Units, bounds: Bounds) -> dict[Cell, CellSummary]:
    """Sum the cells of a method up."""
    return {cell: _summarised(cell, made, units, bounds) for cell, made in outputs.items()}


def _summarised(cell: Cell, outputs: Outputs, units: Units, bounds: Bounds) -> CellSummary:
    scores, changes = outputs.scores, outputs.changes
    return CellSummary(
        cell,
        clustered_mean(list(scores.values()), [units.of[case] for case in scores], bounds=bounds) if scores else None,
        len(units.of),
        math.fsum(changes.values()) / len(changes) if changes else None,
        sum(value <= UNCHANGED for value in changes.values()),
        len(changes),
        outputs.lost,
    )


def effects_of(
    outputs: Mapping[Cell, Outputs], summaries: Mapping[Cell, CellSummary], contrast: CaptionLevel, units: Units
) -> list[Effect]:
    """The effects of a method, tested together.

    Main effects are means over both levels of the other factor, of the four cells of the core.
    """
    core = {(r, c): outputs[Cell(r, c)].scores for r in ("own", "wrong") for c in ("own", contrast)}
    two = outputs.get(BOTH)
    said = "without its effect" if contrast == "without" else "empty"
    recipes: list[tuple[Name, str, Sequence[Mapping[str, float]], Callable[..., tuple[float, float]]]] = [
        (
            "reference",
            f"own less wrong reference, mean over captions own and {said}",
            list(core.values()),
            lambda oo, ow, wo, ww: ((oo + ow) / 2, (wo + ww) / 2),
        ),
        (
            "caption",
            f"own caption less caption {said}, mean over references own and wrong",
            list(core.values()),
            lambda oo, ow, wo, ww: ((oo + wo) / 2, (ow + ww) / 2),
        ),
        (
            "interaction",
            f"effect of the reference under the own caption less the same under the caption {said}",
            list(core.values()),
            lambda oo, ow, wo, ww: (oo - wo, ow - ww),
        ),
    ]
    if two is not None:
        recipes.append(("two references", "two references less one", [two.scores, outputs[OWN].scores], _as_they_are))
    found, pairs = [], {}
    for name, formula, parts, combine in recipes:
        common = [case for case in units.of if all(case in part for part in parts)]
        found.append(Effect(name, formula, None, len(units.of), scored=len(common)))
        if len(common) >= max(1, (1 - SHORTFALL) * len(units.of)):
            sides = [combine(*(part[case] for part in parts)) for case in common]
            clusters = [units.of[case] for case in common]
            pairs[len(found) - 1] = Pairs([a for a, _ in sides], [b for _, b in sides], clusters)
    tested = paired_differences(list(pairs.values()), unit=units.name)
    for place, difference in zip(pairs, tested, strict=True):
        found[place] = replace(found[place], difference=difference)
    return [replace(effect, verdict=_verdict(effect, summaries, contrast)) for effect in found]


def _as_they_are(a: float, b: float) -> tuple[float, float]:
    return a, b


def _verdict(effect: Effect, summaries: Mapping[Cell, CellSummary], contrast: CaptionLevel) -> Verdict:
    """What the effect of a reference or a caption says of the method."""
    changed = {"reference": Cell("wrong", "own"), "caption": Cell("own", contrast), "two references": BOTH}
    if effect.name not in changed:
        return "unknown"
    cell = summaries.get(changed[effect.name])
    if cell and cell.still_the_same:
        return "unchanged"
    if effect.difference is None:
        return "unknown"
    if effect.clear:
        return "reads" if effect.difference.mean > 0 else "against"
    return "unclear" if effect.difference.low is None else "changes"
