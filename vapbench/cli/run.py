"""``run`` and ``generate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from vapbench.cli import options as opt
from vapbench.cli.help import Command
from vapbench.cli.records import flat
from vapbench.files.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(cls=Command)(run)
    app.command(cls=Command)(generate)


@flat
def run(
    generation: opt.Generation,
    cases: opt.Cases,
    scoring: opt.Scoring,
    execution: opt.Execution,
    output: opt.Output,
) -> None:
    """Generate, score, report; resume.

    The same command resumes: what is finished is kept, what is missing is done.

    \b
    vapbench run --method vap --task camera
    vapbench run -m vap -m frozen -m ground-truth --task all --seed 0 --seed 1
    vapbench run -m "vap:steps=30,guidance=5" --suite vap-data \\
        --data /data/VAP-Data --offload model
    vapbench run -m vap --executor ray --workers 2
    """
    from vapbench.cli.execute import execute_all, prepare, say_merge
    from vapbench.cli.report import print_tables
    from vapbench.report.tables.layout import read_layout

    output.begin()
    settings = execution.settings(generation, scoring)
    if output.dry_run:
        _describe(generation, cases, execution, scoring.metric or None, scoring.max_judge_calls, output.json)
        return
    prepared = prepare(cases, generation, execution, scoring.metric or None, scoring.max_judge_calls)
    stopped = execute_all(prepared.runs, settings, output.quiet)
    folders = [run.folder for run in prepared.runs if run.folder.manifest_path.exists()]
    shown = [column.label for column in prepared.columns]
    layout = read_layout(None, style="wide", task=prepared.selection.task.name, columns=shown)
    print_tables(folders, layout, as_json=output.json, next_steps=not output.quiet)
    say_merge(generation.shard, execution.results)
    raise typer.Exit(1 if stopped else 0)


@flat
def generate(
    generation: opt.Generation,
    cases: opt.Cases,
    execution: opt.Execution,
    output: opt.Output,
) -> None:
    """Generate videos, and score them later.

    Scoring them may be done on another machine:

    \b
    vapbench score RUN
    """
    from vapbench.cli.execute import execute_all, prepare, say_merge
    from vapbench.core.console import output as stdout
    from vapbench.core.console import print_json

    output.begin()
    settings = execution.settings(generation)
    if output.dry_run:
        _describe(generation, cases, execution, (), None, output.json)
        return
    prepared = prepare(cases, generation, execution, ())
    stopped = execute_all(prepared.runs, settings, output.quiet)
    counts = []
    for plan in prepared.plans:
        asked = {job.key for job in plan.jobs}
        made = sum(row.status == "ok" and row.key in asked for row in plan.folder.current())
        counts.append({"run": str(plan.folder.path), "made": made, "videos": len(plan.jobs)})
        if not output.json:
            said = f"{plan.folder.path}: {made} of {counted(len(plan.jobs), 'video')}"
            stdout().print(said, markup=False, soft_wrap=True)
    if output.json:
        print_json(counts)
    say_merge(generation.shard, execution.results)
    raise typer.Exit(1 if stopped else 0)


def _describe(
    generation: opt.Generation,
    cases: opt.Cases,
    execution: opt.Execution,
    metrics: Sequence[str] | None,
    max_judge_calls: int | None,
    json: bool,
) -> None:
    """Say what would be done: with the data at hand, or by the suite's protocol where it is not."""
    from vapbench.cli.costs import print_costs
    from vapbench.cli.dry_run import describe_plans, describe_protocol, document, show
    from vapbench.cli.execute import prepare
    from vapbench.core.console import print_json
    from vapbench.running.costs import estimate_plan
    from vapbench.running.plan import columns
    from vapbench.suites import find_suite

    wanted = columns(find_suite(cases.suite).metrics if metrics is None else metrics)
    paid = []
    described = describe_protocol(
        *(cases.suite, cases.data, cases.task, generation.method, generation.shared, cases.seed),
        *(cases.limit, generation.shard),
    )
    if not described:
        prepared = prepare(cases, generation, execution, metrics, tentative=True)
        wanted = list(prepared.columns)
        described = describe_plans(prepared.plans, wanted, execution.refresh)
        paid = [each for plan in prepared.plans for each in estimate_plan(plan, wanted, execution.refresh)]
    if json:
        print_json(document(described, wanted, paid))
        return
    show(described, wanted)
    print_costs(paid, max_judge_calls)
