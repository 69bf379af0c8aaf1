"""What of a plan is left to do, by what the run folder holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from vapbench.core.case import Case
from vapbench.errors import DataError, ErrorKind
from vapbench.files.text import counted, some
from vapbench.methods.folder import Folder
from vapbench.results.keys import needed_sha256, score_keys
from vapbench.results.rows import GenerationRow, ScoreRow, Status, uncollected
from vapbench.results.run import RunFolder
from vapbench.running.plan import Job, MetricSpec, RunPlan, case_for_keys, field_hashes

log = logging.getLogger(__name__)

Refresh = Literal["missing", "failed", "all"]
Todo = TypeVar("Todo")
Done = TypeVar("Done")


@dataclass(frozen=True)
class Pending(Generic[Todo, Done]):
    """What a stage has to do."""

    jobs: Sequence[Todo]
    restored: Sequence[Done]
    """Finished rows that stand behind a later row of the same case and seed (the data was changed and changed back):
    they are appended again, so that the last row is the current one."""
    kept: int
    """Results that are finished, failed ones included."""
    kept_failed: int


def pending(plan: RunPlan, refresh: Refresh) -> Pending[Job, GenerationRow]:
    """Split a plan by what the run folder holds."""
    with uncollected():
        rows = plan.folder.generations()
    last = {(row.case, row.seed): row.key for row in rows.values()}
    jobs, restored, failed = [], [], 0
    for job in plan.jobs:
        row = rows.get(job.key)
        if row is None or _again(row.status, refresh) or (row.status == "ok" and not plan.folder.has_video(row)):
            jobs.append(job)
            continue
        failed += row.status == "failed"
        if last[job.case.id, job.seed] != job.key:
            restored.append(row)
    return Pending(jobs, restored, len(plan.jobs) - len(jobs), failed)


def _again(status: Status, refresh: Refresh) -> bool:
    return refresh == "all" or (refresh == "failed" and status != "ok")


@dataclass(frozen=True)
class ScoreJob:
    """One video and the columns it still needs."""

    row: GenerationRow
    video: Path
    case: Case
    columns: tuple[MetricSpec, ...]


class ScoresOnDisk:
    """The scores that a run folder holds of the wanted columns, read once: of a million rows, keys and statuses."""

    def __init__(self, folder: RunFolder, wanted: Sequence[MetricSpec], refresh: Refresh) -> None:
        self._folder, self._wanted, self._refresh = folder, wanted, refresh
        self._held = [_Held.read(folder, column) for column in wanted]
        self._needs = frozenset[str]().union(*(column.metric.needs for column in wanted))
        self._case, self._begun = "", list[Any]()

    def complete(self, rows: Sequence[GenerationRow], cases: Mapping[str, Case]) -> bool:
        """Whether they are the scores of these videos, all ok, in this order, and no others.

        So one command leaves them, and a million are compared at once. False says nothing.
        """
        if self._refresh == "all" or not all(held.is_ok_for(len(rows)) for held in self._held):
            return False
        return all(
            keys == score_keys(self._begun_keys(cases[row.case]), row.seed, row.sha256 or "")
            for row, *keys in zip(rows, *(held.keys for held in self._held), strict=True)
        )

    def lacking(self, row: GenerationRow, case: Case) -> Pending[ScoreJob, ScoreRow]:
        """What the video of ``row``, which the folder has, lacks: one job or none."""
        keys = score_keys(self._begun_keys(case), row.seed, row.sha256 or "")
        missing, restored, kept, failed = [], [], 0, 0
        for column, held, key in zip(self._wanted, self._held, keys, strict=True):
            status = held.status.get(key)
            if status is None or _again(status, self._refresh):
                missing.append(column)
                continue
            kept += 1
            failed += status == "failed"
            if key in held.behind:
                restored.append(held.rows[key])
        video = self._folder.videos / str(row.video)
        return Pending([ScoreJob(row, video, case, tuple(missing))] if missing else [], restored, kept, failed)

    def _begun_keys(self, case: Case) -> list[Any]:
        """What each column's keys of a case begin with, once for all its seeds: videos of a case follow each other."""
        if case.id != self._case:
            fields, spelled = field_hashes(case, self._needs), dict[frozenset[str], str]()
            for column in self._wanted:
                needs = frozenset(column.metric.needs)
                if needs not in spelled:
                    spelled[needs] = case_for_keys(case.id, needed_sha256(needs, fields))
            self._begun = [column.begin_keys(spelled[frozenset(column.metric.needs)]) for column in self._wanted]
            self._case = case.id
        return self._begun


