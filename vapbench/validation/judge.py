"""The check: ask about runs and their controls, and sum up what the answers say of the judge.

Controls are cases like any other, with other videos in their roles. They are scored in run folders of their own,
``RUN/judge-check/<control>``: an answer is paid for once, and the same command resumes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vapbench.core.case import Case
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.report.tables.votes import Agreement, Vote, agreement, win
from vapbench.results.rows import ScoreRow
from vapbench.results.run import RunFolder
from vapbench.running.context import Progress, Settings
from vapbench.running.costs import CostEstimate, estimate_folder, estimate_plan
from vapbench.running.plan import MetricSpec, RunPlan
from vapbench.running.run import Selection, execute, rescore
from vapbench.stats.intervals import Estimate, clustered_mean, clustered_share
from vapbench.validation.controls import Control, plan_controls

if TYPE_CHECKING:
    from vapbench.stats.agreement import Alpha


@dataclass(frozen=True)
class Setting:
    """What is checked: a judge's column, on runs, with the first of them as the source of controls."""

    selection: Selection
    """Its cases are those that are judged."""
    column: MetricSpec
    runs: tuple[RunFolder, ...]
    controls: Mapping[Control, RunPlan]


@dataclass(frozen=True)
class Report:
    """What a check found. Scores are in the judge's own unit; None where there is nothing to say."""

    column: str
    means: Mapping[str, Estimate]
    """``right`` and each control, over the cases they have."""
    asked: int
    """Scores that were asked for."""
    failed: int
    """Scores the judge gave no usable answer for."""
    separation: Estimate | None
    """Share of cases whose own reference scores higher than a wrong one; equal scores count half; 0.5 is chance."""
    swap_difference: float | None
    """Mean absolute difference between a pair and the same pair swapped."""
    repeat_difference: float | None
    """Mean absolute difference between two answers on the same case."""
    repeat_alpha: Alpha | None
    """Krippendorff's alpha (interval) of the repeats."""
    votes: Agreement | None


def set_up(
    runs: Sequence[RunFolder], selection: Selection, column: MetricSpec, limit: int, root: Path | None = None
) -> Setting:
    """Choose cases that every run has a video of, spread over conditions, and lay the controls out.

    Args:
        runs: one or more; controls use the videos of the first.
        selection: the suite's cases.
        column: the judge.
        limit: at most so many cases.
        root: where controls are kept; ``judge-check`` in the first run.

    Raises:
        UsageError: the metric does not look at a reference.
        DataError: no case has a video in every run.
    """
    if "reference" not in column.metric.needs:
        raise UsageError(
            f"{column.label} does not look at the reference: there is nothing to control.", ErrorKind.CONFLICT, "metric"
        )
    videos = [_videos(run) for run in runs]
    shared = [case for case in selection.cases if all(case.id in of_run for of_run in videos)]
    if not shared:
        names = " and ".join(run.path.name for run in runs)
        raise DataError(
            f"No case of suite {selection.suite.name} has a video in {names}; generate them first.",
            ErrorKind.MISSING,
            "videos",
        )
    cases = tuple(_spread(shared)[:limit])
    chosen = replace(selection, cases=cases)
    root = root or runs[0].path / "judge-check"
    return Setting(chosen, column, tuple(runs), plan_controls(chosen, videos[0], root))


def estimates(setting: Setting) -> list[CostEstimate]:
    """What the check costs, without what was paid for before."""
    cases = {case.id: case for case in setting.selection.cases}
    column = [setting.column]
    own = [estimate_folder(run, cases, column, "missing") for run in setting.runs]
    controls = [estimate_plan(plan, column, "missing") for plan in setting.controls.values()]
    return [*chain(*own, *controls)]


def check(setting: Setting, settings: Settings, progress: Progress, votes: Sequence[Vote] = ()) -> Report:
    """Ask the judge what it was not asked yet, and sum up.

    Raises:
        TooManyFailures: the judge fails too often.
        BudgetSpent: paid calls ran out; the same command goes on.
        DataError: nothing could be scored, or no vote is about the runs.
    """
    for run in setting.runs:
        rescore(run, setting.selection, [setting.column], settings, progress)
    for plan in setting.controls.values():
        execute(plan, [setting.column], settings, progress)
    return summarise(setting, votes)


