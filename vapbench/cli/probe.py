"""``probe``: did the reference cause it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vapbench.cli import options as opt
from vapbench.cli.help import OUTPUT, WHAT, Command
from vapbench.cli.records import flat
from vapbench.files.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vapbench.running.pending import Refresh
    from vapbench.running.run import Selection
    from vapbench.validation.probe.cells import Cells
    from vapbench.validation.probe.plans import Setting


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(probe)


@flat
def probe(
    method: opt.Methods,
    cases: opt.Cases,
    output: opt.Output,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="Metric, repeatable; the first says how much of the effect is there. Default: the suite's that look "
            "at the reference.",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = None,
    cells: Annotated[
        Literal["core", "balanced", "full"],
        typer.Option(
            "--cells",
            help="core: reference own or wrong, caption with or without the effect (4 videos a case). balanced: every "
            "other reference and caption too, one at a time (10). full: each with each (24).",
            rich_help_panel=WHAT,
        ),
    ] = "balanced",
    captions: Annotated[
        Path | None,
        typer.Option(
            "--captions",
            help="Table of captions without the effect. [default: the suite's own, or probe_captions.csv in its data]",
            show_default=False,
            rich_help_panel=WHAT,
        ),
    ] = None,
    write_captions: Annotated[
        Path | None,
        typer.Option(
            "--write-captions",
            help="Write that table, for you to complete, and do nothing else.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    results: opt.Results = opt.RUNS,
    dtype: opt.Dtype = None,
    offload: opt.Offload = None,
    device: opt.Device = "auto",
    executor: opt.Executor = "local",
    workers: opt.Workers = None,
    ray_address: opt.RayAddress = None,
    refresh: opt.Refresh = "missing",
    retries: opt.Retries = 1,
    max_failures: opt.MaxFailures = None,
    max_judge_calls: opt.MaxJudgeCalls = None,
) -> None:
    """Measure what reference and caption each do to a method's videos.

    Every case is made again with another reference or another caption, and scored against its own reference: what
    a wrong reference takes away is what the own one gave. The same command resumes. What it all means:
    docs/guides/probe.md

    \b
    vapbench probe --method vap --method i2v --method frozen --task camera
    vapbench probe -m ./my_method --task all --cells core --dry-run
    vapbench probe -m vap --suite vap-data --data DIR --executor ray \\
        --metric "semantic_alignment[judge]:model=gemini-2.5-pro"
    """
    from vapbench.cli.execute import execute_all
    from vapbench.core.console import output as stdout
    from vapbench.core.console import print_json, say, terminal_width
    from vapbench.files.atomic import quoted
    from vapbench.running.costs import limit_calls
    from vapbench.running.prepare import PreparedRun
    from vapbench.running.run import choose
    from vapbench.validation.probe.outcome import conclude
    from vapbench.validation.probe.plans import set_up
    from vapbench.validation.probe.report import to_json

    output.begin()
    generation = opt.Generation(method, dtype, offload, None, retries)
    execution = opt.Execution(results, None, device, executor, workers, ray_address, refresh, max_failures)
    settings = execution.settings(generation, opt.Scoring(metric))
    if output.dry_run and _describe_protocol(cases, method, generation.shared, cells, output.json):
        return
    selection = choose(cases.suite, cases.data, cases.task, cases.limit)
    if write_captions:
        _write_captions(selection, cases.data, captions, write_captions)
        return
    setting = set_up(
        *(selection, method, generation.shared, metric, cells, cases.seed or [0], results, cases.data, captions),
        tentative=output.dry_run,
    )
    if output.dry_run:
        _describe(setting, refresh, max_judge_calls, output.json)
        return
    limit_calls(setting.columns, max_judge_calls)
    runs = [PreparedRun(selection, setting.columns, plan.folder, plan) for plan in setting.plans]
    stopped = execute_all(runs, settings, output.quiet)
    found = conclude(setting)
    if output.json:
        print_json(to_json(found.report))
    else:
        text = found.text(terminal_width(stdout()))
        say(f"{text}\nWrote {', '.join(map(quoted, found.files))}")
    raise typer.Exit(1 if stopped else 0)


def _write_captions(selection: Selection, data: Path | None, captions: Path | None, path: Path) -> None:
    from vapbench.core.console import say
    from vapbench.files.atomic import quoted
    from vapbench.validation.probe.captions import write_captions
    from vapbench.validation.probe.plans import known_captions

    lacking = write_captions(path, selection.cases, known_captions(selection, data, captions))
    text = f"{counted(len(selection.cases), 'case')}, {lacking} without a caption without the effect: {quoted(path)}"
    say(text)


def _describe_protocol(
    cases: opt.Cases, method: list[str], shared: Mapping[str, str | None], cells: Cells, json: bool
) -> bool:
    """Say what a probe of a suite's whole protocol would cost where its data is not at hand; False where it is."""
    from vapbench.cli.dry_run import describe_protocol, document, show
    from vapbench.core.console import print_json, say
    from vapbench.validation.probe.cells import cells_of

    described = describe_protocol(cases.suite, cases.data, cases.task, method, shared, cases.seed)
    if not described:
        return False
    count = len(cells_of(cells, "without"))
    if json:
        print_json({**document(described, ()), "cells": count})
        return True
    show(described)
    videos, hours = sum(one.work.videos for one in described), sum(one.hours for one in described)
    time = f", about {hours * count:.1f} device hours" if hours else ""
    say(f"cells     {count} of every case, the own one among them: together {counted(videos * count, 'video')}{time}")
    return True


def _describe(setting: Setting, refresh: Refresh, max_judge_calls: int | None, json: bool) -> None:
    """Say what the probe would cost."""
    from vapbench.cli.costs import print_costs
    from vapbench.cli.dry_run import describe_plans, document, show
    from vapbench.core.console import print_json, say
    from vapbench.running.costs import estimate_plan

    described = describe_plans(setting.plans, setting.columns, refresh)
    paid = [each for plan in setting.plans for each in estimate_plan(plan, setting.columns, refresh)]
    if json:
        print_json(document(described, setting.columns, paid))
        return
    show(described, setting.columns)
    count = len(setting.selection.cases)
    say(
        f"cells     {len(setting.cells)}, of which the own one is the ordinary run: "
        + ", ".join(cell.name for cell in setting.cells),
        f"captions  without the effect: {setting.without} of {counted(count, 'case')}"
        + ("" if setting.without else "; the empty caption stands in their place (--write-captions FILE)"),
    )
    print_costs(paid, max_judge_calls)
