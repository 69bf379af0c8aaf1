"""What a suite knows of its cases beside their content, as lines under a table and beside a case."""

from __future__ import annotations

from collections.abc import Mapping

from vapbench.files.text import counted
from vapbench.results.manifest import PlannedCase

_TEXTS = {
    "train-reference": "a reference in the train split, which a trained model may have seen",
    "leaks-unchecked": "a target that no table lists, so whether a model was trained on it is not known",
    "held-out-rows": "no row in benchmark.csv: they are held-out rows of vap_data.csv, not the paper's benchmark",
    "image-from-output": "a first frame that was taken from their released output",
    "own-condition": "a condition of their own, so intervals take videos as independent",
}
_SHOWN = 3


def lines_of(cases: Mapping[str, PlannedCase]) -> list[str]:
    """One line per kind of note: how many of the cases have it, and the first of them.

    Args:
        cases: planned cases by id.
    """
    noted: dict[str, list[str]] = {}
    for name, case in cases.items():
        for kind in dict.fromkeys(note.kind for note in case.notes):
            noted.setdefault(kind, []).append(name)
    lines = []
    for kind, names in noted.items():
        which = ""
        if len(names) < len(cases):
            which = f": {', '.join(names[:_SHOWN])}" + ", …" * (len(names) > _SHOWN)
        lines.append(
            f"{len(names)} of {counted(len(cases), 'case')} {'has' if len(names) == 1 else 'have'} "
            f"{_TEXTS.get(kind, kind)}{which}."
        )
    return lines


def texts_of(case: PlannedCase) -> list[str]:
    """The notes of one case: what, and of which file."""
    return [f"It has {_TEXTS.get(note.kind, note.kind)}: {note.detail}" for note in case.notes if note.detail]
