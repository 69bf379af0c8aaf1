"""From what was asked to plans: one for each method, or one for a folder of videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vapbench.errors import UsageError
from vapbench.methods import ResolvedMethod, resolve
from vapbench.running.plan import RunPlan, plan_run
from vapbench.running.run import Selection
from vapbench.running.shards import Shard


def plan_methods(
    selection: Selection,
    methods: Sequence[str],
    shared: Mapping[str, str | None],
    seeds: Sequence[int],
    results: Path,
    name: str | None = None,
    shard: Shard | None = None,
    tentative: bool = False,
) -> list[RunPlan]:
    """Lay out one run for each method; a plan may be without a case, where a shard leaves it none.

    Args:
        selection: the cases.
        methods: as the command line spells them.
        shared: parameters for every method that has them.
        seeds: of every case.
        results: where runs are kept.
        name: name of the run, instead of the method's.
        shard: only this piece of the cases.
        tentative: whether absent weights are only noted, since nothing will be run.

    Raises:
        UsageError: an unknown method or parameter, or one name for several methods.
        WeightsError: a checkpoint is absent.
    """
    resolved = [resolve(text, shared, selection.suite.name) for text in dict.fromkeys(methods)]
    if name and len(resolved) > 1:
        raise UsageError(f"--name {name} cannot stand for {len(resolved)} methods; give one --method, or no --name.")
    return [plan_method(selection, item, seeds, results, name, shard, tentative) for item in resolved]


def plan_method(
    selection: Selection,
    method: ResolvedMethod,
    seeds: Sequence[int],
    results: Path,
    name: str | None = None,
    shard: Shard | None = None,
    tentative: bool = False,
) -> RunPlan:
    """Lay out the run of a method, or of a folder of videos, on the selected cases."""
    suite, task = selection.suite, selection.task.name
    return plan_run(
        *(suite.name, task, method, selection.cases, seeds, results, name, selection.among),
        tentative=tentative,
        shard=shard,
        suite_version=suite.version,
    )
