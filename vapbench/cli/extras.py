"""What a report can show besides its tables: conditions, agreement with people, figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vapbench.report.human import HumanVote, MetricAgreement
    from vapbench.report.table import TableModel


@dataclass(frozen=True)
class Extras:
    """What was asked for."""

    by_condition: bool = False
    votes: Path | None = None
    figures: tuple[Path, ...] = ()

    @cached_property
    def ballots(self) -> Sequence[HumanVote]:
        """The votes, read once."""
        from vapbench.report.human import read_votes

        return read_votes(self.votes) if self.votes else []

    def check(self, tables: Sequence[TableModel]) -> None:
        """Refuse what cannot be done before anything is printed.

        Raises:
            UsageError: a figure of no known kind or format.
            DataError: votes that cannot be read, or that no table's scores meet.
        """
        from vapbench.errors import DataError

        if self.figures:
            from vapbench.report.figures import kind_of

            for path in self.figures:
                kind_of(path)
        if self.votes and not any(self._agreements(table) for table in tables):
            raise DataError(
                f"{self.votes}: no vote is on cases and methods of these runs; name the runs that were judged."
            )

    def lines(self, table: TableModel) -> Iterator[str]:
        """Text below a table."""
        from vapbench.report.breakdown import breakdown, lines

        for item in breakdown(table) if self.by_condition else ():
            yield ""
            yield from lines(item)
        for number, result in enumerate(self._agreements(table)):
            if not number:
                yield ""
                yield "Agreement with people: share of their preferences that the metric shares; 0.50 is chance"
            yield f"  {_agreement_text(result)}"

    def data(self, table: TableModel) -> dict[str, Any]:
        """The same as plain data."""
        from dataclasses import asdict

        from vapbench.report.breakdown import breakdown, to_json

        found: dict[str, Any] = {}
        if self.by_condition:
            found["by_condition"] = [to_json(item) for item in breakdown(table)]
        if self.votes:
            found["human_agreement"] = [asdict(result) for result in self._agreements(table)]
        return found

    def draw(self, tables: Sequence[TableModel]) -> Iterator[Path]:
        """Draw every figure of every table; with several tables, their suite and task go into the file's name."""
        for path in self.figures:
            from vapbench.report.figures import write_figure

            for table in tables:
                name = "-".join([path.stem, table.suite, table.task or "all"]) if len(tables) > 1 else path.stem
                target = path.with_name("".join(c if c.isalnum() or c in "-_." else "_" for c in name) + path.suffix)
                target.parent.mkdir(parents=True, exist_ok=True)
                write_figure(target, table, self._agreements(table))
                yield target

    def _agreements(self, table: TableModel) -> list[MetricAgreement]:
        from vapbench.report.human import metric_agreement

        return metric_agreement(table, self.ballots) if self.votes else []


def _agreement_text(result: MetricAgreement) -> str:
    interval = result.accuracy
    ends = (
        f" [{interval.low:.2f}, {interval.high:.2f}]" if interval.low is not None and interval.high is not None else ""
    )
    rho = "" if result.spearman is None else f", Spearman over {len(result.methods)} methods {result.spearman:.2f}"
    why = f" ({interval.reason})" if interval.reason else ""
    return (
        f"{result.question}, {result.column.title}: {interval.estimate:.2f}{ends} "
        f"of {result.preferences:,} preferences{why}{rho}"
    )
