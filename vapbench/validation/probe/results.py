"""What a probe's runs say: a score and a change for every case in every cell, and why one is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vapbench.results.rows import GenerationRow, ScoreRow
from vapbench.running.plan import MetricSpec, RunPlan
from vapbench.stats.intervals import mean_within
from vapbench.validation.probe.cells import BOTH, OWN, Cell
from vapbench.validation.probe.plans import Probe, Setting
from vapbench.validation.probe.unchanged import change


@dataclass(frozen=True)
class Outputs:
    """What came of one cell; keys are ids of the suite's own cases."""

    scores: Mapping[str, float]
    """In the column's own unit, seeds averaged."""
    changes: Mapping[str, float]
    """Mean absolute difference from the output of the own cell, in grey levels, seeds averaged."""
    videos: Mapping[tuple[str, int], Path] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    """Why cases have no score, and how many."""


def outputs_of(setting: Setting, probe: Probe) -> dict[Cell, Outputs]:
    """Read a method's runs."""
    column = setting.columns[0]
    own = _Read(probe.own, column)
    everything = {OWN: own.outputs({case.id: case.id for case in setting.selection.cases}, None)}
    runs = [(probe.counterfactual, [cell for cell in setting.cells if cell != OWN])]
    runs += [(probe.both, [BOTH])] if probe.both else []
    for plan, cells in runs:
        read = _Read(plan, column)
        for cell in cells:
            ids = {each.judged.id: each.own.id for each in setting.cases if each.cell == cell}
            everything[cell] = read.outputs(ids, own)
    return everything


class _Read:
    """One run, read once."""

    def __init__(self, plan: RunPlan, column: MetricSpec) -> None:
        self._plan, self._column = plan, column
        wanted = {(job.case.id, job.seed) for job in plan.jobs}
        there = plan.folder.manifest_path.exists()
        rows = [row for row in plan.folder.current() if (row.case, row.seed) in wanted] if there else []
        self.rows = {(row.case, row.seed): row for row in rows}
        self._scores = plan.folder.scores(column.slug) if there else {}

    def outputs(self, ids: Mapping[str, str], own: _Read | None) -> Outputs:
        """What came of the cases ``ids``, by what they stand for; ``own``: what outputs may have changed from."""
        scores, changes, videos, lost = [], [], {}, Counter[str]()
        for judged, case in ids.items():
            for seed in self._plan.seeds:
                row, before = self.rows.get((judged, seed)), own.rows.get((case, seed)) if own else None
                score = self._score(row)
                if score is not None and score.value is not None:
                    scores.append((case, score.value))
                else:
                    lost[_reason(row, score)] += 1
                if row and (made := self._video(row)):
                    videos[case, seed] = made[0]
                    if own and before and (first := own._video(before)):
                        changes.append((case, change(first, made)))
        return Outputs(mean_within(_complete(scores, self._plan.seeds)), mean_within(changes), videos, dict(lost))

    def _video(self, row: GenerationRow) -> tuple[Path, str] | None:
        path = self._plan.folder.video_of(row) if row.status == "ok" else None
        return (path, row.sha256) if path and row.sha256 else None

    def _score(self, row: GenerationRow | None) -> ScoreRow | None:
        if row is None or not row.sha256:
            return None
        return self._scores.get(self._column.key(self._plan.cases[row.case], row.seed, row.sha256))


def _complete(scores: Iterable[tuple[str, float]], seeds: tuple[int, ...]) -> list[tuple[str, float]]:
    """Scores of cases that have one for each seed."""
    found = list(scores)
    counts = Counter(case for case, _ in found)
    return [(case, value) for case, value in found if counts[case] == len(seeds)]


def _reason(row: GenerationRow | None, score: ScoreRow | None) -> str:
    if row is None:
        return "not made yet"
    if row.status != "ok":
        return row.note or (row.attempts[-1].message if row.attempts else row.status)
    if score is None:
        return "not scored yet"
    return score.note or (score.failure.message if score.failure else score.status)
