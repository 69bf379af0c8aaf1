"""Is A better than B? Two runs, case by case, in every column both have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vapbench.errors import DataError, UsageError, did_you_mean
from vapbench.report.ranking import SHORTFALL, out_of_reach
from vapbench.report.read.case_notes import lines_of
from vapbench.report.read.columns import Column, columns_of, rows_of
from vapbench.report.read.evidence import Evidence, read_evidence
from vapbench.report.read.remarks import Remark, remarks_of
from vapbench.report.tables.summary import condition_of, task_names
from vapbench.results.run import RunFolder
from vapbench.stats.multiplicity import holm
from vapbench.stats.paired import McNemar, PairedDifference, mcnemar, paired_difference

SCHEMA = 1


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
    p: float | None
    """Sign-flip p-value, adjusted by Holm over the table's columns."""
    mcnemar: McNemar | None
    """For yes-or-no scores: the exact test on the cases that differ, not adjusted."""
    reason: str = ""
    """Why there is no difference."""

    @property
    def verdict(self) -> str:
        """``A``, ``B`` (which is better), ``differs`` where the column has no direction, or empty."""
        if self.p is None or self.difference is None or self.p >= 0.05 or self.difference.mean == 0:
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
        raise UsageError(f"{a.path} cannot be compared with itself; name another run, see: vapbench list runs")
    runs = (read_evidence(a), read_evidence(b))
    if runs[0].suite != runs[1].suite:
        raise DataError(f"{a.path} is of suite {runs[0].suite}, {b.path} of {runs[1].suite}: they share no case.")
    names: Sequence[str | None] = task_names(runs) if task is None else [task]
    comparisons = [_compare(runs, name) for name in names if all(run.cases(name) for run in runs)]
    if not comparisons:
        known = {name for name in task_names(runs) if name}
        wanted = f"Not both runs have cases of task {task!r}." if task else "The runs have no task in common."
        raise UsageError(wanted + (did_you_mean(task, known) if task else ""))
    return comparisons


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Plain data, ready for :func:`json.dumps`; numbers unrounded, in each metric's own unit."""
    return {
        "schema": SCHEMA,
        **asdict(comparison),
        "columns": [{**asdict(column), "verdict": column.verdict} for column in comparison.columns],
        "footers": list(comparison.footers),
        "remarks": [remark.to_json() for remark in comparison.remarks],
    }


def _compare(runs: tuple[Evidence, Evidence], task: str | None) -> Comparison:
    keys = sorted(set(runs[0].scores) & set(runs[1].scores))
    shown = {name: item for run in runs for name, item in (run.manifest.get("metrics") or {}).items()}
    planned = {case: entry for run in runs for case, entry in run.cases(task).items()}
    conditions = {case: condition_of(case, entry) for case, entry in planned.items()}
    columns = [
        _column(column, runs[0].case_means(key, task), runs[1].case_means(key, task), conditions)
        for column, key in zip(columns_of(keys, shown), keys, strict=True)
    ]
    tested = [column for column in columns if column.difference]
    adjusted = iter(holm([column.difference.p for column in tested if column.difference]).tolist())
    columns = [replace(column, p=next(adjusted)) if column.difference else column for column in columns]
    labels = [row.label for row in rows_of(runs)]
    only = sorted({key.metric for key in set(runs[0].scores) ^ set(runs[1].scores)})
    footers = (*_footers(labels, columns, len(tested), only), *lines_of(planned))
    titled = {key: column.column.title for key, column in zip(keys, columns, strict=True)}
    remarks = remarks_of(dict(zip(labels, runs, strict=True)), titled, task, every_reason=True)
    return Comparison(runs[0].suite, task, labels[0], labels[1], tuple(columns), footers, remarks)


def _column(
    column: Column, a: Mapping[str, float], b: Mapping[str, float], conditions: Mapping[str, str]
) -> ColumnComparison:
    common = [case for case in conditions if case in a and case in b]
    total = len(conditions)
    left, right = [a[case] for case in common], [b[case] for case in common]
    means = [sum(values) / len(common) if common else None for values in (left, right)]
    plain = ColumnComparison(column, means[0], means[1], len(common), total, None, None, None)
    if not common or len(common) < (1 - SHORTFALL) * total:
        return replace(plain, reason=f"not tested: {len(common)} of {total} cases have both scores")
    yes_or_no = set(left) | set(right) <= {0.0, 1.0}
    return replace(
        plain,
        difference=paired_difference(left, right, [conditions[case] for case in common]),
        mcnemar=mcnemar(left, right) if yes_or_no else None,
    )


def _footers(labels: Sequence[str], columns: Sequence[ColumnComparison], tested: int, only: list[str]) -> Iterator[str]:
    yield (
        f"{labels[0]} minus {labels[1]}, paired by case, seeds averaged; brackets: 95% bootstrap over conditions "
        f"(BCa); p: sign-flip by condition, adjusted by Holm over the {tested} tested columns of this table."
    )
    if reason := out_of_reach(max((c.difference.clusters for c in columns if c.difference), default=0), tested):
        yield reason
    methods = {column.difference.exact for column in columns if column.difference}
    if methods:
        ways = {True: "all sign patterns", False: "10,000 drawn sign patterns (p is never 0)"}
        yield f"The sign-flip test tried {' or '.join(ways[exact] for exact in sorted(methods, reverse=True))}."
    few = {column.difference.clusters for column in columns if column.difference and column.difference.low is None}
    if few:
        least = 2 / 2 ** max(few)
        yield (
            f"{max(few)} condition{'s' * (max(few) > 1)}: fewer than five give no interval, and no p below {least:.2g} "
            "before Holm, whatever the difference; compare over more conditions."
        )
    if any(column.mcnemar for column in columns):
        yield "McNemar: exact, on the cases that differ; it takes cases as independent and is not adjusted."
    yield "Columns: " + "; ".join(f"{c.column.title} is {c.column.definition}" for c in columns) + "."
    if only:
        yield f"Only one of the two was scored with: {', '.join(only)}."
