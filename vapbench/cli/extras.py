"""What a report can show besides its tables: conditions, agreement with people, figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vapbench.files.text import counted

if TYPE_CHECKING:
    from vapbench.report.model import TableModel
    from vapbench.report.tables.agreement import HumanVote, MetricAgreement


@dataclass(frozen=True)
class Extras:
    """What was asked for."""

    by_condition: bool = False
    votes: Path | None = None
    figures: tuple[Path, ...] = ()
    width: float = 3.25
    """Inches of the figures."""
    failed: list[str] = field(default_factory=list, compare=False)
    """Why figures could not be drawn."""

    @cached_property
    def ballots(self) -> Sequence[HumanVote]:
        """The votes, read once."""
        from vapbench.report.tables.agreement import read_votes

        return read_votes(self.votes) if self.votes else []

    def check(self, tables: Sequence[TableModel]) -> None:
        """Refuse what cannot be done before anything is printed.

        Raises:
            UsageError: a figure of no known kind or format.
            DataError: votes that cannot be read, or that no table's scores meet.
        """
        from vapbench.errors import DataError, ErrorKind

        if self.figures:
            from vapbench.report.render.figures import kind_of

            for path in self.figures:
                kind_of(path)
        if self.votes and not any(self._agreements(table) for table in tables):
            raise DataError(
                f"{self.votes}: no vote is on cases and methods of these runs; name the runs that were judged.",
                ErrorKind.CONFLICT,
                "votes",
            )

    def lines(self, table: TableModel, width: int | None) -> Iterator[str]:
        """Text below a table, of so many columns; None for no limit."""
        from vapbench.report.tables.breakdown import breakdown, lines

        for item in breakdown(table) if self.by_condition else ():
            yield ""
            yield from lines(item, width)
        yield from _agreement_lines(self._agreements(table), width)

    def data(self, table: TableModel) -> dict[str, Any]:
        """The same as plain data."""
        from dataclasses import asdict

        from vapbench.report.tables.breakdown import breakdown, to_json

        found: dict[str, Any] = {}
        if self.by_condition:
            found["by_condition"] = [to_json(item) for item in breakdown(table)]
        if self.votes:
            found["human_agreement"] = [asdict(result) for result in self._agreements(table)]
        return found

    def draw(self, tables: Sequence[TableModel]) -> Iterator[Path]:
        """Draw every figure of every table; with several tables, their suite and task go into the file's name."""
        for path in self.figures:
            from vapbench.errors import UsageError
            from vapbench.report.render.figures import write_figure

            for table in tables:
                added = f"-{table.suite}-{table.task or 'all'}" if len(tables) > 1 else ""
                named = "".join(c if c.isalnum() or c in "-_." else "_" for c in added)
                target = path.with_name(f"{path.stem}{named}{path.suffix}")
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    write_figure(target, table, self._agreements(table), self.width)
                except UsageError as error:
                    # One that cannot be drawn stops no other.
                    self.failed.append(f"{target}: {error}")
                else:
                    yield target

    def _agreements(self, table: TableModel) -> list[MetricAgreement]:
        from vapbench.report.tables.agreement import metric_agreement

        return metric_agreement(table, self.ballots) if self.votes else []


def _with_ends(value: float, low: float | None, high: float | None) -> str:
    """``0.71 [0.50, 0.84]``."""
    ends = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"{value:.2f}{ends}".replace("-", "\N{MINUS SIGN}")


def _agreement_lines(results: Sequence[MetricAgreement], width: int | None) -> Iterator[str]:
    """A small table for each question, and for each number of preferences where columns differ in it."""
    from vapbench.core.text_table import table_lines

    blocks: dict[str, list[tuple[str, str, str]]] = {}
    for result in results:
        interval, methods = result.accuracy, len(result.methods)
        why = f" ({interval.reason})" if interval.reason else ""
        rank = f", Spearman over {methods} methods" if methods >= 3 else ""
        ends = "" if interval.low is None or interval.high is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
        rho = "" if result.spearman is None else _with_ends(result.spearman, *(result.spearman_ends or (None, None)))
        if result.per_case is not None:
            rho += f", per case {_with_ends(result.per_case.mean, result.per_case.low, result.per_case.high)}"
        block = blocks.setdefault(f"{result.question}, of {counted(result.preferences, 'preference')}{why}{rank}", [])
        block.append((result.column.header, f"{interval.estimate:.2f}{ends}", rho))
        for category, known in result.by_category:
            block.append((f"  on {category}", _with_ends(known.estimate, known.low, known.high), ""))
    if blocks:
        yield ""
        yield "Agreement with people: share of their preferences that the metric shares; 0.50 is chance"
    for title, rows in blocks.items():
        yield ""
        yield title
        yield from table_lines(rows, width, left=3, indent=2)
