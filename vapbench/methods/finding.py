"""Which case and seed a video in somebody's folder belongs to, by its name and the folders it lies in.

Only names that hold a case's whole id count, in any case of letters; a caption never does. The id may stand

* in the file's name: ``ID.mp4``, with a seed ``ID__s1.mp4``, ``ID_seed1.mp4``, or as a run folder has it,
  ``ID__s1__0a1b2c3d.mp4``;
* in two parts, the first as the folder: ``condition/target--reference.mp4``;
* as the name of a folder of its own: ``ID/anything.mp4``, ``ID/1.mp4``, ``ID/seed1.mp4``.

A folder may say the seed as well: ``seed1/ID.mp4``.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from vapbench.files.walk import folded

# Nothing but what is called a seed is one: the 2 of "x-2.mp4" may be part of an id, or a second copy.
_OWN = re.compile(r"(?P<rest>.+)__s(?P<seed>-?\d{1,18})(?:__[0-9a-f]{8})?")
_NAMED = re.compile(r"(?:(?P<rest>.*?)[ _.-]+)?s(?:eed)?[ _=.-]*(?P<seed>\d{1,18})", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,18}")
# What suites write as one dash where an id is made of a file's name (VAP-Data); letters of other alphabets are not
# mapped: two names would become one.
_UNUSUAL = re.compile(r"[\x00-\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]+")
_NEAR = 0.6


@dataclass(frozen=True)
class Place:
    """What a file is the video of."""

    case: str
    seed: int | None
    """None where nothing says."""


class Cases:
    """Ids of cases, found as people spell them."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        alike = Counter(_key(name) for name in self.ids)
        self._by_key = {_key(name): name for name in self.ids if alike[_key(name)] == 1}

    def find(self, name: str) -> str | None:
        """The id that a name spells: exactly, or in another case of letters where only one can be meant."""
        return name if name in self.ids else self._by_key.get(_key(name))

    def nearest(self, name: str) -> str:
        """The id most like a name, or nothing where none is."""
        close = difflib.get_close_matches(_key(name), self._by_key, n=1, cutoff=_NEAR)
        return self._by_key[close[0]] if close else ""

    def place(self, path: PurePath) -> Place | None:
        """What the video at ``path``, relative to the folder that is scored, belongs to; None for no case."""
        stem, folders = path.stem, path.parts[-2::-1]
        over = next((seed for name in folders if (seed := _whole_seed(name)) is not None), None)
        base, seed = _split(stem)
        parent = next((f"{name}--" for name in folders if _whole_seed(name) is None), "")
        for front in dict.fromkeys(("", parent)):
            if case := self.find(front + stem):
                return Place(case, over)
            if base and (case := self.find(front + base)):
                return Place(case, seed)
        own = next((case for name in folders if (case := self.find(name))), None)
        if own is None:
            return None
        if _NUMBER.fullmatch(stem):
            return Place(own, int(stem))
        return Place(own, over if seed is None else seed)

    def place_of_any(self, path: PurePath) -> Place | None:
        """The same of a folder of frames, or of a file that may have no suffix, or several: ``ID.mp4.part``."""
        spelled = (path.with_name(f"{path.name}.mp4"), path, path.with_suffix(""))
        return next(filter(None, map(self.place, spelled)), None)


def _key(name: str) -> str:
    return _UNUSUAL.sub("-", folded(name).strip())


def _split(stem: str) -> tuple[str, int | None]:
    """A name without its seed, and the seed."""
    found = _OWN.fullmatch(stem) or _NAMED.fullmatch(stem)
    return (found["rest"] or "", int(found["seed"])) if found else ("", None)


def _whole_seed(name: str) -> int | None:
    found = _NAMED.fullmatch(name)
    return int(found["seed"]) if found and not found["rest"] else None
