"""A run on Ray: generating and scoring side by side, with every row and video written here, by the one writer.

Workers (:mod:`~vapbench.running.ray.workers`) live in actors (:mod:`~vapbench.running.ray.pool`). A finished video is
written, gets its row, and goes to a worker that scores it while the next one is made.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vapbench.core.case import Case
from vapbench.errors import UsageError
from vapbench.files.atomic import atomic_path
from vapbench.methods.hardware import GPUS, Resources
from vapbench.metrics.base import PaidMetric, weights_of
from vapbench.results.run import Failure, GenerationRow, RunFolder, RunWriter, ScoreRow
from vapbench.running import generate as runner
from vapbench.running.attempt import Attempted
from vapbench.running.generate import Progress, Settings, Tally
from vapbench.running.pending import ScoreJob, ScoresOnDisk, pending, scorable
from vapbench.running.plan import Column, Job, RunPlan
from vapbench.running.ray.demand import memory_gb, to_generate, to_score
from vapbench.running.ray.pool import Pool, run_pools
from vapbench.running.ray.workers import Generating, Made, Scoring, ToScore
from vapbench.running.score import Scorer
from vapbench.running.threads import INTERRUPTED, OnRay, Stop, finish_case_on_interrupt

_OBJECT_STORE = 256 << 20
"""Bytes; only encoded videos pass through it, a few at a time."""
_USUAL_GB = 80.0


class RayExecutor:
    """Runs the stages of a run on a Ray cluster; an :class:`vapbench.running.execution.Executor`."""

    def __init__(self, settings: Settings) -> None:
        """Connect to the cluster that the settings name, or start one on this machine.

        Raises:
            UsageError: Ray is not installed, the device is one that Ray hands out itself, or no cluster answers.
        """
        if settings.device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"--device {settings.device}: Ray picks which; give cpu, cuda or auto.")
        self._settings, self._options = settings, settings.ray or OnRay()
        self._has, gpu_gb = _connect(self._options)
        # Of a cluster that grows, the nodes with a GPU may still be missing; whoever writes cuda knows of them.
        expected = _USUAL_GB if settings.device == "cuda" else None
        self._gpu_gb = None if settings.device == "cpu" else gpu_gb or expected
        self._used: dict[str, int] = {}

    def device(self) -> str:
        """What the workers ran on, for the record."""
        return "ray: " + (", ".join(f"{count} x {name}" for name, count in sorted(self._used.items())) or "no worker")

    def generate_and_score(
        self,
        plan: RunPlan,
        columns: Sequence[Column],
        writer: RunWriter,
        progress: Progress,
        made: Tally,
        scored: Tally,
    ) -> None:
        """Make what the run folder lacks, and score each video as soon as it is there."""
        todo = pending(plan, self._settings.refresh)
        made.total, made.kept, made.kept_failed = len(plan.jobs), todo.kept, todo.kept_failed
        for row in todo.restored:
            writer.append(row)
        at = _At(plan.folder, writer, self._settings, progress)
        here, elsewhere = _by_place(columns)
        scores = _Scores(at, elsewhere, scored, len(todo.jobs))
        videos = _Videos(at, plan, made, scores)
        to_make, to_score = self._videos_pool(videos, plan, progress), self._scores_pool(scores, elsewhere, eager=False)
        scores.pool = to_score
        for job in todo.jobs:
            to_make.add(job)
        scores.add_existing(plan.cases, plan.seeds, {(job.case.id, job.seed) for job in todo.jobs})
        steps = len(todo.jobs) + scored.total - scored.kept
        self._run(at, [to_make, to_score] if elsewhere else [to_make], steps, "generate and score")
        self._settings.case_tolerance.check(made, "cases")
        self._finish_scores(at, plan.cases, here, plan.seeds, scored)

    def score(
        self,
        folder: RunFolder,
        cases: Mapping[str, Case],
        columns: Sequence[Column],
        writer: RunWriter,
        progress: Progress,
        tally: Tally,
    ) -> None:
        """Score what the run folder's videos lack."""
        at = _At(folder, writer, self._settings, progress)
        here, elsewhere = _by_place(columns)
        scores = _Scores(at, elsewhere, tally, to_come=0)
        scores.pool = self._scores_pool(scores, elsewhere, eager=True)
        scores.add_existing(cases, None, ())
        self._run(at, [scores.pool], tally.total - tally.kept, "score")
        self._finish_scores(at, cases, here, None, tally)

    def _videos_pool(self, desk: _Videos, plan: RunPlan, progress: Progress) -> Pool[Job, Made]:
        method, needed = plan.method.method, memory_gb(plan.method, plan.suite)
        if self._gpu_gb and needed > self._gpu_gb:
            has = f"{self._gpu_gb:g} GB"
            progress.tell(f"{method.name} needs about {needed:.0f} GB, the cluster's GPUs have {has}: see --offload.")
        demand = to_generate(plan.method, plan.suite, self._gpu_gb)
        worker = Generating(method, _device(demand), self._settings)
        return Pool(f"generate with {method.name}", worker, demand, self._workers(demand), desk)

    def _scores_pool(self, desk: _Scores, columns: Sequence[Column], eager: bool) -> Pool[ScoreJob, list[ScoreRow]]:
        files = {path for column in columns for path in weights_of(column.metric)}
        demand = to_score(sum(_size(path) for path in files), self._gpu_gb)
        worker = Scoring(columns, _device(demand), self._settings.memory)
        return Pool("score", worker, demand, self._workers(demand), desk, eager)

    def _workers(self, demand: Resources) -> int:
        return self._options.workers or demand.fits(self._has)

    def _run(self, at: _At, pools: Sequence[Pool[Any, Any]], steps: int, what: str) -> None:
        if not steps:
            return
        at.progress.begin(f"{at.folder.path.name} · {what} on Ray", steps)
        try:
            with finish_case_on_interrupt(at.stop, at.progress.tell):
                run_pools(pools, at.stop, at.progress.tell)
        finally:
            at.progress.end()
            for pool in pools:
                for device, count in pool.devices.items():
                    self._used[device] = max(count, self._used.get(device, 0))
        if at.stop.reason == INTERRUPTED:
            raise KeyboardInterrupt

    def _finish_scores(
        self,
        at: _At,
        cases: Mapping[str, Case],
        here: Sequence[Column],
        seeds: Sequence[int] | None,
        tally: Tally,
    ) -> None:
        """Score what waits for somebody else's answer, which needs no device but one budget for all calls."""
        self._settings.tolerance.check(tally, "scores")
        if not here:
            return
        own = Tally()
        local = replace(self._settings, device="cpu")
        try:
            runner.score(at.folder, cases, here, seeds, at.writer, local, at.progress, own)
        finally:
            for item in fields(Tally):
                setattr(tally, item.name, getattr(tally, item.name) + getattr(own, item.name))


