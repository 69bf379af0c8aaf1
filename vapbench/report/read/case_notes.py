"""What a suite knows of its cases beside their content, as lines under a table and beside a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_TEXTS = {
    "train-reference": "a reference in the train split, which a trained model may have seen",
    "leaks-unchecked": "a target that no table lists, so whether a model was trained on it is not known",
    "held-out-rows": "no row in benchmark.csv: they are held-out rows of vap_data.csv, not the paper's benchmark",
    "image-from-output": "a first frame that was taken from their released output",
    "own-condition": "a condition of their own, so intervals take videos as independent",
}
_SHOWN = 3


def lines_of(cases: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line per kind of note: how many of the cases have it, and the first of them.

    Args:
        cases: id -> what the manifest says of the case.
    """
    noted: dict[str, list[str]] = {}
    for name, case in cases.items():
        for kind in dict.fromkeys(_kinds(case)):
            noted.setdefault(kind, []).append(name)
    lines = []
    for kind, names in noted.items():
        which = ""
        if len(names) < len(cases):
            which = f": {', '.join(names[:_SHOWN])}" + ", …" * (len(names) > _SHOWN)
        lines.append(f"{len(names)} of {len(cases)} cases have {_TEXTS.get(kind, kind)}{which}.")
    return lines


def texts_of(case: Mapping[str, Any]) -> list[str]:
    """The notes of one case: what, and of which file."""
    notes = case.get("notes") or ()
    return [
        f"It has {_TEXTS.get(note['kind'], note['kind'])}: {note['detail']}" for note in notes if note.get("detail")
    ]


def _kinds(case: Mapping[str, Any]) -> Iterable[str]:
    return (str(note["kind"]) for note in case.get("notes") or ())
