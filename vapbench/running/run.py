"""One command, start to end: choose cases, plan, generate, score, under one lock and one manifest entry."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vapbench.core.case import Case
from vapbench.core.video import READER_VERSION, probe
from vapbench.errors import DataError, ErrorKind, IdentityError, UsageError, VapbenchError, did_you_mean
from vapbench.files.provenance import session
from vapbench.files.text import counted, some
from vapbench.methods import ResolvedMethod, resolve_folder
from vapbench.methods.folder import Folder
from vapbench.metrics import REGISTRY
from vapbench.results.rows import GenerationRow
from vapbench.results.run import RunFolder, is_run
from vapbench.results.writer import RunWriter, check_identity, merge_case
from vapbench.running.context import WORTH_SHOWING, Counts, Progress, RunContext, Settings
from vapbench.running.device import torch_device
from vapbench.running.generate import generate
from vapbench.running.pending import as_made, pending, pending_scores
from vapbench.running.plan import MetricSpec, RunPlan, columns
from vapbench.running.score import score
from vapbench.running.threads import sigterm_interrupts
from vapbench.suites import Suite, find_suite
from vapbench.suites.custom import name_videos
from vapbench.suites.tasks import (
    Task,
    conditions_of,
    find_task,
    known_conditions,
    select,
    unknown_conditions,
)

if TYPE_CHECKING:
    from vapbench.running.ray.executor import RayExecutor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """Cases of one task of one suite."""

    suite: Suite
    task: Task
    cases: tuple[Case, ...]
    among: tuple[Case, ...]
    """Every case of the suite."""


@dataclass(frozen=True)
class RunOutcome:
    """What came of one run."""

    folder: RunFolder
    plan: RunPlan | None
    """None where existing videos were only scored."""
    generated: Counts
    scored: Counts


def choose(
    suite: str, data: Path | None, task: str, limit: int | None = None, progress: Progress | None = None
) -> Selection:
    """Read a suite and keep the task's cases, the first ``limit`` of them. Conditions no task knows are reported.

    Args:
        suite: its name.
        data: folder of its data.
        task: name of the task.
        limit: how many cases; None for all.
        progress: told of videos that are decoded to know what the cases of a folder of videos are.

    Raises:
        UsageError: an unknown suite or task, data that is needed and absent, or a limit below 1.
        DataError: the data is not what its layout says, or the task has no case in it.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: give a count of cases, 1 or more.", ErrorKind.INVALID, "limit")
    found, chosen = find_suite(suite), find_task(task)
    if found.data == "videos" and progress and data and not is_run(data):
        _look_through(data, progress)
    cases = found.cases(data)
    strange = sorted(conditions_of(chosen) - known_conditions() - {case.condition for case in cases})
    if strange:
        hint = did_you_mean(strange[0], {case.condition for case in cases})
        log.warning(
            "Task %s lists %s, which neither the suite nor another task knows.%s", chosen.name, strange[0], hint
        )
    unknown = {} if found.own_conditions else unknown_conditions(cases, chosen)
    if unknown:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(unknown.items()))
        log.warning("No task lists these conditions: %s. Add them to a file under tasks/.", names)
    selected = select(cases, chosen)
    if not selected:
        conditions = ", ".join(sorted({case.condition for case in cases}))
        raise DataError(
            f"Suite {found.name} has no case of task {chosen.name}; its conditions: {conditions}.",
            ErrorKind.MISSING,
            "task",
        )
    return Selection(found, chosen, tuple(selected[:limit]), tuple(cases))


def _look_through(folder: Path, progress: Progress) -> None:
    """Decode every video of a folder, which each is remembered of, where that takes a while."""
    videos = name_videos(folder)
    if len(videos) < WORTH_SHOWING:
        return
    progress.begin(f"{folder.name} · look at the videos", len(videos))
    try:
        for name, video in videos.items():
            with suppress(DataError):
                probe(video)
            progress.step(name, "ok")
    finally:
        progress.end()


def open_folder(target: Path, panel: str, selection: Selection) -> tuple[ResolvedMethod, Folder]:
    """A folder of videos as a method that knows the suite's cases.

    Raises:
        DataError: it is no folder, or its manifest is malformed.
    """
    resolved = resolve_folder(target, panel)
    folder = resolved.method
    if not isinstance(folder, Folder):
        raise TypeError(f"the folder method is a {type(folder).__name__}")
    if selection.suite.data == "videos":
        folder.assign(name_videos(folder.path))
    else:
        folder.prepare_cases(selection.among)
    return resolved, folder


