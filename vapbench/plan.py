"""What a run will do: cases, seeds, keys, and what of it is done already."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from vapbench.cases import Case, ClipSpec
from vapbench.files import content_sha256
from vapbench.methods import ResolvedMethod
from vapbench.methods.base import identity_of, inputs_of
from vapbench.metrics import resolve as resolve_metric
from vapbench.metrics.base import Metric, weights_of
from vapbench.store import (
    GenerationRow,
    RunFolder,
    ScoreRow,
    column_slug,
    environment,
    generation_key,
    params8,
    score_key,
)
from vapbench.suites.tasks import tasks_with

Refresh = Literal["missing", "failed", "all"]


@dataclass(frozen=True)
class Job:
    """One generation to have."""

    case: Case
    seed: int
    key: str


@dataclass(frozen=True)
class RunPlan:
    """One method on the cases of one task."""

    suite: str
    task: str
    method: ResolvedMethod
    jobs: tuple[Job, ...]
    folder: RunFolder
    identity: Mapping[str, Any]

    @cached_property
    def cases(self) -> dict[str, Case]:
        """Planned cases by id."""
        return {job.case.id: job.case for job in self.jobs}

    @cached_property
    def media_root(self) -> Path:
        """Folder that holds every file of the planned cases."""
        folders = [media.path.resolve().parent for case in self.cases.values() for media in case.media()]
        return Path(os.path.commonpath(folders))

    def manifest_cases(self) -> dict[str, dict[str, Any]]:
        """What the manifest keeps of each case, so that a report needs nothing but the run folder.

        Files are named relative to the media root, which each session records: results move, data moves.
        """
        return {case.id: _for_manifest(case, self.task, self.media_root) for case in self.cases.values()}


@dataclass(frozen=True)
class Column:
    """A metric with the parameters that make it a column of its own."""

    metric: Metric
    params: Mapping[str, Any]
    weights: tuple[str, ...]
    """Hashes of the files its values depend on."""

    @property
    def label(self) -> str:
        """Name and changed parameters, as the command line spells them."""
        parameters = ",".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.metric.name}:{parameters}" if parameters else self.metric.name

    @property
    def slug(self) -> str:
        """File name of its rows, without suffix."""
        return column_slug(self.metric.name, self.params)

    def shown(self) -> dict[str, Any]:
        """How a table shows its values; the manifest keeps it, so that a plug-in's columns outlive the plug-in."""
        metric = self.metric
        return {
            "title": getattr(metric, "title", "") or metric.name,
            "higher_is_better": metric.higher_is_better,
            "unit": metric.unit,
            "scale": getattr(metric, "scale", 1.0),
            "digits": getattr(metric, "digits", 2),
        }

    def key(self, case: Case, seed: int, video_sha256: str) -> str:
        """Score key of the video of one case and seed."""
        metric = {
            "name": self.metric.name,
            "version": self.metric.version,
            "params": dict(self.params),
            "weights": list(self.weights),
        }
        return score_key(metric, _needed(case, self.metric), seed, video_sha256)


def plan_run(
    suite: str,
    task: str,
    method: ResolvedMethod,
    cases: Sequence[Case],
    seeds: Sequence[int],
    results: Path,
    name: str | None = None,
) -> RunPlan:
    """Lay out a run. Nothing is loaded; files are only hashed.

    Raises:
        DataError: a file of a case is missing.
        WeightsError: the method's weights are absent or incomplete.
    """
    overrides = method.card.clip if method.card else {}
    if overrides:
        cases = [case.model_copy(update={"clip": _override(case.clip, overrides)}) for case in cases]
    if not getattr(method.method, "uses_seed", True):
        seeds = seeds[:1]
    not_keyed: frozenset[str] = getattr(method.method, "not_keyed", frozenset())
    described = {
        "name": method.method.name,
        "version": method.method.version,
        "parameters": {key: value for key, value in method.parameters.items() if key not in not_keyed},
        "weights": dict(identity_of(method.method)),
    }
    jobs = []
    for case in cases:
        inputs = [content_sha256(path) for path in inputs_of(method.method, case)]
        content = case.content()
        jobs += [Job(case, seed, generation_key(described, content, inputs, seed)) for seed in seeds]
    identity = {"suite": suite, **described, "clip": overrides and dict(overrides)}
    folder = RunFolder(results / suite / (name or run_name(method)))
    return RunPlan(suite, task, method, tuple(jobs), folder, identity)


def run_name(method: ResolvedMethod) -> str:
    """Folder name of a run: the method's, with eight digits where its parameters are not the usual ones."""
    label: str | None = getattr(method.method, "label", None)
    if label:
        return label
    return f"{method.method.name}~{params8(method.changed)}" if method.changed else method.method.name