@dataclass(frozen=True)
class _At:
    """What both desks write to and say things through."""

    folder: RunFolder
    writer: RunWriter
    settings: Settings
    progress: Progress
    stop: Stop = field(default_factory=Stop)

    def record(self, row: GenerationRow | ScoreRow, failures: Sequence[Failure], tally: Tally) -> None:
        """Write a row, count it, and stop if too many failed."""
        self.writer.append(row)
        runner.count(self.progress, tally, self.folder, row, failures)
        made = isinstance(row, GenerationRow)
        runner.stop_if_exceeded(self.settings.case_tolerance if made else self.settings.tolerance, tally, self.stop)


class _Videos:
    """Where generations arrive; a :class:`vapbench.running.ray.pool.Desk`."""

    def __init__(self, at: _At, plan: RunPlan, tally: Tally, scores: _Scores) -> None:
        self._at, self._plan, self._tally, self._scores = at, plan, tally, scores

    def send(self, job: Job) -> Job:
        return job

    def take(self, job: Job, made: Made, losses: tuple[Failure, ...]) -> None:
        if made.video is not None and made.row.video is not None:
            with atomic_path(self._at.folder.videos / made.row.video) as temporary:
                temporary.write_bytes(made.video)
        self._record(job, replace(made.row, attempts=(*losses, *made.row.attempts)))

    def give_up(self, job: Job, losses: tuple[Failure, ...]) -> None:
        row = runner.generation_row(job, Attempted(None, 0.0, None, losses), self._at.folder)
        self._record(job, replace(row, seconds=None))

    def _record(self, job: Job, row: GenerationRow) -> None:
        row = replace(row, code=self._plan.method.code)
        self._at.record(row, row.attempts, self._tally)
        if row.status == "ok" and row.video is not None:
            self._scores.add_new(row, self._at.folder.videos / row.video, job.case)
        else:
            self._scores.expect_fewer()


