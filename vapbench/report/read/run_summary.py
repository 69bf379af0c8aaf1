"""What a run folder says about each case: scored, failed, unscored, or not there yet.

The one reading of rows that tables and pages share. Nothing here opens a video.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from vapbench.errors import in_one_line
from vapbench.report.read.scores import Place, ReadScore, Scores
from vapbench.results.manifest import Identity, Manifest, PlannedCase
from vapbench.results.rows import Failure, GenerationRow
from vapbench.results.run import RunFolder
from vapbench.stats.intervals import mean_within

State = Literal["scored", "failed", "unscored", "missing"]
_LOST: tuple[State, ...] = ("failed", "unscored", "missing")
_REASONS = 3
"""At most so many are told for videos that are not there."""


@dataclass(frozen=True, order=True)
class ColumnKey:
    """A definition of a score: rows that differ in any of these never share a column."""

    metric: str
    version: int
    params: str
    """Canonical JSON of the parameters."""


def chosen(keys: Iterable[ColumnKey], names: Iterable[str]) -> set[ColumnKey]:
    """Columns that are meant by names as a command line spells them.

    Args:
        keys: the columns there are.
        names: ``metric:key=value`` is the column of these parameters alone, and ``metric`` the one of none. Where no
            column is spelled so, ``metric`` is every one of that name, whatever its variant and parameters.
    """
    columns, found = list(keys), set[ColumnKey]()
    for name in names:
        exact = {key for key in columns if _is_spelled(key, name)}
        found |= exact or {key for key in columns if name in (key.metric, key.metric.partition("[")[0])}
    return found


def _is_spelled(key: ColumnKey, name: str) -> bool:
    if not name.startswith(key.metric):
        return False
    given = name.removeprefix(key.metric).removeprefix(":")
    own = ",".join(f"{parameter}={value}" for parameter, value in json.loads(key.params).items())
    one, other = (sorted(part.strip().lower() for part in text.split(",")) for text in (given, own))
    return one == other


@dataclass(frozen=True)
class Why:
    """Why cases of a column have no score."""

    state: State
    reason: str
    count: int
    """Cases of which it is true."""


@dataclass(frozen=True)
class CaseOutcome:
    """What one metric says of one case, or of one seed of it."""

    state: State
    value: float | None = None
    """The score in the metric's own unit; a number exactly where the state is ``scored``."""
    reason: str = ""
    """Why there is no number; for a scored case, the metric's note."""
    row: ReadScore | None = None
    """What is behind it; None for a case of several seeds, and where nothing was scored."""


