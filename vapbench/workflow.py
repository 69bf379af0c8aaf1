"""One command, start to end: choose cases, plan, generate, score, under one lock and one manifest entry."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vapbench import runner
from vapbench.cases import Case
from vapbench.errors import DataError
from vapbench.plan import Column, RunPlan, pending, pending_scores, session
from vapbench.runner import Progress, Settings, Tally
from vapbench.store import GenerationRow, RunFolder, RunWriter, check_identity
from vapbench.suites import Suite, find_suite
from vapbench.suites.tasks import Task, find_task, select, unknown_conditions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """Cases of one task of one suite."""

    suite: Suite
    task: Task
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of one method."""

    plan: RunPlan
    generated: Tally
    scored: Tally


def choose(suite: str, data: Path | None, task: str, limit: int | None = None) -> Selection:
    """Read a suite and keep the task's cases, the first ``limit`` of them. Conditions no task knows are reported.

    Raises:
        UsageError: an unknown suite or task, or data that is needed and absent.
        DataError: the data is not what its layout says, or the task has no case in it.
    """
    found, chosen = find_suite(suite), find_task(task)
    cases = found.cases(data)
    unknown = unknown_conditions(cases)
    if unknown:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(unknown.items()))
        log.warning("No task lists these conditions: %s. Add them to a file under tasks/.", names)
    selected = select(cases, chosen)
    if not selected:
        conditions = ", ".join(sorted({case.condition for case in cases}))
        raise DataError(f"Suite {found.name} has no case of task {chosen.name}; its conditions: {conditions}.")
    return Selection(found, chosen, tuple(selected[:limit]))


def execute(
    plan: RunPlan,
    columns: Sequence[Column],
    settings: Settings,
    progress: Progress,
    *,
    generate: bool = True,
) -> Outcome:
    """Generate (unless told not to) and score what the run folder lacks.

    A finished run writes nothing.

    Raises:
        IdentityError: the folder holds results of another identity.
        DataError: another process is writing the folder.
        TooManyFailures: more failed than the settings allow; everything finished is kept.
    """
    seeds = sorted({job.seed for job in plan.jobs})
    if plan.folder.manifest_path.exists():
        check_identity(plan.folder.path, plan.folder.manifest()["identity"], plan.identity)
    if _nothing_to_do(plan, columns, seeds, settings, generate):
        done = len(plan.jobs)
        return Outcome(plan, Tally(total=done, kept=done), Tally())
    with RunWriter(plan.folder) as writer:
        record = session(settings.argv, settings.device, plan)
        writer.begin(plan.identity, plan.manifest_cases(), record, _shown(columns))
        generated, scored = Tally(), Tally()
        try:
            if generate:
                generated = runner.generate(plan, writer, settings, progress)
            scored = runner.score(plan.folder, plan.cases, columns, seeds, writer, settings, progress)
        finally:
            writer.end({"generated": generated.ok, "failed": generated.failed + scored.failed, "scored": scored.ok})
    return Outcome(plan, generated, scored)


def rescore(
    folder: RunFolder, selection: Selection, columns: Sequence[Column], settings: Settings, progress: Progress
) -> Tally:
    """Score the videos of an existing run; no method is loaded.

    Raises:
        DataError: the run belongs to another suite, or another process is writing the folder.
        TooManyFailures: more failed than the settings allow.
    """
    identity = folder.manifest()["identity"]
    made_for = identity["suite"]
    if made_for != selection.suite.name:
        raise DataError(
            f"{folder.path} was made for suite {made_for}, not {selection.suite.name}; add --suite {made_for}."
        )
    cases = {case.id: case for case in selection.cases}
    if not pending_scores(folder, cases, columns, None, settings.refresh):
        return Tally()
    with RunWriter(folder) as writer:
        writer.begin(identity, {}, session(settings.argv, settings.device), _shown(columns))
        scored = Tally()
        try:
            scored = runner.score(folder, cases, columns, None, writer, settings, progress)
        finally:
            writer.end({"failed": scored.failed, "scored": scored.ok})
    return scored


def missing_outputs(folder: RunFolder, cases: Sequence[Case]) -> list[GenerationRow]:
    """Rows of cases the method had nothing for (an output folder without them, a condition without a LoRA)."""
    wanted = {case.id for case in cases}
    return [row for row in folder.current() if row.status == "unscored" and row.case in wanted]


def _shown(columns: Sequence[Column]) -> dict[str, dict[str, Any]]:
    return {column.metric.name: column.shown() for column in columns}


def _nothing_to_do(
    plan: RunPlan, columns: Sequence[Column], seeds: Sequence[int], settings: Settings, generate: bool
) -> bool:
    if not plan.folder.manifest_path.exists():
        return False
    if set(plan.cases) - set(plan.folder.manifest()["cases"]):
        return False
    jobs, restored = pending(plan, settings.refresh)
    if generate and (jobs or restored):
        return False
    return not pending_scores(plan.folder, plan.cases, columns, seeds, settings.refresh)