def summarise(setting: Setting, votes: Sequence[Vote] = ()) -> Report:
    """Sum up the scores there are.

    Raises:
        DataError: there are none, or no vote is about the runs.
    """
    cases = {case.id: case for case in setting.selection.cases}
    own = {run.path.name: _rows(run, cases, setting.column) for run in setting.runs}
    controls = {str(name): _rows(plan.folder, plan.cases, setting.column) for name, plan in setting.controls.items()}
    groups: dict[str, dict[str, ScoreRow]] = {"right": own[setting.runs[0].path.name], **controls}
    scores = {name: _values(rows) for name, rows in groups.items()}
    if not scores["right"]:
        reasons = [row.note or (row.failure.message if row.failure else "") for row in groups["right"].values()]
        raise DataError(
            f"{setting.column.label} scored nothing: {reasons[0] if reasons else 'no row'}", ErrorKind.FAILED, "scores"
        )
    everything = [row for rows in (*own.values(), *controls.values()) for row in rows.values()]
    conditions = {case.id: case.condition for case in cases.values()}

    def of(values: Mapping[str, float]) -> list[str]:
        return [conditions[case] for case in values]

    limits = setting.column.metric.range

    wins = {case: win(a, b) for case, (a, b) in _both(scores["right"], scores.get("wrong", {})).items()}
    swaps = [abs(a - b) for a, b in _both(scores["right"], scores.get("swapped", {})).values()]
    repeats = {case: values for case, row in groups["right"].items() if (values := _repeats(row))}
    between = [abs(a - b) for values in repeats.values() for a, b in combinations(values, 2)]
    return Report(
        column=setting.column.label,
        means={
            name: clustered_mean(list(values.values()), of(values), bounds=limits)
            for name, values in scores.items()
            if values
        },
        asked=len(everything),
        failed=sum(row.status == "failed" for row in everything),
        separation=clustered_share(list(wins.values()), of(wins)) if wins else None,
        swap_difference=math.fsum(swaps) / len(swaps) if swaps else None,
        repeat_difference=math.fsum(between) / len(between) if between else None,
        repeat_alpha=_alpha(repeats) if between else None,
        votes=agreement(votes, {run: _values(rows) for run, rows in own.items()}, conditions) if votes else None,
    )


def _videos(run: RunFolder) -> dict[str, Path]:
    """The first seed's video of each case."""
    found: dict[str, Path] = {}
    for row in sorted(run.current(), key=lambda row: row.seed):
        if row.case not in found and (video := run.video_of(row)):
            found[row.case] = video
    return found


def _spread(cases: Sequence[Case]) -> list[Case]:
    """One case of each condition, then a second of each, and so on."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.condition, []).append(case)
    return [case for turn in zip_longest(*groups.values()) for case in turn if case is not None]


def _rows(run: RunFolder, cases: Mapping[str, Case], column: MetricSpec) -> dict[str, ScoreRow]:
    """The current row of each case's first seed."""
    rows = run.scores(column.slug)
    found: dict[str, ScoreRow] = {}
    for made in sorted(run.current(), key=lambda made: made.seed):
        if made.case in cases and made.case not in found and made.sha256:
            row = rows.get(column.key(cases[made.case], made.seed, made.sha256))
            if row is not None:
                found[made.case] = row
    return found


def _values(rows: Mapping[str, ScoreRow]) -> dict[str, float]:
    return {case: row.value for case, row in rows.items() if row.status == "ok" and row.value is not None}


def _both(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    return {case: (value, second[case]) for case, value in first.items() if case in second}


def _repeats(row: ScoreRow) -> list[float]:
    values: Any = row.parts.get("scores")
    return [float(value) for value in values] if isinstance(values, list) and len(values) > 1 else []


def _alpha(repeats: Mapping[str, Sequence[float]]) -> Alpha:
    from vapbench.stats.agreement import krippendorff_alpha

    flat = [(case, turn, value) for case, values in repeats.items() for turn, value in enumerate(values)]
    units, raters, values = zip(*flat, strict=True)
    return krippendorff_alpha(units, raters, values, "interval")
