"""``plan``: what a run would take on machines that are not at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vapbench.cli import options as opt
from vapbench.cli.help import DEVICES, Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vapbench.cli.dry_run import Described
    from vapbench.running.estimate import Machines, MethodEstimate, Rate
    from vapbench.running.plan import MetricSpec


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command)(plan)


def plan(
    context: typer.Context,
    method: opt.AnyMethods = None,
    task: opt.Task = "all",
    suite: opt.Suite = opt.SUITE,
    data: opt.Data = None,
    metric: opt.Metrics = None,
    seed: opt.Seeds = None,
    limit: opt.Limit = None,
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Machines.", rich_help_panel=DEVICES)] = 1,
    gpus: Annotated[int, typer.Option("--gpus", min=1, help="GPUs of each machine.", rich_help_panel=DEVICES)] = 8,
    gpu: Annotated[
        str,
        typer.Option("--gpu", help="Which: b200, h200, h100, a100-80g, a100, l40s, a10g, l4.", rich_help_panel=DEVICES),
    ] = "h100",
    measured: Annotated[
        list[str] | None,
        typer.Option(
            "--measured",
            metavar="RUN",
            help="Run whose rows say how long a case takes, repeatable. [default: the run itself, as far as it "
            "has got]",
            rich_help_panel=DEVICES,
            show_default=False,
        ),
    ] = None,
    results: opt.Results = opt.RUNS,
    dtype: opt.Dtype = None,
    offload: opt.Offload = None,
    json: opt.Json = False,
) -> None:
    """Estimate device hours, wall time and storage.

    Seconds of a case come from rows that were measured, or else from the card's count of operations; each line says
    which. A pilot of a few cases on the device in question gives the first kind:

    \b
    vapbench run -m vap --suite vap-data --data DIR --limit 4 --results pilot
    vapbench plan -m vap --suite vap-data --data DIR --nodes 8 --gpu h100 \\
        --measured pilot/vap-data/vap

    Without --method and --suite it is the paper's table:

    \b
    vapbench plan --nodes 8 --gpu h100
    """
    from dataclasses import asdict

    from vapbench.cli.dry_run import describe_plans, describe_protocol
    from vapbench.cli.execute import prepare
    from vapbench.core.console import configure_logging, print_json
    from vapbench.methods.hardware import find_gpu
    from vapbench.report.naming import find_run
    from vapbench.running.estimate import Machines, estimate
    from vapbench.running.plan import columns
    from vapbench.suites import find_suite

    configure_logging(None, False)
    if not method:
        method = _paper_rows()
        if getattr(context.get_parameter_source("suite"), "name", "") == "DEFAULT":
            suite = "vap-data"
    machines = Machines(nodes, gpus, find_gpu(gpu))
    given = [find_run(name, None, suite=None) for name in measured or ()]
    for folder in given:
        folder.manifest()
    generation = opt.Generation(method, dtype, offload)
    cases = opt.Cases(task, suite, data, seed, limit)
    wanted = columns(metric or find_suite(suite).metrics)
    described = describe_protocol(suite, data, task, method, generation.shared, seed, limit)
    if not described:
        prepared = prepare(cases, generation, opt.Execution(results=results), metric or None, tentative=True)
        described = describe_plans(prepared.plans, wanted, "missing")
    estimates = [
        estimate(one.work, [column.slug for column in wanted], machines, [*given, *one.folders]) for one in described
    ]
    if json:
        print_json({"machines": asdict(machines), "methods": [asdict(each) for each in estimates]})
    else:
        _print(described, estimates, machines, wanted)


def _paper_rows() -> list[str]:
    """Methods of the paper's table that generate."""
    from vapbench.methods import methods

    return [entry.name for entry in methods() if entry.card and entry.card.paper and entry.card.size]


def _print(
    described: Sequence[Described],
    estimates: Sequence[MethodEstimate],
    machines: Machines,
    wanted: Sequence[MetricSpec],
) -> None:
    from vapbench.cli.dry_run import describe_columns
    from vapbench.core.console import say

    for one, each in zip(described, estimates, strict=True):
        say(*one.lines, *_lines(each, machines), *_warnings(one, machines))
    say(*describe_columns(wanted))
    known = [each for each in estimates if each.device_hours is not None and each.wall_hours is not None]
    if len(estimates) > 1 and known:
        hours, wall = (sum(getattr(each, name) for each in known) for name in ("device_hours", "wall_hours"))
        without = f", without {len(estimates) - len(known)} of unknown speed" if len(known) < len(estimates) else ""
        say(f"together  {_hours(hours)} of devices, {_hours(wall)} one after the other{without}")
    say("Not in it: loading models, waiting for nodes, cases that fail and are made again.")


def _warnings(one: Described, machines: Machines) -> list[str]:
    """What does not fit, with the offload that would; and what offloading costs."""
    from vapbench.methods.hardware import footprint

    size, parameters = one.work.method.size(one.work.suite), one.work.method.parameters
    if size is None:
        return []
    needs = footprint(size, parameters, 0)
    if needs.memory_gb > machines.gpu.memory_gb:
        fits = [name for name, gigabytes in needs.by_offload.items() if gigabytes <= machines.gpu.memory_gb]
        try_ = f"--offload {fits[0]} would fit" if fits else "no --offload would fit"
        return [f"  warning   {needs.memory_gb:.0f} GB do not fit into one {machines.gpu.name}; {try_}"]
    slower = parameters.get("offload", "none") != "none"
    return ["  warning   offloading is slower than this, and nobody has measured by how much"] if slower else []


def _lines(each: MethodEstimate, machines: Machines) -> list[str]:
    lines = [f"  time      {_rate(each.generating)}", f"  scoring   {_rate(each.scoring)}"]
    if each.device_hours is not None and each.wall_hours is not None:
        wall = f"{_hours(each.wall_hours)} on {machines}"
        lines.append(f"  takes     {_hours(each.device_hours)} of devices; {wall}")
    weights = f"; weights {each.weights_gb:.0f} GB on each node" if each.weights_gb else ""
    return [*lines, f"  stores    {_size(each.videos_gb)} of videos and rows ({each.storage}){weights}"]


def _rate(rate: Rate) -> str:
    return f"{_seconds(rate.seconds)} a video, {rate.source}" if rate.seconds else rate.source


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 100 else f"{seconds:.3g} s"


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{hours * 60:.1f} minutes" if hours * 60 >= 1 else f"{hours * 3600:.2g} seconds"


def _size(gigabytes: float) -> str:
    return f"{gigabytes:.3g} GB" if gigabytes >= 1 else f"{gigabytes * 1000:.3g} MB"
