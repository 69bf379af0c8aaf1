"""A run on Ray: generating and scoring side by side, with every row and video written here, by the one writer.

Workers (:mod:`~vapbench.running.ray.workers`) live in actors (:mod:`~vapbench.running.ray.pool`). A finished video is
written, gets its row, and goes to a worker that scores it while the next one is made.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vapbench.core.case import Case
from vapbench.errors import ErrorKind, UsageError
from vapbench.files.atomic import atomic_path
from vapbench.methods.hardware import GPUS, Resources
from vapbench.metrics.base import weights_of
from vapbench.results.rows import Failure, GenerationRow, ScoreRow
from vapbench.running.attempt import Attempted
from vapbench.running.context import Progress, RunContext, Settings
from vapbench.running.device import torch_device
from vapbench.running.generate import generation_row
from vapbench.running.pending import ScoreJob, ScoresOnDisk, pending, scorable
from vapbench.running.plan import Job, MetricSpec, RunPlan
from vapbench.running.ray.demand import memory_gb, to_generate, to_score
from vapbench.running.ray.pool import Pool, run_pools
from vapbench.running.ray.workers import Generating, MadeVideo, Scoring, ToScore
from vapbench.running.score import by_place, score_waiting
from vapbench.running.scorer import Scorer
from vapbench.running.threads import INTERRUPTED, OnRay, finish_case_on_interrupt

_OBJECT_STORE = 256 << 20
"""Bytes; only encoded videos pass through it, a few at a time."""
_USUAL_GB = 80.0


class RayExecutor:
    """Runs the stages of a run on a Ray cluster. Only this process writes."""

    def __init__(self, settings: Settings) -> None:
        """Connect to the cluster that the settings name, or start one on this machine.

        Raises:
            UsageError: Ray is not installed, the device is one that Ray hands out itself, or no cluster answers.
        """
        if settings.device not in ("auto", "cpu", "cuda"):
            raise UsageError(
                f"--device {settings.device}: Ray picks which; give cpu, cuda or auto.", ErrorKind.CONFLICT, "device"
            )
        self._settings, self._options = settings, settings.ray or OnRay()
        self._has, gpu_gb = _connect(self._options)
        # Of a cluster that grows, the nodes with a GPU may still be missing; whoever writes cuda knows of them.
        expected = _USUAL_GB if settings.device == "cuda" else None
        self._gpu_gb = None if settings.device == "cpu" else gpu_gb or expected
        self._used: dict[str, int] = {}

    def device(self) -> str:
        """What the workers ran on, for the record."""
        return "ray: " + (", ".join(f"{count} x {name}" for name, count in sorted(self._used.items())) or "no worker")

    def run(self, context: RunContext) -> None:
        """Make what the run folder lacks, and score each video as soon as it is there.

        Raises:
            TooManyFailures: more failed than the settings allow.
            BudgetSpent: paid calls ran out; all that needs none is done.
            OSError: a video or row cannot be written.
            KeyboardInterrupt: Ctrl-C.
        """
        here, elsewhere = by_place(context.columns)
        to_make = self._what_to_make(context)
        scores = _Scores(context, elsewhere, len(to_make))
        scores.pool = self._scores_pool(scores, elsewhere, eager=context.plan is None)
        pools: list[Pool[Any, Any]] = [scores.pool] if elsewhere or context.plan is None else []
        if context.plan is not None:
            videos = self._videos_pool(_Videos(context, context.plan, scores), context.plan, context.progress)
            for job in to_make:
                videos.add(job)
            pools.insert(0, videos)
        scores.add_existing({(job.case.id, job.seed) for job in to_make})
        steps = len(to_make) + context.scored.total - context.scored.kept
        self._run(context, pools, steps, "generate and score" if context.plan else "score")
        context.settings.max_case_failures.check(context.generated, "case")
        score_waiting(context, here)

    def _what_to_make(self, context: RunContext) -> Sequence[Job]:
        if context.plan is None:
            return ()
        todo, counts = pending(context.plan, context.settings.refresh), context.generated
        counts.total, counts.kept, counts.kept_failed = len(context.plan.jobs), todo.kept, todo.kept_failed
        for row in todo.restored:
            context.writer.append(row)
        return todo.jobs

    def _videos_pool(self, handler: _Videos, plan: RunPlan, progress: Progress) -> Pool[Job, MadeVideo]:
        method, needed = plan.method.method, memory_gb(plan.method, plan.suite)
        if self._gpu_gb and needed > self._gpu_gb:
            has = f"{self._gpu_gb:g} GB"
            progress.tell(f"{method.name} needs about {needed:.0f} GB, the cluster's GPUs have {has}: see --offload.")
        demand = to_generate(plan.method, plan.suite, self._gpu_gb)
        worker = Generating(method, _device(demand), self._settings)
        return Pool(f"generate with {method.name}", worker, demand, self._workers(demand), handler)

    def _scores_pool(
        self, handler: _Scores, columns: Sequence[MetricSpec], eager: bool
    ) -> Pool[ScoreJob, list[ScoreRow]]:
        files = {path for column in columns for path in weights_of(column.metric)}
        demand = to_score(sum(_size(path) for path in files), self._gpu_gb)
        worker = Scoring(columns, _device(demand), self._settings.memory)
        return Pool("score", worker, demand, self._workers(demand), handler, eager)

    def _workers(self, demand: Resources) -> int:
        return self._options.workers or demand.fits(self._has)

    def _run(self, context: RunContext, pools: Sequence[Pool[Any, Any]], steps: int, what: str) -> None:
        if not steps:
            return
        context.progress.begin(f"{context.folder.path.name} · {what} on Ray", steps)
        try:
            with finish_case_on_interrupt(context.stop, context.progress.tell):
                run_pools(pools, context.stop, context.progress.tell)
        finally:
            context.progress.end()
            for pool in pools:
                for device, count in pool.devices.items():
                    self._used[device] = max(count, self._used.get(device, 0))
        if context.stop.reason == INTERRUPTED:
            raise KeyboardInterrupt


class _Videos:
    """Where generations arrive; a :class:`vapbench.running.ray.pool.ResultHandler`."""

    def __init__(self, context: RunContext, plan: RunPlan, scores: _Scores) -> None:
        self._context, self._plan, self._scores = context, plan, scores

    def send(self, job: Job) -> Job:
        return job

    def take(self, job: Job, made: MadeVideo, losses: tuple[Failure, ...]) -> None:
        if made.video is not None and made.row.video is not None:
            with atomic_path(self._plan.folder.videos / made.row.video) as temporary:
                temporary.write_bytes(made.video)
        self._record(job, replace(made.row, attempts=(*losses, *made.row.attempts)))

    def give_up(self, job: Job, losses: tuple[Failure, ...]) -> None:
        row = generation_row(job, Attempted(None, 0.0, None, losses), self._plan.folder)
        self._record(job, replace(row, seconds=None))

    def _record(self, job: Job, row: GenerationRow) -> None:
        row = replace(row, code=self._plan.method.code)
        self._context.record(row, row.attempts)
        if row.status == "ok" and row.video is not None:
            self._scores.add_new(row, job.case)
        else:
            self._scores.expect_fewer()


class _Scores:
    """Where scores arrive; a :class:`vapbench.running.ray.pool.ResultHandler`."""

    pool: Pool[ScoreJob, list[ScoreRow]]

    def __init__(self, context: RunContext, columns: Sequence[MetricSpec], to_come: int) -> None:
        """Take the scores of ``columns``, for the videos there are and for ``to_come`` more."""
        self._context, self._columns, self._counts = context, columns, context.scored
        self._on_disk = ScoresOnDisk(context.folder, columns, context.settings.refresh)
        self._counts.total = to_come * len(columns)

    def add_existing(self, but: Collection[tuple[str, int]]) -> None:
        """Ask for what existing videos lack, ``but`` for those that will be made anew."""
        context = self._context
        for row in scorable(context.folder, context.cases, context.seeds) if self._columns else ():
            if (row.case, row.seed) not in but:
                self._counts.total += len(self._columns)
                self.add_new(row, context.cases[row.case])

    def add_new(self, row: GenerationRow, case: Case) -> None:
        """Ask for what a video lacks."""
        todo = self._on_disk.lacking(row, case)
        self._counts.kept += todo.kept
        self._counts.kept_failed += todo.kept_failed
        for restored in todo.restored:
            self._context.writer.append(restored)
        for job in todo.jobs:
            self.pool.add(job)

    def expect_fewer(self) -> None:
        """One video less will come."""
        self._counts.total -= len(self._columns)

    def send(self, job: ScoreJob) -> ToScore:
        return ToScore(job.row, job.case, tuple(column.label for column in job.columns), job.video.read_bytes())

    def take(self, job: ScoreJob, rows: list[ScoreRow], losses: tuple[Failure, ...]) -> None:
        for row in rows:
            self._context.record(row, (row.failure,) if row.failure else ())

    def give_up(self, job: ScoreJob, losses: tuple[Failure, ...]) -> None:
        device = torch_device("cpu")
        rows = [Scorer(column, column.metric, device=device).row(job, losses[-1]) for column in job.columns]
        self.take(job, rows, losses)


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
        raise UsageError('--executor ray needs Ray: pip install "vapbench[ray]"', ErrorKind.MISSING, "ray") from None
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
        raise UsageError(f"{said} ({reason}){hint}.", ErrorKind.UNREACHABLE, "ray_address") from error
