"""A folder of videos scored as ``vapbench score`` scores it, with metrics that are loaded already."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path

import torch
from overhead import Silent

from vapbench.core.case import Case
from vapbench.methods import resolve
from vapbench.metrics.base import Metric
from vapbench.running.context import Settings
from vapbench.running.plan import MetricSpec, plan_run
from vapbench.running.run import execute


def copies(case: Case, count: int, place: Path) -> list[Case]:
    """Cases whose videos are one video, in a folder ``videos`` under names of their own."""
    folder = place / "videos"
    folder.mkdir()
    cases = []
    for number in range(count):
        name = f"clip-{number:03}"
        os.link(case.image.path, folder / f"{name}.mp4")
        cases.append(case.model_copy(update={"id": name}))
    return cases


def score_folder(
    metrics: Mapping[str, Metric], columns: Sequence[str], cases: Sequence[Case], place: Path, device: torch.device
) -> dict[tuple[str, str], float]:
    """Take the folder's videos into a run and score them: rows, hashes and all.

    Returns:
        (case, column) -> score.
    """
    plan = plan_run("own", "all", resolve(f"folder:path={place / 'videos'}"), cases, [0], place / "runs")
    wanted = [MetricSpec(loaded(metrics[name]), {}, ()) for name in columns]
    execute(plan, wanted, Settings(device=str(device)), Silent())
    rows = [row for column in wanted for row in plan.folder.scores(column.slug).values()]
    return {(row.case, row.metric): float(row.value or 0.0) for row in rows}


def loaded(metric: Metric) -> Metric:
    """The metric, which a run need not load again: loading is timed on neither side."""
    ready = copy(metric)
    ready.setup = lambda device: None  # type: ignore[method-assign]
    return ready
