"""One run in pieces: each shard is a run of its own, and merged they are the run nobody divided."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vapbench.errors import ErrorKind, UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Piece ``index`` of ``count``, counted from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``2/8``.

        Raises:
            UsageError: it is not of that form, or there is no such piece.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(
                f"--shard {text}: give the piece and how many there are, from 1/8 to 8/8.", ErrorKind.INVALID, "shard"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """The piece: neighbours stay together, for methods that load something per condition; sizes differ by one."""
        return items[len(items) * (self.index - 1) // self.count : len(items) * self.index // self.count]

    def results(self, results: Path) -> Path:
        """Where the piece's runs are kept; reports of ``results`` do not count them."""
        return results / f"shard-{self.index:0{len(str(self.count))}}of{self.count}"

    @property
    def pattern(self) -> str:
        """Shell pattern of all pieces, below the results folder."""
        return f"shard-*of{self.count}"