@dataclass(frozen=True)
class _Held:
    """What a run folder holds of one column."""

    keys: list[str]
    """In the order they were written; of a key that is there twice, the last row counts."""
    statuses: list[Status]
    cases: list[str]
    seeds: list[int]
    read_rows: Callable[[], dict[str, ScoreRow]]

    @classmethod
    def read(cls, folder: RunFolder, column: MetricSpec) -> _Held:
        """Read the column's rows, and keep little of each."""
        held = cls([], [], [], [], lambda: folder.scores(column.slug))
        for rows in folder.score_pieces(column.slug):
            held.keys.extend([row.key for row in rows])
            held.statuses.extend([row.status for row in rows])
            held.cases.extend([row.case for row in rows])
            held.seeds.extend([row.seed for row in rows])
        return held

    def is_ok_for(self, videos: int) -> bool:
        """Whether there are as many scores as videos, and all are ok."""
        return len(self.keys) == videos == self.statuses.count("ok")

    @cached_property
    def status(self) -> Mapping[str, Status]:
        """By key."""
        return dict(zip(self.keys, self.statuses, strict=True))

    @cached_property
    def behind(self) -> frozenset[str]:
        """Keys of rows that stand behind a later row of the same case and seed."""
        last = dict(zip(zip(self.cases, self.seeds, strict=True), self.keys, strict=True))
        return frozenset(self.keys).difference(last.values()) if len(last) < len(self.keys) else frozenset()

    @cached_property
    def rows(self) -> dict[str, ScoreRow]:
        """All of them, read again: only where some are written anew."""
        return self.read_rows()


def scorable(folder: RunFolder, cases: Collection[str], seeds: Sequence[int] | None) -> Iterator[GenerationRow]:
    """The rows of ``cases`` whose videos a run folder has, in the order they were generated."""
    for row in folder.current():
        if row.case in cases and (seeds is None or row.seed in seeds) and folder.has_video(row):
            yield row


def pending_scores(
    folder: RunFolder,
    cases: Mapping[str, Case],
    wanted: Sequence[MetricSpec],
    seeds: Sequence[int] | None,
    refresh: Refresh,
) -> Pending[ScoreJob, ScoreRow]:
    """What the videos of ``cases`` lack of the wanted columns, in the order they were generated."""
    with uncollected():
        on_disk = ScoresOnDisk(folder, wanted, refresh)
        rows = list(scorable(folder, cases, seeds))
        if on_disk.complete(rows, cases):
            return Pending((), (), len(rows) * len(wanted), 0)
        found = [on_disk.lacking(row, cases[row.case]) for row in rows]
    return Pending(
        [job for one in found for job in one.jobs],
        [score for one in found for score in one.restored],
        sum(one.kept for one in found),
        sum(one.kept_failed for one in found),
    )


def as_made(
    folder: RunFolder, cases: Mapping[str, Case], columns: Sequence[MetricSpec]
) -> list[tuple[dict[str, Case], list[MetricSpec]]]:
    """The columns, each with the cases that are what the run's videos were made for, as far as it looks at them.

    A score of another would be of a video against a case it was not made for, and no table would show it.

    Returns:
        Columns of the same cases together.

    Raises:
        DataError: no column has a case.
    """
    planned, needs = folder.manifest().cases, frozenset[str]().union(*(column.metric.needs for column in columns))
    changed: dict[str, set[str]] = {}
    for name, case in cases.items():
        known = (planned[name].fields if name in planned else None) or {}
        now = field_hashes(case, needs) if known else {}
        if differing := {field for field, found in now.items() if known.get(field, found) != found}:
            changed[name] = differing
    groups: dict[frozenset[str], list[MetricSpec]] = {}
    for column in columns:
        left_out = frozenset(name for name, fields in changed.items() if not fields.isdisjoint(column.metric.needs))
        groups.setdefault(left_out, []).append(column)
    if not changed:
        return [(dict(cases), list(columns))]
    named = some([f"{name} ({', '.join(sorted(fields))})" for name, fields in changed.items()])
    said = f"changed since {folder.path} was made, and not scored by what looks at that: {named}"
    again = "make their videos again (vapbench run), or score the folder that they come from"
    there = cases.keys() & planned.keys()
    if all(there <= left_out for left_out in groups):
        raise DataError(f"Every case {said}; {again}.", ErrorKind.CONFLICT, "cases")
    log.warning("%s %s; %s.", counted(len(changed), "case"), said, again)
    return [({name: case for name, case in cases.items() if name not in out}, cols) for out, cols in groups.items()]


@dataclass(frozen=True)
class Ahead:
    """What executing a plan would do."""

    made: Sequence[Job]
    """Videos that are made, or taken in."""
    scores: Sequence[ScoreJob]
    """What the videos that stay lack; each one that is made gets every column besides."""


def look_ahead(plan: RunPlan, wanted: Sequence[MetricSpec], refresh: Refresh) -> Ahead:
    """What is left of a plan. Of a folder of videos, cases that it has none for cost nothing."""
    method = plan.method.method
    jobs = pending(plan, refresh).jobs
    replaced = {(job.case.id, job.seed) for job in jobs}
    scores = pending_scores(plan.folder, plan.cases, wanted, plan.seeds, refresh).jobs
    if isinstance(method, Folder):
        jobs = [job for job in jobs if job.seed in method.seeds_of(job.case.id)]
    return Ahead(jobs, [job for job in scores if (job.row.case, job.row.seed) not in replaced])
