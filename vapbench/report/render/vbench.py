"""``*_eval_results.json`` as VBench writes it, for tools that read VBench's files.

Each dimension maps to ``[mean, [{"video_path": ..., "video_results": ...}, ...]]``, as in VBench's ``evaluate``. Only
columns whose definition and protocol are VBench's own are written, and of those only complete ones: the format has no
way to say that a score is missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from vapbench.report.read.run_summary import ColumnKey, RunSummary

DIMENSIONS: Mapping[str, str] = {
    "aesthetic_quality": "aesthetic_quality",
    "dynamic_degree[raft]": "dynamic_degree",
    "motion_smoothness[amt]": "motion_smoothness",
}
"""Column -> VBench's dimension. ``temporal_flickering`` is not here: VBench keeps only static videos first."""

_YES_OR_NO = {"dynamic_degree"}
_OWN_PARAMETERS = ("{}", '{"vbench_quirks":true}', '{"vbench_quirks":false}')


def eval_results(run: RunSummary, task: str | None = None) -> tuple[dict[str, Any], list[str]]:
    """A run's scores in VBench's form.

    Args:
        run: the run.
        task: only the cases of this task.

    Returns:
        The file's content, and one sentence for each column that is left out.
    """
    results: dict[str, Any] = {}
    left_out = []
    for key in sorted(run.scores):
        dimension = DIMENSIONS.get(key.metric)
        if dimension is None or key.params not in _OWN_PARAMETERS:
            left_out.append(f"{key.metric} is not defined as in VBench.")
            continue
        videos = _videos(run, key, task)
        if videos is None:
            left_out.append(
                f"{key.metric} is incomplete: finish the run first, as VBench's form has no missing scores."
            )
            continue
        values = [value for _, value in videos]
        results[dimension] = [
            math.fsum(values) / len(values),
            [
                {"video_path": path, "video_results": bool(value) if dimension in _YES_OR_NO else value}
                for path, value in videos
            ],
        ]
    return results, left_out


def _videos(run: RunSummary, key: ColumnKey, task: str | None) -> list[tuple[str, float]] | None:
    """Path and score of every planned video; None if one has no score."""
    found = []
    for case in run.cases(task):
        if run.outcome(key, case).state != "scored":
            return None
        for made, outcome in zip(run.generations[case], run.outcomes(key, case), strict=True):
            if outcome.value is None or made.video is None:
                return None
            found.append((f"videos/{made.video}", outcome.value))
    return found or None
