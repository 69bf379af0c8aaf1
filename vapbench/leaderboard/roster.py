"""What a suite says of itself: the cases, seeds and columns that a submission to its board may have.

Nothing of it comes from a submission. Cases are the suite's where it needs no data or its data is here, and those of
our own runs otherwise; columns are the suite's, as the registry defines them, and those of our own runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from vapbench.checkpoints.catalogue import absent_of
from vapbench.core.case import Case
from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import canonical_json, digest
from vapbench.report.read.run_summary import ColumnKey
from vapbench.results.keys import needed_sha256
from vapbench.results.manifest import ColumnDisplay, PlannedCase
from vapbench.results.run import RunFolder, runs_below
from vapbench.running.plan import MetricSpec, columns, field_hashes
from vapbench.suites import Suite, load_suites
from vapbench.suites.tasks import tasks_with


@dataclass(frozen=True)
class RosterColumn:
    """A column that a board has."""

    key: ColumnKey
    shown: ColumnDisplay
    weights: str | None
    """Hash of the files its values depend on; empty for none, None where they are neither on this machine nor in a
    row of ours."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value it can take."""
        low, high = self.shown.range or (None, None)
        return (-float("inf") if low is None else low, float("inf") if high is None else high)


@dataclass(frozen=True)
class Roster:
    """What one suite's board is made of."""

    suite: Suite
    cases: Mapping[str, PlannedCase]
    columns: Mapping[ColumnKey, RosterColumn]
    media: Mapping[str, Case]
    """The cases with their files, where the suite's data is here; otherwise empty."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Each case takes part with each."""
        return self.suite.seeds

    @cached_property
    def tasks(self) -> dict[str, frozenset[str]]:
        """Task -> its cases."""
        found: dict[str, set[str]] = {}
        for name, case in self.cases.items():
            for task in case.tasks:
                found.setdefault(task, set()).add(name)
        return {task: frozenset(names) for task, names in found.items()}

    def column(self, key: ColumnKey) -> RosterColumn | None:
        """The column that a row of a submission is of: one the board has, or an older version of one; None for none.

        What was released before is known by its metric alone: neither its weights nor what it looked at is kept.
        """
        if key in self.columns:
            return self.columns[key]
        newer = [
            column
            for known, column in self.columns.items()
            if (known.metric, known.params) == (key.metric, key.params) and known.version > key.version
        ]
        if not newer or key.version < 1:
            return None
        return RosterColumn(key, newer[0].shown.model_copy(update={"needs": None}), None)

    def case_sha256(self, column: RosterColumn, case: str) -> str | None:
        """Hash of the fields of a case that a column looks at; None where that is not known."""
        needs, fields = column.shown.needs, self.cases[case].fields
        if needs is None or fields is None or not set(needs) <= set(fields):
            return None
        return needed_sha256(needs, fields)

    @cached_property
    def _identities(self) -> dict[str, str]:
        """Hash of each file of the suite's data here -> the identity that rows are keyed by."""
        files = [(*(reference.video for reference in case.references), case.target) for case in self.media.values()]
        return {media.sha256: media.identity for case in files for media in case if media is not None}

    def given_as(self, case: str, sha256: str) -> str:
        """Which of a case's own files a video is, by its hash; "" for none."""
        planned = self.cases[case]
        sha256 = self._identities.get(sha256, sha256)
        fields = planned.fields or {}
        reference = [{"video": sha256, "caption": planned.reference_caption}]
        hashes = {"target": digest(sha256), "image": digest(sha256), "reference": digest(reference)}
        names = {"target": "ground truth", "image": "first frame's video", "reference": "reference"}
        return next((names[role] for role in names if fields.get(role) == hashes[role]), "")


class Rosters:
    """The rosters of every suite, each made when it is first asked for."""

    def __init__(self, results: Sequence[Path] = (), data: Path | None = None) -> None:
        """Know suites, our own runs and, if it is here, data.

        Args:
            results: folders of our own runs.
            data: what suites that need data read.
        """
        self.results, self._data = results, data
        self._known: dict[str, Roster] = {}

    def of(self, name: str) -> Roster:
        """The roster of a suite.

        Raises:
            DataError: there is no such suite, or its cases are not known here.
        """
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> Roster:
        suite = load_suites().get(name)
        if suite is None or suite.data == "videos":
            raise DataError(
                f"the board has no suite {name!r:.80}; it has those of: vapbench list suites",
                ErrorKind.UNKNOWN,
                "suite",
            )
        ours = [run for run in runs_below(self.results) if run.path.parent.name == name]
        media = suite.cases(self._data if suite.data == "required" else None) if self._readable(suite) else []
        cases = {case.id: _planned(case, suite.seeds) for case in media} or dict(_cases_of(ours))
        if not cases:
            raise DataError(
                f"the cases of {name} are not known here: name the suite's data with --data DIR",
                ErrorKind.MISSING,
                "data",
            )
        known = {column.key: column for column in _columns_of(ours)}
        for column in map(_column, columns(suite.metrics)):
            # What is not on this machine, our own rows may know.
            rows = known.get(column.key)
            known[column.key] = replace(column, weights=rows.weights) if rows and column.weights is None else column
        return Roster(suite, cases, known, {case.id: case for case in media})

    def _readable(self, suite: Suite) -> bool:
        return suite.data == "none" or self._data is not None


def _planned(case: Case, seeds: Sequence[int]) -> PlannedCase:
    return PlannedCase(
        condition=case.condition,
        category=case.category,
        tasks=sorted(tasks_with(case.condition, case.category)),
        seeds=list(seeds),
        fields=field_hashes(case),
        caption=case.caption,
        reference_caption=case.reference.caption,
    )


def _cases_of(runs: Sequence[RunFolder]) -> Iterator[tuple[str, PlannedCase]]:
    for run in runs:
        yield from run.manifest().cases.items()


def _column(column: MetricSpec) -> RosterColumn:
    key = ColumnKey(column.metric.name, column.metric.version, canonical_json(dict(column.params)))
    absent = absent_of(column.metric.name, column.params)
    return RosterColumn(key, ColumnDisplay.model_validate(column.shown()), None if absent else column.weights_sha256)


def _columns_of(runs: Sequence[RunFolder]) -> Iterator[RosterColumn]:
    for run in runs:
        shown = run.manifest().metrics
        for name in run.columns():
            for row in list(run.scores(name).values())[-1:]:
                key = ColumnKey(row.metric, row.version, canonical_json(row.params))
                yield RosterColumn(key, shown.get(row.metric, ColumnDisplay()), row.weights)
