"""What ``run``, ``generate`` and ``score`` do once their options are read: plan, execute, say what came of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vapbench.cli.options import Cases, Execution, Generation
from vapbench.core.console import errors, tell
from vapbench.files.text import counted

if TYPE_CHECKING:
    from vapbench.errors import VapbenchError
    from vapbench.methods.preflight import Preflight
    from vapbench.running.context import Settings
    from vapbench.running.prepare import PreparedRun, PreparedRuns


def prepare(
    cases: Cases,
    generation: Generation,
    execution: Execution,
    metrics: Sequence[str] | None = None,
    max_judge_calls: int | None = None,
    tentative: bool = False,
) -> PreparedRuns:
    """Turn options into runs to be done; where a shard has no case, all is done."""
    from vapbench.running.prepare import RunRequest, prepare_runs
    from vapbench.running.shards import Shard

    shard = Shard.parse(generation.shard) if generation.shard else None
    request = RunRequest(
        *(generation.method, execution.results, cases.suite, cases.task, cases.data, cases.limit, cases.seed or [0]),
        *(metrics, execution.name, generation.shared, shard, max_judge_calls),
    )
    prepared = prepare_runs(request, tentative)
    if shard and not prepared.runs:
        text = f"Shard {shard} has no case: there are {len(prepared.selection.cases)}. Nothing to do."
        tell(text)
        raise typer.Exit(0)
    return prepared


def say_merge(shard: str | None, results: Path) -> None:
    """Say what to do with a finished shard."""
    if shard is None:
        return
    from vapbench.files.atomic import quoted
    from vapbench.running.shards import Shard

    into, pieces = quoted(results), Shard.parse(shard).pattern
    text = f"Shard {shard} is done. When all are: vapbench results merge {into}/{pieces} --into {into}"
    tell(text)


def execute_all(
    runs: Sequence[PreparedRun],
    settings: Settings,
    quiet: bool,
    looked: Preflight | None = None,
) -> bool:
    """Do one run after another; one that fails too often, or a budget that ends, does not keep others from running.

    Args:
        runs: what to do.
        settings: how to run.
        quiet: whether to say little.
        looked: what was said of a folder of videos before.

    Returns:
        Whether any failed too often, or lacks scores that the budget did not reach.
    """
    from vapbench.cli.preflight import say_failed
    from vapbench.errors import BudgetSpent, TooManyFailures
    from vapbench.files.atomic import quoted
    from vapbench.running.progress import progress

    stopped = False
    for run in runs:
        try:
            outcome = run.execute(settings, progress(quiet))
        except (TooManyFailures, BudgetSpent) as error:
            stopped = True
            say_stopped(run.folder.path.name, error)
            continue
        failed = outcome.generated.all_failed + outcome.scored.all_failed
        if failed:
            fixable = looked is not None and not outcome.scored.all_failed
            again = "fix the files and run again" if fixable else "again: --refresh failed"
            hint = f"{failed} failed; why: vapbench show {quoted(run.folder.path)}; {again}"
            tell(f"{run.folder.path.name}: {hint}")
        stopped = stopped or (settings.every_case and outcome.generated.all_failed > 0)
        if run.plan is None:
            continue
        if looked is None:
            _announce(run)
        elif not quiet:
            say_failed(run.plan, looked)
    return stopped


def say_stopped(run: str, error: VapbenchError) -> None:
    """Say that a run stopped before its end, and how to go on."""
    import shlex

    from rich.markup import escape

    from vapbench.errors import BudgetSpent

    if isinstance(error, BudgetSpent):
        text = f"{run}: {error} Go on with: {shlex.join(['vapbench', *sys.argv[1:]])}"
        tell(text)
    else:
        errors().print(f"[red]error[/red] {escape(f'{run}: {error}')}", soft_wrap=True)


def _announce(run: PreparedRun) -> None:
    """Say which cases the method had nothing for."""
    from vapbench.running.run import missing_outputs

    missing = missing_outputs(run.folder, run.selection.cases)
    if not missing:
        return
    names = ", ".join(row.case for row in missing[:3]) + (", …" if len(missing) > 3 else "")
    said = f"{len(missing)} of {counted(len(run.selection.cases), 'case')} unscored: {names}"
    tell(f"{run.folder.path.name}: {said} ({missing[0].note})")
