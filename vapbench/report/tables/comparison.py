"""Is A better than B? Two runs, case by case, in every column both have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vapbench.errors import DataError, ErrorKind, UsageError, did_you_mean
from vapbench.files.text import counted
from vapbench.report.ranking import SHORTFALL, Units, fixed_note, out_of_reach, units_of
from vapbench.report.read.case_notes import lines_of
from vapbench.report.read.columns import Column, columns_of, rows_of
from vapbench.report.read.other_cases import cases_apart, line_of, seen_by
from vapbench.report.read.read_runs import read_summary, split_by_files
from vapbench.report.read.remarks import Remark, remarks_of
from vapbench.report.read.run_summary import RunSummary, condition_of
from vapbench.report.read.versions import version_lines
from vapbench.report.tables.summary import task_names
from vapbench.results.run import RunFolder
from vapbench.stats import STATISTICS_VERSION
from vapbench.stats.paired import PairedDifference, Pairs, paired_differences
from vapbench.suites.tasks import task_called

SCHEMA = 2
ALPHA = 0.05


@dataclass(frozen=True)
class ColumnComparison:
    """One column of a comparison. Numbers are in the metric's own unit."""

    column: Column
    mean_a: float | None
    """Mean of A over the common cases; None if there are none."""
    mean_b: float | None
    n: int
    """Cases that both have a score for."""
    total: int
    """Cases that either planned."""
    difference: PairedDifference | None
    """A minus B over the common cases; None if there are too few of them to say."""
    yes_or_no: bool = False
    """Whether every score is 1 or 0: the test is then McNemar's for clustered cases."""
    reason: str = ""
    """Why there is no difference."""

    @property
    def alone(self) -> str:
        """What the column says by itself, as ranks of a report do: as :attr:`verdict`."""
        return "" if self.difference is None else self._better(self.difference.p)

    @property
    def verdict(self) -> str:
        """``A``, ``B`` (which is better), ``differs`` where the column has no direction, or empty.

        All verdicts of a table hold at once with 95 %.
        """
        return "" if self.difference is None else self._better(self.difference.adjusted)

    def _better(self, p: float) -> str:
        if self.difference is None or p >= ALPHA or self.difference.mean == 0:
            return ""
        if self.column.higher_is_better is None:
            return "differs"
        return "A" if (self.difference.mean > 0) == self.column.higher_is_better else "B"


@dataclass(frozen=True)
class Comparison:
    """Two runs on one task."""

    suite: str
    task: str | None
    a: str
    """What A is called."""
    b: str
    columns: tuple[ColumnComparison, ...]
    footers: tuple[str, ...]
    remarks: tuple[Remark, ...] = ()
    """What the rows of the two know beyond their scores."""


def compare(a: RunFolder, b: RunFolder, task: str | None = None) -> list[Comparison]:
    """Compare two runs, per task and over all tasks.

    Args:
        a: a run folder.
        b: another of the same suite.
        task: only this task; None for every task both planned cases of.

    Returns:
        One comparison per task, small tasks first.

    Raises:
        UsageError: the two are one run, neither has a case of the task, or they share no case (with a suggestion).
        DataError: the runs are of different suites, or a folder is damaged.
    """
    if a.path.resolve() == b.path.resolve():
        raise UsageError(
            f"{a.path} cannot be compared with itself; name another run, see: vapbench list runs",
            ErrorKind.CONFLICT,
            "run",
        )
    one, other = split_by_files([read_summary(a), read_summary(b)])
    runs = one, other
    if runs[0].suite != runs[1].suite:
        raise DataError(
            f"{a.path} is of suite {runs[0].suite}, {b.path} of {runs[1].suite}: they share no case.",
            ErrorKind.CONFLICT,
            "suite",
        )
    task = task and task_called(task)
    names: Sequence[str | None] = task_names(runs) if task is None else [task]
    comparisons = [_compare(runs, name) for name in names if all(run.cases(name) for run in runs)]
    if not comparisons:
        known = {name for name in task_names(runs) if name}
        wanted = f"Not both runs have cases of task {task!r}." if task else "The runs have no task in common."
        raise UsageError(wanted + (did_you_mean(task, known) if task else ""), ErrorKind.UNKNOWN, "task")
    return comparisons


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Plain data, ready for :func:`json.dumps`; numbers unrounded, in each metric's own unit."""
    return {
        "schema": SCHEMA,
        **asdict(comparison),
        "columns": [
            {**asdict(column), "verdict": column.verdict, "alone": column.alone} for column in comparison.columns
        ],
        "footers": list(comparison.footers),
        "remarks": [remark.to_json() for remark in comparison.remarks],
    }