def columns_for(suite: Suite, metrics: Sequence[str] | None) -> list[MetricSpec]:
    """The columns of ``metrics``, or else of the suite; of videos alone, those that need nothing else.

    Raises:
        UsageError: a metric or parameter is unknown, or all of them need what the suite's cases have not.
    """
    wanted = columns(metrics or suite.metrics)
    if suite.data != "videos":
        return wanted
    kept = [column for column in wanted if not column.metric.needs]
    left_out = {column.label: column.metric.needs for column in wanted if column.metric.needs}
    if not metrics:
        built_in = [entry for entry in REGISTRY if entry.point is None]
        left_out = {entry.name: needs for entry in built_in if (needs := entry.load().needs)}
    said = "; ".join(f"{name} needs {' and '.join(sorted(needs))}" for name, needs in left_out.items())
    if not kept:
        raise UsageError(
            f"Suite {suite.name} is of videos alone, and {said}; name another --metric.", ErrorKind.CONFLICT, "metric"
        )
    if left_out:
        log.warning("Suite %s is of videos alone, so these metrics are left out: %s.", suite.name, said)
    return kept


def execute(
    plan: RunPlan,
    columns: Sequence[MetricSpec],
    settings: Settings,
    progress: Progress,
) -> RunOutcome:
    """Generate and score what the run folder lacks.

    A finished run writes nothing.

    Raises:
        IdentityError: the folder holds results of another identity.
        DataError: another process is writing the folder.
        TooManyFailures: more failed than the settings allow; everything finished is kept.
    """
    if plan.folder.manifest_path.exists():
        _check_or_set_aside(plan, settings)
    if plan.folder.manifest_path.exists():
        _refuse_another_folder(plan)
    outcome = RunOutcome(plan.folder, plan, Counts(), Counts())
    if _finished(plan, columns, settings, outcome):
        settings.max_case_failures.check(outcome.generated, "case")
        settings.max_failures.check(outcome.scored, "score")
        return outcome
    new = not plan.folder.manifest_path.exists()
    try:
        _work(plan, columns, settings, progress, outcome)
    except VapbenchError:
        if new:
            _withdraw(plan.folder)
        raise
    return outcome


def _work(
    plan: RunPlan,
    columns: Sequence[MetricSpec],
    settings: Settings,
    progress: Progress,
    outcome: RunOutcome,
) -> None:
    ray = _ray(settings)
    with sigterm_interrupts(), RunWriter(plan.folder) as writer:
        context = RunContext(
            *(plan.folder, plan.cases, columns, writer, settings, progress, plan),
            *(outcome.generated, outcome.scored),
        )
        record = session(settings.argv, settings.device, plan.seeds) | _versions(plan.suite_version)
        if plan.place:
            record["videos_from"] = plan.place
        writer.begin(plan.identity, plan.manifest_cases(), record, _shown(columns), plan.manifest_card())
        _run_stages(context, ray)


def _run_stages(context: RunContext, ray: RayExecutor | None) -> None:
    """Do what the run lacks, in this process or on Ray, and close the session with what came of it."""
    try:
        if ray is not None:
            ray.run(context)
        else:
            if context.plan is not None:
                generate(context, context.plan)
            _score_here(context)
    finally:
        counts = {"generated": asdict(context.generated)} if context.plan is not None else {}
        device = ray.device() if ray is not None else str(torch_device(context.settings.device))
        context.writer.end({**counts, "scored": asdict(context.scored)}, device)


def _score_here(context: RunContext) -> None:
    """Score in this process, or in several of this machine."""
    if context.settings.workers == 1:
        score(context)
        return
    from vapbench.running.processes import score_in_processes

    score_in_processes(context)


def _ray(settings: Settings) -> RayExecutor | None:
    """The executor on Ray, connected; None where everything runs in this process.

    Raises:
        UsageError: Ray is asked for, and is not installed or cannot be reached.
    """
    if settings.ray is None:
        return None
    from vapbench.running.ray.executor import RayExecutor

    return RayExecutor(settings)


def _withdraw(folder: RunFolder) -> None:
    """Take back a folder that was begun just now and got no row, as when the method's weights cannot be loaded."""
    if folder.generations_path.exists() or not folder.manifest_path.exists():
        return
    with suppress(DataError, OSError), RunWriter(folder):
        if not folder.generations_path.exists():
            folder.manifest_path.unlink()
            folder.videos.rmdir()
    with suppress(OSError):
        if not folder.manifest_path.exists():
            (folder.path / ".lock").unlink(missing_ok=True)
            folder.path.rmdir()


def rescore(
    folder: RunFolder, selection: Selection, columns: Sequence[MetricSpec], settings: Settings, progress: Progress
) -> RunOutcome:
    """Score the videos of an existing run; no method is loaded.

    Raises:
        DataError: the run belongs to another suite, or another process is writing the folder.
        TooManyFailures: more failed than the settings allow.
    """
    manifest = folder.manifest()
    made_for = manifest.identity.suite
    if made_for != selection.suite.name:
        raise DataError(
            f"{folder.path} was made for suite {made_for}, not {selection.suite.name}; add --suite {made_for}.",
            ErrorKind.CONFLICT,
            "suite",
        )
    cases = {case.id: case for case in selection.cases}
    lost = [row.video for row in folder.current() if row.status == "ok" and folder.video_of(row) is None]
    if lost:
        videos = counted(len(lost), "video")
        log.warning("%s missing or changed since, and not scored: %s", videos, some(lost))
    version, scored = selection.suite.version, Counts()
    for kept, wanted in as_made(folder, cases, columns):
        scored = scored + _rescore(folder, kept, wanted, version, settings, progress)
    return RunOutcome(folder, None, Counts(), scored)


