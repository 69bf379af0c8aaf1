"""What of a plan is left to do, by what the run folder holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from vapbench.core.case import Case
from vapbench.methods.folder import Folder
from vapbench.results.run import GenerationRow, RunFolder, ScoreRow
from vapbench.running.plan import Column, Job, RunPlan, field_hashes, needed_sha256

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
    rows = plan.folder.generations()
    last = {(row.case, row.seed): row.key for row in rows.values()}
    jobs, restored, failed = [], [], 0
    for job in plan.jobs:
        row = rows.get(job.key)
        if row is None or _again(row, refresh) or (row.status == "ok" and plan.folder.video_of(row) is None):
            jobs.append(job)
            continue
        failed += row.status == "failed"
        if last[job.case.id, job.seed] != job.key:
            restored.append(row)
    return Pending(jobs, restored, len(plan.jobs) - len(jobs), failed)


def _again(row: GenerationRow | ScoreRow, refresh: Refresh) -> bool:
    return refresh == "all" or (refresh == "failed" and row.status != "ok")


@dataclass(frozen=True)
class ScoreJob:
    """One video and the columns it still needs."""

    row: GenerationRow
    video: Path
    case: Case
    columns: tuple[Column, ...]


class ScoresOnDisk:
    """The scores that a run folder holds of the wanted columns, read once."""

    def __init__(self, folder: RunFolder, wanted: Sequence[Column], refresh: Refresh) -> None:
        self._wanted, self._refresh = wanted, refresh
        self._rows = [folder.scores(column.slug) for column in wanted]
        self._last = [{(row.case, row.seed): row.key for row in rows.values()} for rows in self._rows]
        self._needed: dict[str, list[str]] = {}

    def lacking(self, row: GenerationRow, video: Path, case: Case) -> Pending[ScoreJob, ScoreRow]:
        """What the video of ``row`` lacks: one job or none."""
        missing, restored, kept, failed = [], [], 0, 0
        columns = zip(self._wanted, self._needed_of(case), self._rows, self._last, strict=True)
        for column, needed, rows, last in columns:
            key = column.key_of(case.id, needed, row.seed, row.sha256 or "")
            score = rows.get(key)
            if score is None or _again(score, self._refresh):
                missing.append(column)
                continue
            kept += 1
            failed += score.status == "failed"
            if last[row.case, row.seed] != key:
                restored.append(score)
        return Pending([ScoreJob(row, video, case, tuple(missing))] if missing else [], restored, kept, failed)

    def _needed_of(self, case: Case) -> list[str]:
        """Hash of what each column needs of a case, computed once for all its seeds."""
        if case.id not in self._needed:
            fields = field_hashes(case)
            self._needed[case.id] = [needed_sha256(column.metric.needs, fields) for column in self._wanted]
        return self._needed[case.id]


def scorable(
    folder: RunFolder, cases: Collection[str], seeds: Sequence[int] | None
) -> Iterator[tuple[GenerationRow, Path]]:
    """The videos of ``cases`` that a run folder has, in the order they were generated."""
    for row in folder.current():
        if row.case in cases and (seeds is None or row.seed in seeds) and (video := folder.video_of(row)):
            yield row, video


def pending_scores(
    folder: RunFolder,
    cases: Mapping[str, Case],
    wanted: Sequence[Column],
    seeds: Sequence[int] | None,
    refresh: Refresh,
) -> Pending[ScoreJob, ScoreRow]:
    """What the videos of ``cases`` lack of the wanted columns, in the order they were generated."""
    on_disk = ScoresOnDisk(folder, wanted, refresh)
    found = [on_disk.lacking(row, video, cases[row.case]) for row, video in scorable(folder, cases, seeds)]
    return Pending(
        [job for one in found for job in one.jobs],
        [score for one in found for score in one.restored],
        sum(one.kept for one in found),
        sum(one.kept_failed for one in found),
    )


@dataclass(frozen=True)
class Ahead:
    """What executing a plan would do."""

    made: Sequence[Job]
    """Videos that are made, or taken in."""
    scores: Sequence[ScoreJob]
    """What the videos that stay lack; each one that is made gets every column besides."""


def look_ahead(plan: RunPlan, wanted: Sequence[Column], refresh: Refresh) -> Ahead:
    """What is left of a plan. Of a folder of videos, cases that it has none for cost nothing."""
    method = plan.method.method
    jobs = pending(plan, refresh).jobs
    replaced = {(job.case.id, job.seed) for job in jobs}
    scores = pending_scores(plan.folder, plan.cases, wanted, plan.seeds, refresh).jobs
    if isinstance(method, Folder):
        jobs = [job for job in jobs if job.seed in method.seeds_of(job.case.id)]
    return Ahead(jobs, [job for job in scores if (job.row.case, job.row.seed) not in replaced])
