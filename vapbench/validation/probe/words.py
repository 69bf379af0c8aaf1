"""What a probe's cells, effects and verdicts are called."""

from __future__ import annotations

from collections.abc import Mapping

from vapbench.files.text import counted
from vapbench.validation.probe.cells import Cell
from vapbench.validation.probe.effects import Effect, Verdict

_REFERENCES: Mapping[str, str] = {
    "own": "own reference",
    "another": "another of the condition",
    "wrong": "wrong reference",
    "reversed": "reference reversed",
    "still": "reference standing still",
    "none": "no reference",
    "both": "two references",
}
_CAPTIONS: Mapping[str, str] = {
    "own": "own caption",
    "without": "caption without effect",
    "empty": "empty caption",
    "wrong": "wrong caption",
}
_SAID: Mapping[str, Mapping[Verdict, str]] = {
    "reference": {
        "reads": "reads its reference",
        "unchanged": "ignores its reference: the output is unchanged with a wrong one",
        "changes": "changes with its reference, whether towards what it shows is not clear",
        "unclear": "whether it reads its reference is not clear",
        "against": "is led away from the effect by its reference",
        "unknown": "reference: not known",
    },
    "caption": {
        "reads": "follows its caption",
        "unchanged": "ignores its caption: the output is unchanged without the effect's words",
        "changes": "owes nothing that can be told to its caption",
        "unclear": "whether it follows its caption is not clear",
        "against": "is led away from the effect by its caption",
        "unknown": "caption: not known",
    },
    "two references": {
        "reads": "gains from a second reference",
        "unchanged": "ignores a second reference",
        "changes": "gains nothing that can be told from a second reference",
        "unclear": "whether it gains from a second reference is not clear",
        "against": "loses by a second reference",
        "unknown": "two references: not known",
    },
}


def cell_name(cell: Cell) -> str:
    """A cell in words; what is the case's own goes without saying, except in the own cell."""
    if cell.caption == "own":
        return _REFERENCES[cell.reference] + (", own caption" if cell.reference == "own" else "")
    if cell.reference == "own":
        return _CAPTIONS[cell.caption]
    return f"{_REFERENCES[cell.reference]}, {_CAPTIONS[cell.caption]}"


def ordered(cells: list[Cell]) -> list[Cell]:
    """Cells as they are read: references under the own caption, captions under the own reference, the rest."""
    references, captions = list(_REFERENCES), list(_CAPTIONS)

    def place(cell: Cell) -> tuple[int, int, int]:
        block = 0 if cell.caption == "own" else 1 if cell.reference == "own" else 2
        return block, references.index(cell.reference), captions.index(cell.caption)

    return sorted(cells, key=place)


def effect_name(name: str) -> str:
    """An effect in words."""
    return f"{name} effect" if name in ("reference", "caption") else name


def verdict(effect: Effect) -> str:
    """What an effect says of the method, in one clause; where it is not known or not clear, why."""
    told = said(effect.name, effect.verdict)
    if told and effect.verdict == "unknown" and effect.scored < effect.total:
        cases = counted(effect.total, "case has", "cases have")
        return f"{told}, for {effect.scored} of {cases} every score that it takes"
    if told and effect.verdict == "unclear" and effect.difference:
        return f"{told}: {effect.difference.reason}"
    return told


def said(name: str, verdict: Verdict) -> str:
    """The clause of an effect's verdict; empty for what has none, such as an interaction."""
    return _SAID.get(name, {}).get(verdict, "")