def _rescore(
    folder: RunFolder,
    cases: Mapping[str, Case],
    columns: Sequence[MetricSpec],
    version: int,
    settings: Settings,
    progress: Progress,
) -> Counts:
    todo = pending_scores(folder, cases, columns, None, settings.refresh)
    if not (todo.jobs or todo.restored):
        kept = Counts(total=todo.kept, kept=todo.kept, kept_failed=todo.kept_failed)
        settings.max_failures.check(kept, "score")
        return kept
    ray = _ray(settings)
    with sigterm_interrupts(), RunWriter(folder) as writer:
        context = RunContext(folder, cases, columns, writer, settings, progress)
        record = session(settings.argv, settings.device) | _versions(version)
        writer.begin(folder.manifest().document["identity"], {}, record, _shown(columns))
        _run_stages(context, ray)
    return context.scored


def _check_or_set_aside(plan: RunPlan, settings: Settings) -> None:
    """Refuse results of another identity; ``--refresh all`` moves them out of the way instead."""
    path = plan.folder.path
    try:
        check_identity(path, plan.folder.manifest().document["identity"], plan.identity)
    except IdentityError:
        if settings.refresh != "all":
            raise
        with RunWriter(plan.folder):
            aside = next(free for n in count(1) if not (free := path.with_name(f"{path.name}.before-{n}")).exists())
        path.rename(aside)
        log.warning("%s held results of another identity; they are kept as %s.", path, aside)


def _refuse_another_folder(plan: RunPlan) -> None:
    """Refuse to replace the videos of one folder by those of another that happens to have its name.

    The place of a folder of videos is no part of its identity: the same folder may have moved, and then some of its
    videos are the same; or its videos were made again, and then it lies where it did.
    """
    method = plan.method.method
    sessions = plan.folder.manifest().sessions
    before = next((one.videos_from for one in reversed(sessions) if one.videos_from), "")
    if not isinstance(method, Folder) or before in ("", plan.place):
        return
    held = [row for row in plan.folder.generations().values() if row.status != "unscored"]
    planned = {job.key for job in plan.jobs}
    if held and not any(row.key in planned or method.holds(row.case, row.seed, row.sha256) for row in held):
        if plan.named:
            log.warning("%s held the scores of other videos, from %s; they are replaced.", plan.folder.path, before)
            return
        raise IdentityError(
            f"{plan.folder.path} holds the scores of other videos, from {before}: none of {plan.place} is among them. "
            f"Give this folder a name of its own with --name NAME; if it is the same one, made again: "
            f"--name {plan.folder.path.name}",
            ErrorKind.CONFLICT,
            "name",
        )


def missing_outputs(folder: RunFolder, cases: Sequence[Case]) -> list[GenerationRow]:
    """Rows of cases the method had nothing for (an output folder without them, a condition without a LoRA)."""
    wanted = {case.id for case in cases}
    return [row for row in folder.current() if row.status == "unscored" and row.case in wanted]


def _versions(suite: int) -> dict[str, Any]:
    """What a session records of the versions that are part of no key."""
    return {"versions": {"suite": suite, "reader": READER_VERSION}}


def _shown(columns: Sequence[MetricSpec]) -> dict[str, dict[str, Any]]:
    return {column.metric.name: column.shown() for column in columns}


def _finished(
    plan: RunPlan,
    columns: Sequence[MetricSpec],
    settings: Settings,
    outcome: RunOutcome,
) -> bool:
    """Whether nothing is left to do or to record; fills the outcome's counts with what is kept."""
    if not plan.folder.manifest_path.exists():
        return False
    document = plan.folder.manifest().document
    known, metrics = document.get("cases", {}), document.get("metrics", {})
    if any(known.get(name) != merge_case(known.get(name, {}), case) for name, case in plan.manifest_cases().items()):
        return False
    if any(metrics.get(name) != shown for name, shown in _shown(columns).items()):
        return False
    made = pending(plan, settings.refresh)
    scored = pending_scores(plan.folder, plan.cases, columns, plan.seeds, settings.refresh)
    for todo, counts in ((made, outcome.generated), (scored, outcome.scored)):
        counts.total = counts.kept = todo.kept
        counts.kept_failed = todo.kept_failed
    return not (made.jobs or made.restored or scored.jobs or scored.restored)
