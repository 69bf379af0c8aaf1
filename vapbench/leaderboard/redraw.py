"""Clips of the committed runs, made again: git keeps rows, and a board is looked at.

A row's key holds everything that decides its video. What is made here under the same key, by the weights that come
with the package, is the same video but for the machine: the bytes may differ.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vapbench.core.case import Case
from vapbench.errors import UsageError, WeightsError
from vapbench.methods import ResolvedMethod, resolve
from vapbench.results.run import RunFolder, runs_below
from vapbench.running.context import FailureLimit, Progress, Settings
from vapbench.running.plan import RunPlan, keyed_parameters, plan_run
from vapbench.running.run import execute
from vapbench.suites import Suite, load_suites
from vapbench.suites.tasks import tasks_with


@dataclass
class Redrawn:
    """What is there to be shown."""

    clips: int = 0
    equal: int = 0
    """Of these, byte for byte what was scored."""
    runs: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    """Run -> why it was not made again."""


def redraw(results: Sequence[Path], out: Path, few: int | None, progress: Progress, device: str = "auto") -> Redrawn:
    """Make again what committed runs of suites without data made. What is there already is kept.

    Args:
        results: results folders.
        out: where run folders of clips are kept.
        few: cases of each task; None for all.
        progress: told of each clip.
        device: what generates.

    Raises:
        DataError: a run cannot be read, or another process writes to ``out``.
    """
    found = Redrawn()
    suites = {name: suite for name, suite in load_suites().items() if suite.data == "none"}
    cases = {name: list(suite.cases(None)) for name, suite in suites.items()}
    for run in runs_below(results):
        suite = suites.get(run.path.parent.name)
        if suite is None:
            continue
        name = f"{suite.name}/{run.path.name}"
        rows = {row.key: row for row in run.current() if row.status == "ok"}
        if all(run.has_video(row) for row in rows.values()):
            continue
        try:
            plan = plan_of(run, suite, cases[suite.name], out)
        except (UsageError, WeightsError) as error:
            found.skipped[name] = str(error)
            continue
        if not plan.jobs:
            found.skipped[name] = "its weights, versions or parameters are not those that are here"
            continue
        of_plan = list(plan.cases.values())
        chosen = {case.id for case in (of_plan if few is None else first_of_each_task(of_plan, few))}
        _draw(replace(plan, jobs=tuple(job for job in plan.jobs if job.case.id in chosen)), progress, device)
        found.runs += 1
        for row in plan.folder.current():
            if row.key in rows and row.status == "ok":
                found.clips += 1
                found.equal += row.sha256 == rows[row.key].sha256
    return found


def plan_of(run: RunFolder, suite: Suite, cases: Sequence[Case], out: Path) -> RunPlan:
    """The generations of a run that can be made again here: those whose keys are its rows'.

    Args:
        run: a run of the suite.
        suite: its suite.
        cases: all of the suite's cases.
        out: results folder of the plan.

    Raises:
        UsageError: its method is not here.
        WeightsError: the method's weights are not here.
    """
    rows = {row.key: row.seed for row in run.current() if row.status == "ok"}
    method, seeds = _method(run, suite), sorted(set(rows.values()))
    plan = plan_run(suite.name, "all", method, cases, seeds, out, among=cases, suite_version=suite.version)
    return replace(plan, jobs=tuple(job for job in plan.jobs if job.key in rows))


def _draw(plan: RunPlan, progress: Progress, device: str) -> None:
    if plan.folder.manifest_path.is_file() and plan.folder.manifest().document["identity"] != plan.identity:
        # Of weights of before: nothing refers to them any more.
        shutil.rmtree(plan.folder.path)
    execute(plan, (), Settings(device, max_failures=FailureLimit(math.inf), every_case=True), progress)


def _method(run: RunFolder, suite: Suite) -> ResolvedMethod:
    """The method of a run, with the parameters it was run with."""
    identity = run.manifest().identity
    usual = keyed_parameters(resolve(identity.name, None, suite.name))
    changed = {name: value for name, value in identity.parameters.items() if (name, value) not in usual.items()}
    spelled = ",".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in changed.items()
    )
    return resolve(f"{identity.name}:{spelled}" if spelled else identity.name, None, suite.name)


def first_of_each_task(cases: Iterable[Case], few: int) -> list[Case]:
    """The first cases by name of each task but that of all, each of another condition."""
    conditions: dict[str, dict[str, Case]] = {}
    for case in sorted(cases, key=lambda case: case.id):
        for task in tasks_with(case.condition, case.category):
            if task != "all":
                conditions.setdefault(task, {}).setdefault(case.condition, case)
    return list({case.id: case for found in conditions.values() for case in [*found.values()][:few]}.values())


def clips_below(folder: Path) -> dict[str, tuple[Path, str]]:
    """Key of a generation -> its clip and the clip's hash, of what :func:`redraw` made and nobody changed since."""
    found = {}
    for run in runs_below([folder]):
        for row in run.current():
            if path := run.video_of(row):
                found[row.key] = path, str(row.sha256)
    return found