@dataclass(frozen=True)
class RunSummary:
    """One run folder, read once."""

    folder: RunFolder
    manifest: Manifest
    generations: Mapping[str, tuple[GenerationRow, ...]]
    """Case -> its current generations by seed, without those of an earlier version of the case."""
    scores: Mapping[ColumnKey, Scores]
    """Column -> (case, seed) -> score, without scores of a video that is no longer the current one."""
    files: Mapping[ColumnKey, str]
    """Column -> hash of the files its scores depend on (weights, a metric's own code); empty where there are none."""

    @property
    def identity(self) -> Identity:
        """What the run is: suite, method (``name``), version, parameters, weights."""
        return self.manifest.identity

    @property
    def method(self) -> str:
        """Name of the method, whatever the run is called."""
        return self.identity.name or self.label

    @property
    def label(self) -> str:
        """What the run is called: its folder's name, without the digits that stand for parameters."""
        return self.folder.path.name.partition("~")[0]

    @property
    def suite(self) -> str:
        """Name of the suite."""
        return self.identity.suite or self.folder.path.parent.name

    def cases(self, task: str | None = None) -> Mapping[str, PlannedCase]:
        """Planned cases of a task (None: all) by id."""
        return self._by_task.get(task, {})

    def conditions(self, task: str | None = None) -> Mapping[str, str]:
        """What each planned case of a task is clustered by."""
        if task not in self._conditions:
            self._conditions[task] = {case: condition_of(case, planned) for case, planned in self.cases(task).items()}
        return self._conditions[task]

    @cached_property
    def _conditions(self) -> dict[str | None, dict[str, str]]:
        return {}

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks that any planned case belongs to, in order of first appearance."""
        return tuple(task for task in self._by_task if task is not None)

    def seeds(self, task: str | None = None) -> list[int]:
        """Number of seeds of each planned case that has any."""
        return [len(self.generations[case]) for case in self.cases(task) if case in self.generations]

    def without_video(self, task: str | None = None) -> str:
        """How many videos of a task's cases there are not, and why; empty if none failed or was unscored."""
        made = [_outcome(row, None) for case in self.cases(task) for row in self.generations.get(case, ())]
        lost = [outcome.reason for outcome in made if outcome.state != "missing"]
        if not lost:
            return ""
        reasons = Counter(lost).most_common()
        told = [f"{count}: {reason}" for reason, count in reasons[:_REASONS]] if len(reasons) > 1 else [reasons[0][0]]
        more = "; …" if len(reasons) > _REASONS else ""
        return f"no video for {len(lost)} of {len(made)} ({'; '.join(told)}{more})"

    def why(self, column: ColumnKey, task: str | None = None) -> tuple[Why, ...]:
        """Why cases of a task have no score: what failed first, then what was unscored, then what is not there yet."""
        if len(self.case_means(column, task)) == len(self.cases(task)):
            return ()
        outcomes = [self.outcome(column, case) for case in self.cases(task)]
        counts = Counter((outcome.state, outcome.reason) for outcome in outcomes if outcome.state != "scored")
        return tuple(
            Why(state, reason, count)
            for wanted in _LOST
            for (state, reason), count in counts.most_common()
            if state == wanted
        )

    def outcomes(self, column: ColumnKey, case: str) -> list[CaseOutcome]:
        """What ``column`` says of each seed of ``case``, in the order of :attr:`generations`."""
        rows: Mapping[Place, ReadScore] = self.scores.get(column, {})
        lacking = "not scored yet" if column in self.scores else "not scored with this metric"
        return [_outcome(made, rows.get((case, made.seed)), lacking) for made in self.generations.get(case, ())]

    def case_means(self, column: ColumnKey, task: str | None = None) -> dict[str, float]:
        """Case -> the value of its :meth:`outcome`, for the cases of a task that have one; computed once."""
        if (column, task) not in self._means:
            self._means[column, task] = self._case_means(column, task)
        return self._means[column, task]

    def _case_means(self, column: ColumnKey, task: str | None) -> dict[str, float]:
        if column not in self.scores:
            return {}
        numbers, means = self.scores[column].numbers, dict[str, float]()
        for case, places in self._to_score(task):
            if len(places) == 1:
                if (value := numbers.get(places[0])) is not None:
                    means[case] = value
                continue
            values = [value for place in places if (value := numbers.get(place)) is not None]
            if len(values) == len(places):
                means[case] = math.fsum(values) / len(values)
        return means

    @cached_property
    def _means(self) -> dict[tuple[ColumnKey, str | None], dict[str, float]]:
        return {}

    def yes_or_no(self, column: ColumnKey) -> bool:
        """Whether every score of a column is 1 or 0, as of a metric that says yes or no."""
        return column not in self.scores or {*self.scores[column].numbers.values()} <= {0, 1}

    def outcome(self, column: ColumnKey, case: str) -> CaseOutcome:
        """What ``column`` says of ``case``: the mean over its seeds.

        A case counts as scored only when all its seeds are. A mean over the seeds that happened to survive
        would favour whatever does not crash.
        """
        seeds = self.outcomes(column, case)
        if not seeds or self._planned_seeds(case) - {made.seed for made in self.generations[case]}:
            # A seed that failed says more than one that is still to come.
            failed = (outcome for outcome in seeds if outcome.state == "failed")
            return next(failed, CaseOutcome("missing", reason="not generated yet"))
        if len(seeds) == 1:
            return seeds[0]
        for state in ("failed", "missing", "unscored"):
            for outcome in seeds:
                if outcome.state == state:
                    return CaseOutcome(state, reason=outcome.reason)
        values = [(case, outcome.value) for outcome in seeds if outcome.value is not None]
        notes = dict.fromkeys(outcome.reason for outcome in seeds if outcome.reason)
        return CaseOutcome("scored", mean_within(values)[case], "; ".join(notes))

    @cached_property
    def _by_task(self) -> dict[str | None, dict[str, PlannedCase]]:
        planned = self.manifest.cases
        found: dict[str | None, dict[str, PlannedCase]] = {None: dict(planned)}
        for name, case in planned.items():
            for task in case.tasks:
                found.setdefault(task, {})[name] = case
        return found

    def _to_score(self, task: str | None) -> list[tuple[str, tuple[Place, ...]]]:
        """Every case of a task that has all its planned generations, and where their scores are."""
        if task not in self._complete:
            self._complete[task] = [
                (case, tuple((case, row.seed) for row in rows))
                for case, planned in self.cases(task).items()
                if (rows := self.generations.get(case))
                and all(row.status == "ok" for row in rows)
                and {row.seed for row in rows}.issuperset(planned.seeds)
            ]
        return self._complete[task]

    @cached_property
    def _complete(self) -> dict[str | None, list[tuple[str, tuple[Place, ...]]]]:
        return {}

    def _planned_seeds(self, case: str) -> set[int]:
        planned = self.manifest.cases.get(case)
        return set(planned.seeds) if planned else set()


def condition_of(case: str, planned: PlannedCase) -> str:
    """What a planned case is clustered by."""
    return case if planned.condition is None else planned.condition


def explain(failure: Failure | None) -> str:
    """One line for a failure: its type and the first line of its message."""
    if failure is None:
        return "failed without a message"
    return in_one_line(failure.type, failure.message)


def _outcome(made: GenerationRow, score: ReadScore | None, lacking: str = "not scored yet") -> CaseOutcome:
    if made.status == "failed":
        return CaseOutcome("failed", reason=explain(made.attempts[-1] if made.attempts else None))
    if made.status == "unscored":
        return CaseOutcome("unscored", reason=made.note or "the method does not apply")
    if score is None:
        return CaseOutcome("missing", reason=lacking)
    if score.status == "failed":
        return CaseOutcome("failed", reason=explain(score.failure), row=score)
    if score.status == "unscored" or score.value is None:
        return CaseOutcome("unscored", reason=score.note or "the metric does not apply", row=score)
    return CaseOutcome("scored", float(score.value), score.note, score)
