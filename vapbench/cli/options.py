"""Options that several commands share, declared once. Each can also be set as ``VAPBENCH_<NAME>``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from vapbench.results.places import RUNS as RUNS

Task = Annotated[
    str,
    typer.Option("--task", "-t", help="Task, or a task file (.yaml).", envvar="VAPBENCH_TASK", show_default=True),
]
Suite = Annotated[
    str,
    typer.Option(
        "--suite", "-s", help="Suite, a suite file (.yaml), or your own cases (cases.csv).", envvar="VAPBENCH_SUITE"
    ),
]
OnlySuite = Annotated[str | None, typer.Option("--suite", "-s", help="Only runs of this suite.", show_default=False)]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the suite's data.", envvar="VAPBENCH_DATA", show_default=False),
]
Methods = Annotated[
    list[str],
    typer.Option(
        "--method",
        "-m",
        metavar="METHOD",
        help="Method, repeatable: a name, name:steps=50,guidance=6, or ./folder with card.yaml and method.py.",
    ),
]
AnyMethods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        "-m",
        metavar="METHOD",
        help="Method as in run, repeatable. [default: those of the paper's table]",
        show_default=False,
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="METRIC",
        help="Metric, repeatable: a name, or my.py:MyMetric. Default: the suite's.",
        show_default=False,
    ),
]
Seeds = Annotated[
    list[int] | None, typer.Option("--seed", metavar="N", help="Seed, repeatable. [default: 0]", show_default=False)
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Only the first N cases of the task.", show_default=False)
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="METRIC",
        help="Only this column, repeatable: a metric's name, with :key=value where columns differ in parameters.",
        show_default=False,
    ),
]
Results = Annotated[Path, typer.Option("--results", help="Where runs are kept.", envvar="VAPBENCH_RESULTS")]
ReadResults = Annotated[
    Path | None,
    typer.Option(
        "--results",
        help="Only runs kept there. [default: runs; in a clone also the committed rows of results]",
        envvar="VAPBENCH_RESULTS",
        show_default=False,
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", help="Name of the run folder, instead of the method's.", show_default=False),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="cpu, cuda, cuda:1, mps; auto takes an accelerator if there is one.",
        envvar="VAPBENCH_DEVICE",
    ),
]
Executor = Annotated[
    Literal["local", "ray"],
    typer.Option(
        "--executor",
        help="local: one device in this process. ray: every device of this machine or of a Ray cluster, scoring while "
        "generating; rows are the same.",
        envvar="VAPBENCH_EXECUTOR",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="With --executor ray: how many generate at once. [default: one for each device there is]",
        envvar="VAPBENCH_WORKERS",
        show_default=False,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="With --executor ray: a running cluster (auto, or host:6379), from one of its nodes. [default: start one "
        "on this machine]",
        envvar="VAPBENCH_RAY_ADDRESS",
        show_default=False,
    ),
]
Dtype = Annotated[
    Literal["bfloat16", "float16", "float32"] | None,
    typer.Option(
        "--dtype",
        help="Type of weights and computation. [default: the method's]",
        envvar="VAPBENCH_DTYPE",
        show_default=False,
    ),
]
Offload = Annotated[
    Literal["none", "model", "sequential"] | None,
    typer.Option(
        "--offload",
        help="Keep idle weights in main memory: slower, far less accelerator memory.",
        envvar="VAPBENCH_OFFLOAD",
        show_default=False,
    ),
]


def _finite(value: float | None) -> float | None:
    # A range does not refuse what is no number.
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number.")
    return value


Memory = Annotated[
    float | None,
    typer.Option(
        "--memory",
        min=0.01,
        callback=_finite,
        help="GB a metric may work in; more frames than fit are taken in pieces. [default: a quarter of what is free]",
        envvar="VAPBENCH_MEMORY",
        show_default=False,
    ),
]
Refresh = Annotated[
    Literal["missing", "failed", "all"],
    typer.Option("--refresh", help="What to do again: only what is missing, failed rows too, or everything."),
]
Retries = Annotated[
    int,
    typer.Option("--retries", min=0, help="More attempts after out-of-memory, a timeout, HTTP 429 or 5xx."),
]
CaseTimeout = Annotated[
    float | None,
    typer.Option(
        "--case-timeout",
        min=0.1,
        callback=_finite,
        help="Seconds a method may take for a case. One that hangs is ended: a failed row, and the run goes on.",
        envvar="VAPBENCH_CASE_TIMEOUT",
        show_default=False,
    ),
]
MaxFailures = Annotated[
    str, typer.Option("--max-failures", help="Stop above this many failures: a count, or a fraction below 1.")
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")]
MaxJudgeCalls = Annotated[
    int | None,
    typer.Option(
        "--max-judge-calls",
        min=1,
        help="Stop before more requests than this to judges that are paid by the call; the same command goes on.",
        show_default=False,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="Only piece i of n of the cases (2/8), kept under RESULTS/shard-2of8; then: vapbench results merge.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
LogJson = Annotated[
    Path | None,
    typer.Option(
        "--log-json",
        help="Append what happens to this file, one JSON object a line; - is standard error, free of progress with -q.",
        envvar="VAPBENCH_LOG_JSON",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors and the result.")]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more.", show_default=False)]

SUITE = "mini"