class _Scores:
    """Where scores arrive; a :class:`vapbench.running.ray.pool.Desk`."""

    pool: Pool[ScoreJob, list[ScoreRow]]

    def __init__(self, at: _At, columns: Sequence[Column], tally: Tally, to_come: int) -> None:
        """Take the scores of ``columns``, for the videos there are and for ``to_come`` more."""
        self._at, self._columns, self._tally = at, columns, tally
        self._on_disk = ScoresOnDisk(at.folder, columns, at.settings.refresh)
        tally.total = to_come * len(columns)

    def add_existing(
        self, cases: Mapping[str, Case], seeds: Sequence[int] | None, but: Collection[tuple[str, int]]
    ) -> None:
        """Ask for what existing videos lack, ``but`` for those that will be made anew."""
        for row, video in scorable(self._at.folder, cases, seeds) if self._columns else ():
            if (row.case, row.seed) not in but:
                self._tally.total += len(self._columns)
                self.add_new(row, video, cases[row.case])

    def add_new(self, row: GenerationRow, video: Path, case: Case) -> None:
        """Ask for what a video lacks."""
        todo = self._on_disk.lacking(row, video, case)
        self._tally.kept += todo.kept
        self._tally.kept_failed += todo.kept_failed
        for score in todo.restored:
            self._at.writer.append(score)
        for job in todo.jobs:
            self.pool.add(job)

    def expect_fewer(self) -> None:
        """One video less will come."""
        self._tally.total -= len(self._columns)

    def send(self, job: ScoreJob) -> ToScore:
        return ToScore(job.row, job.case, tuple(column.label for column in job.columns), job.video.read_bytes())

    def take(self, job: ScoreJob, rows: list[ScoreRow], losses: tuple[Failure, ...]) -> None:
        for row in rows:
            self._at.record(row, (row.failure,) if row.failure else (), self._tally)

    def give_up(self, job: ScoreJob, losses: tuple[Failure, ...]) -> None:
        self.take(job, [Scorer(column, column.metric).row(job, losses[-1]) for column in job.columns], losses)


def _by_place(columns: Sequence[Column]) -> tuple[list[Column], list[Column]]:
    """Columns that wait for somebody else's answers, and those that compute."""
    waiting = [column for column in columns if isinstance(column.metric, PaidMetric)]
    return waiting, [column for column in columns if column not in waiting]


def _device(demand: Resources) -> str:
    return "cuda" if demand.gpus else "cpu"


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _connect(options: OnRay) -> tuple[dict[str, float], float | None]:
    """What the cluster has in all, and how many GB its smallest GPU has, if any.

    Raises:
        UsageError: Ray is not installed, or no cluster answers.
    """
    # Nobody is told of a run; and a worker without a GPU sees none.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UsageError('--executor ray needs Ray: pip install "vapbench[ray]"') from None
    if not ray.is_initialized():
        _start(options)
    has = ray.cluster_resources()
    kinds = [name.removeprefix("accelerator_type:").lower() for name in has if name.startswith("accelerator_type:")]
    known = [GPUS[kind].memory_gb for kind in kinds if kind in GPUS]
    return has, min(known, default=_USUAL_GB) if has.get("GPU") else None


def _start(options: OnRay) -> None:
    import logging

    import ray

    where: dict[str, Any] = {"address": options.address}
    said = f"--ray-address {options.address}: no cluster answers"
    hint = "; start one with ray start --head, and run this on one of its nodes"
    if options.address is None:
        # Without an address Ray would join a cluster that happens to run here.
        where = {"address": "local", "num_cpus": max(os.cpu_count() or 1, options.workers or 1)}
        where |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
        said, hint = "Ray does not start on this machine", ""
    try:
        ray.init(**where, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:
        # Ray has no type for it: a plain Exception where a node takes too long to start, a ConnectionError elsewhere.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{said} ({reason}){hint}.") from error