def pending(plan: RunPlan, refresh: Refresh) -> tuple[list[Job], list[GenerationRow]]:
    """Split a plan by what the run folder holds.

    Returns:
        Jobs to do, and rows that are finished but stand behind a later row of the same case and seed (the data was
        changed and changed back): they are to be appended again, so that the last row is the current one.
    """
    rows = plan.folder.generations()
    last = {(row.case, row.seed): row.key for row in rows.values()}
    jobs, restored = [], []
    for job in plan.jobs:
        row = rows.get(job.key)
        if row is None or refresh == "all" or (refresh == "failed" and row.status == "failed"):
            jobs.append(job)
        elif row.status == "ok" and plan.folder.video_of(row) is None:
            jobs.append(job)
        elif last[job.case.id, job.seed] != job.key:
            restored.append(row)
    return jobs, restored


def columns(metrics: Sequence[str]) -> list[Column]:
    """Resolve metric names, each once. Nothing is loaded.

    Raises:
        UsageError: a metric or parameter is unknown.
    """
    found: dict[str, Column] = {}
    for text in metrics:
        metric, changed = resolve_metric(text)
        params = {name: _by_content(value) for name, value in changed.items()}
        column = Column(metric, params, tuple(content_sha256(path) for path in weights_of(metric)))
        found.setdefault(column.label, column)
    return list(found.values())


@dataclass(frozen=True)
class ScoreJob:
    """One video and the columns it still needs."""

    row: GenerationRow
    video: Path
    case: Case
    columns: tuple[Column, ...]


def pending_scores(
    folder: RunFolder,
    cases: Mapping[str, Case],
    wanted: Sequence[Column],
    seeds: Sequence[int] | None,
    refresh: Refresh,
) -> list[ScoreJob]:
    """Videos of ``cases`` that lack a score of a wanted column, in the order they were generated."""
    done = {column.label: _done(folder, column, refresh) for column in wanted}
    jobs = []
    for row in folder.current():
        if row.case not in cases or (seeds is not None and row.seed not in seeds):
            continue
        video = folder.video_of(row)
        if video is None or row.sha256 is None:
            continue
        case = cases[row.case]
        missing = tuple(c for c in wanted if c.key(case, row.seed, row.sha256) not in done[c.label])
        if missing:
            jobs.append(ScoreJob(row, video, case, missing))
    return jobs


def session(argv: Sequence[str], device: str, plan: RunPlan | None = None) -> dict[str, Any]:
    """What a manifest records of one command: how it was called, where, with what, and on which plan if on one."""
    record = {"argv": list(argv), "device": device, "git": git_state(), **environment()}
    if plan is not None:
        record |= {"seeds": sorted({job.seed for job in plan.jobs}), "media": _from_home(plan.media_root)}
    return record


def git_state() -> dict[str, Any] | None:
    """Commit of the clone vapbench runs from, and whether it has changes; None outside a clone."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _from_home(path: Path) -> str:
    # Manifests are committed and shared: whose home it was is nobody's business.
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _done(folder: RunFolder, column: Column, refresh: Refresh) -> set[str]:
    if refresh == "all":
        return set()
    rows: Mapping[str, ScoreRow] = folder.scores(column.slug)
    return {key for key, row in rows.items() if not (refresh == "failed" and row.status == "failed")}


def _override(clip: ClipSpec, overrides: Mapping[str, float]) -> ClipSpec:
    return ClipSpec.model_validate({**clip.model_dump(), **overrides})


def _needed(case: Case, metric: Metric) -> dict[str, Any]:
    content = case.content()
    fields = {"prompt": "caption", "reference": "references", "image": "image", "target": "target"}
    return {"id": case.id, **{need: content[fields[need]] for need in sorted(metric.needs)}}


def _by_content(value: Any) -> Any:
    # Two files of weights are two columns wherever they lie; the path itself says nothing.
    if isinstance(value, str) and "/" in value and Path(value).exists():
        return content_sha256(Path(value))[:12]
    return value


def _for_manifest(case: Case, task: str, root: Path) -> dict[str, Any]:
    def relative(path: Path) -> str:
        return path.resolve().relative_to(root).as_posix()

    return {
        "condition": case.condition,
        "category": case.category,
        "tasks": sorted({task, *tasks_with(case.condition)}),
        "caption": case.caption,
        "reference": relative(case.reference.video.path),
        "reference_caption": case.reference.caption,
        "image": relative(case.image.path),
        "target": relative(case.target.path) if case.target else None,
    }