def _compare(runs: tuple[RunSummary, RunSummary], task: str | None) -> Comparison:
    keys = sorted(set(runs[0].scores) & set(runs[1].scores))
    shown = {name: item for run in runs for name, item in run.manifest.metrics.items()}
    planned = {case: entry for run in runs for case, entry in run.cases(task).items()}
    conditions = {case: condition_of(case, entry) for case, entry in planned.items()}
    units = units_of(conditions)
    columns, pairs, apart, touched = [], {}, cases_apart(runs, task), False
    for place, (column, key) in enumerate(zip(columns_of(keys, shown), keys, strict=True)):
        other = set(seen_by(key, runs, apart))
        touched |= bool(other)
        a, b = ({c: mean for c, mean in run.case_means(key, task).items() if c not in other} for run in runs)
        found, pair = _column(column, a, b, units)
        columns.append(replace(found, yes_or_no=bool(pair) and all(run.yes_or_no(key) for run in runs)))
        if pair:
            pairs[place] = pair
    for place, difference in zip(pairs, paired_differences(list(pairs.values()), unit=units.name), strict=True):
        columns[place] = replace(columns[place], difference=difference)
    labels = [row.label for row in rows_of(runs)]
    alone = [{key.metric for key in set(one.scores) - set(other.scores)} for one, other in (runs, runs[::-1])]
    versions = version_lines(dict(zip(labels, runs, strict=True)))
    left_out = "; columns that look at what differs leave them out" if touched else ""
    differing = [line_of(apart, left_out)] if apart else []
    footers = (*_footers(labels, columns, conditions, alone), *differing, *lines_of(planned), *versions)
    titled = {key: column.column.title for key, column in zip(keys, columns, strict=True)}
    remarks = remarks_of(dict(zip(labels, runs, strict=True)), titled, task, every_reason=True)
    return Comparison(runs[0].suite, task, labels[0], labels[1], tuple(columns), footers, remarks)


def _column(
    column: Column, a: Mapping[str, float], b: Mapping[str, float], units: Units
) -> tuple[ColumnComparison, Pairs | None]:
    """Means over the common cases, and what is to be tested, if there are enough of them."""
    common = [case for case in units.of if case in a and case in b]
    total = len(units.of)
    left, right = [a[case] for case in common], [b[case] for case in common]
    means = [sum(values) / len(common) if common else None for values in (left, right)]
    plain = ColumnComparison(column, means[0], means[1], len(common), total, None)
    if not common or len(common) < (1 - SHORTFALL) * total:
        have = "has" if len(common) == 1 else "have"
        return replace(plain, reason=f"not tested: {len(common)} of {counted(total, 'case')} {have} both scores"), None
    return plain, Pairs(left, right, [units.of[case] for case in common])


def _footers(
    labels: Sequence[str], columns: Sequence[ColumnComparison], conditions: Mapping[str, str], alone: list[set[str]]
) -> Iterator[str]:
    units, differences = units_of(conditions), [column.difference for column in columns if column.difference]
    yield (
        f"{labels[0]} minus {labels[1]}, paired by case, seeds averaged; p: sign-flip of {units.how}; brackets: the "
        "differences it does not reject, 95%; p, all: adjusted for the "
        f"{counted(len(differences), 'tested column')} together (step-down max-t; statistics {STATISTICS_VERSION})."
    )
    yield "Better: A or B by p, all; (A) or (B) in that column alone, by p, as ranks of vapbench report are."
    if units.fixed:
        yield fixed_note(conditions)
    if reason := out_of_reach(max((difference.clusters for difference in differences), default=0), units.name):
        yield reason
    ways = {True: "all sign patterns", False: "10,000 drawn sign patterns (p is never 0)"}
    if tried := {difference.exact for difference in differences}:
        yield f"The sign-flip test tried {' or '.join(ways[exact] for exact in sorted(tried, reverse=True))}."
    lacking: dict[str, list[str]] = {}
    for column in columns:
        if column.difference and column.difference.reason:
            lacking.setdefault(column.difference.reason, []).append(column.column.title)
    yield from (f"No interval for {', '.join(titles)}: {reason}." for reason, titles in lacking.items())
    if any(column.yes_or_no for column in columns):
        yield "Of yes-or-no scores the sign-flip test is McNemar's for clustered cases (exact for one case each)."
    yield "Columns: " + "; ".join(f"{c.column.title} is {c.column.definition}" for c in columns) + "."
    if differing := sorted(alone[0] & alone[1]):
        yield f"Not by the same version, parameters or files in both, and not compared: {', '.join(differing)}."
    if only := sorted(alone[0] ^ alone[1]):
        yield f"Only one of the two was scored with: {', '.join(only)}."
