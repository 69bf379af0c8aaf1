"""Scores as a data frame: one row for every planned case, seed and column of every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vapbench.report.read.columns import rows_of
from vapbench.report.read.read_runs import split_by_files
from vapbench.report.read.run_summary import CaseOutcome, RunSummary, condition_of

if TYPE_CHECKING:
    import pandas as pd

SCHEMA: dict[str, tuple[str, str]] = {
    "suite": ("string", "the suite"),
    "task": ("string", "the smallest task of the run that holds the case"),
    "method": ("string", "what the run is called: its method, or the name it was given"),
    "parameters": ("string", "parameters that are not the method's usual ones, as name=value; empty for none"),
    "case": ("string", "the case"),
    "condition": ("string", "its condition: what intervals are clustered by"),
    "category": ("string", "concept, style, motion, camera; missing where no task lists the condition"),
    "seed": ("Int64", "the seed of the generation"),
    "metric": ("string", "the metric, with its variant: dynamic_degree[raft]"),
    "version": ("Int64", "the metric's version; scores of different versions never share a mean"),
    "metric_parameters": ("string", "parameters of the metric that are not its usual ones, as JSON"),
    "value": ("Float64", "the score in the metric's own unit; missing where there is none"),
    "status": ("string", "scored, failed, unscored (it does not apply), or missing (not done yet)"),
    "reason": ("string", "why there is no score, or the metric's note"),
}
"""Column -> pandas type and meaning; ``vapbench export`` writes the same."""
NOT_GENERATED = CaseOutcome("missing", reason="not generated yet")


def frame_of(runs: Sequence[RunSummary]) -> pd.DataFrame:
    """The scores that count now: of the current video of each case and seed, by the current content of its case.

    Superseded rows are left out; scores of one column by other files (weights, a metric's own code) are told apart by
    its parameter ``files``, as in tables; ``value`` is a number exactly where ``status`` is ``scored``.

    Args:
        runs: what :func:`~vapbench.report.read.read_runs.read_all` returns.

    Returns:
        A frame with the columns of :data:`SCHEMA`, in the order of runs, columns, cases and seeds.
    """
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    runs = split_by_files(runs)
    for run, row in zip(runs, rows_of(runs), strict=True):
        method, _, parameters = row.label.partition(" ")
        tasks = _smallest_tasks(run)
        for key in sorted(run.scores):
            for case, planned in run.cases().items():
                made = [row.seed for row in run.generations.get(case, ())]
                by_seed = dict(zip(made, run.outcomes(key, case), strict=True))
                for seed in sorted({*planned.seeds, *made}):
                    outcome = by_seed.get(seed, NOT_GENERATED)
                    rows.append(
                        (
                            *(run.suite, tasks.get(case), method, parameters),
                            *(case, condition_of(case, planned), planned.category, seed),
                            *(key.metric, key.version, "" if key.params == "{}" else key.params),
                            *(outcome.value, outcome.state, outcome.reason),
                        )
                    )
    frame = pd.DataFrame.from_records(rows, columns=list(SCHEMA))
    return frame.astype({name: kind for name, (kind, _) in SCHEMA.items()})


def _smallest_tasks(run: RunSummary) -> dict[str, str]:
    """Case -> of the tasks it belongs to, the one with the fewest cases."""
    by_size = sorted(run.tasks, key=lambda task: (-len(run.cases(task)), task))
    return {case: task for task in by_size for case in run.cases(task)}
