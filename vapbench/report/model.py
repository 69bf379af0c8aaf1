"""What a table is: cells, rows, columns, footers. Everything that any renderer prints, and nothing that lays it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from vapbench.files.text import counted
from vapbench.report.ranking import Versus
from vapbench.report.read.columns import Column, Row
from vapbench.report.read.remarks import Remark
from vapbench.report.read.run_summary import Why

CONFIDENCE = 0.95
MEAN = "Mean over cases, seeds averaged within a case"

# fmt: off
FooterKind = Literal[
    "cases", "mean", "conditions", "ranks", "tests", "power", "columns", "rows", "suite", "versions", "made", "votes",
    "published", "marks", "lacking",
]
# fmt: on
"""What a line below a table is about. Renderers choose by it: nothing explains what is not printed."""


class Footer(str):
    """A line below a table, and what it is about."""

    __slots__ = ("kind",)
    kind: FooterKind

    def __new__(cls, kind: FooterKind, text: str) -> Self:
        """``text`` about ``kind``."""
        made = super().__new__(cls, text)
        made.kind = kind
        return made

    def __reduce__(self) -> tuple[type[Footer], tuple[FooterKind, str]]:
        """For copies."""
        return Footer, (self.kind, str(self))


@dataclass(frozen=True)
class Cell:
    """One method's aggregate in one column.

    ``n + failed + unscored + missing == total``: every planned case is accounted for.
    """

    mean: float | None
    """Mean over the scored cases, in the metric's own unit; None if there are none."""
    low: float | None
    high: float | None
    n: int
    """Cases with a score."""
    total: int
    """Cases planned."""
    failed: int = 0
    """Cases whose generation or scoring failed."""
    unscored: int = 0
    """Cases the method or metric does not apply to."""
    reason: str = ""
    """The commonest reason why a case has no score."""
    reasons: int = 1
    """How many different ones there are."""
    why: tuple[Why, ...] = ()
    """Every reason why a case has no score, and how often."""
    conditions: int = 0
    """Conditions among the scored cases: what the interval is clustered by."""
    no_interval: str = ""
    """Why a mean has no interval."""
    place: int | None = None
    """Place among the methods that can be compared, by the digits shown; ties share it. None: not ranked."""
    ranks: tuple[int, int] | None = None
    """Best and worst rank the method may have: intervals of a column hold at once with 95 %."""
    versus: Versus | None = None
    """Difference from the reference method, if the table has one."""
    published: bool = False
    """Whether the number is a paper's, not measured here."""
    votes: int = 0
    """Votes behind a column of preferences, whose cases are those voted on; 0 in every other."""

    @property
    def missing(self) -> int:
        """Cases that nobody has generated or scored yet."""
        return self.total - self.n - self.failed - self.unscored

    @property
    def complete(self) -> bool:
        """Whether every planned case has a score; an incomplete cell is shown and never ranked."""
        return 0 < self.n == self.total

    @property
    def gone(self) -> tuple[str, ...]:
        """What became of the cases without a score: ``("1 failed", "2 unscored")``."""
        counts = ((self.failed, "failed"), (self.unscored, "unscored"), (self.missing, "missing"))
        return tuple(f"{count} {word}" for count, word in counts if count)

    def account(self) -> str:
        """Where the cases went, in words: ``10 of 12 cases: 2 unscored (the case has no caption)``."""
        if not self.total:
            return self.reason
        text = f"{self.n} of {counted(self.total, 'case')}"
        if self.gone:
            text += f": {', '.join(self.gone)}"
        if self.reason:
            text += f" ({self.reason})" if self.reasons == 1 else f" (most often: {self.reason})"
        return text


@dataclass(frozen=True)
class TableModel:
    """One table: a suite, a task, methods x metrics."""

    title: str
    suite: str
    task: str | None
    """None: every planned case."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    cells: tuple[tuple[Cell, ...], ...]
    """``cells[row][column]``."""
    footers: tuple[Footer, ...]
    """What a reader must know: how intervals are made, what the columns are, who is not ranked."""
    reference: int | None = None
    """Row that the others are compared with."""
    scores: tuple[tuple[Mapping[str, float], ...], ...] = ()
    """``scores[row][column]``: case -> score, seeds averaged; what the cells, breakdowns and figures are made of."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Case -> condition."""
    remarks: tuple[Remark, ...] = ()
    """What the rows know beyond their scores, a line each."""
    categories: Mapping[str, str] = field(default_factory=dict)
    """Case -> category."""


def scored_of(cells: Iterable[Cell]) -> tuple[int, int, int] | None:
    """What a row's columns are made of: the fewest and the most cases with a score, and the cases planned.

    A column of votes counts its own cases, and one of a part of the cases says so in its title; neither counts here.
    None if no column is left.
    """
    counts = [(cell.n, cell.total) for cell in cells if not cell.published and not cell.votes and cell.total]
    if not counts:
        return None
    total = max(planned for _, planned in counts)
    scored = [n for n, planned in counts if planned == total]
    return min(scored), max(scored), total


def places_of(column: Column, means: Sequence[float | None]) -> list[int | None]:
    """Places by displayed digits, so that equal prints get equal places; none if fewer than two compete.

    Args:
        column: direction, scale and digits.
        means: per row, in the metric's unit; None for rows that are not ranked.
    """
    shown = [None if mean is None else round(mean * column.scale, column.digits) for mean in means]
    ranked = [value for value in shown if value is not None]
    if column.higher_is_better is None or len(ranked) < 2:
        return [None] * len(means)
    sign = 1 if column.higher_is_better else -1
    return [None if value is None else 1 + sum(sign * other > sign * value for other in ranked) for value in shown]
