"""Options that several commands share, declared once. Many can also be set as ``VAPBENCH_<NAME>``.

Those of ``run``, ``generate`` and ``score`` come in records (:class:`Cases`, :class:`Generation`, :class:`Scoring`,
:class:`Execution`, :class:`Output`), which :func:`vapbench.cli.records.flat` spells out for Typer.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vapbench.cli.help import DEVICES, FAILURES, OUTPUT, WHAT, WHERE
from vapbench.results.places import RUNS as RUNS

if TYPE_CHECKING:
    from vapbench.running.context import Settings

Task = Annotated[
    str,
    typer.Option(
        "--task",
        "-t",
        help="Task, or a task file (.yaml).",
        envvar="VAPBENCH_TASK",
        show_default=True,
        rich_help_panel=WHAT,
    ),
]
Suite = Annotated[
    str,
    typer.Option(
        "--suite",
        "-s",
        help="Suite, a suite file (.yaml), or your own cases (cases.csv).",
        envvar="VAPBENCH_SUITE",
        rich_help_panel=WHAT,
    ),
]
OnlyTask = Annotated[
    str | None,
    typer.Option(
        "--task", "-t", help="Only this task, or task file (.yaml). [default: every task]", show_default=False
    ),
]
OnlySuite = Annotated[
    str | None,
    typer.Option(
        "--suite", "-s", help="Only runs of this suite, or of your own cases (cases.csv).", show_default=False
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder of the suite's data.", envvar="VAPBENCH_DATA", show_default=False, rich_help_panel=WHAT
    ),
]
Methods = Annotated[
    list[str],
    typer.Option(
        "--method",
        "-m",
        metavar="METHOD",
        help="Method, repeatable: a name, name:steps=50,guidance=6, or ./folder with card.yaml and method.py.",
        rich_help_panel=WHAT,
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
        rich_help_panel=WHAT,
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="METRIC",
        help="Metric, repeatable: a name, or my.py:MyMetric. Default: the suite's.",
        show_default=False,
        rich_help_panel=WHAT,
    ),
]
Seeds = Annotated[
    list[int] | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Seed, repeatable. [default: 0; of a folder of videos, those found]",
        show_default=False,
        rich_help_panel=WHAT,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", min=1, help="Only the first N cases of the task.", show_default=False, rich_help_panel=WHAT
    ),
]
Rows = Annotated[
    list[str] | None,
    typer.Argument(
        help="Runs: folders, names or labels; or folders with runs. Default: all there are.", show_default=False
    ),
]
Results = Annotated[
    Path, typer.Option("--results", help="Where runs are kept.", envvar="VAPBENCH_RESULTS", rich_help_panel=WHERE)
]
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
    typer.Option(
        "--name", help="Name of the run folder, instead of the method's.", show_default=False, rich_help_panel=WHERE
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="cpu, cuda, cuda:1, mps; auto takes an accelerator if there is one.",
        envvar="VAPBENCH_DEVICE",
        rich_help_panel=DEVICES,
    ),
]
Executor = Annotated[
    Literal["local", "ray"],
    typer.Option(
        "--executor",
        help="local: one device in this process. ray: every device of this machine or of a Ray cluster, scoring while "
        "generating; rows are the same.",
        envvar="VAPBENCH_EXECUTOR",
        rich_help_panel=DEVICES,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="With --executor ray: how many generate at once. [default: one for each device there is] Else: how many "
        "processes score at once, each with the metrics' models. [default: 1]",
        envvar="VAPBENCH_WORKERS",
        show_default=False,
        rich_help_panel=DEVICES,
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
        rich_help_panel=DEVICES,
    ),
]
Dtype = Annotated[
    Literal["bfloat16", "float16", "float32"] | None,
    typer.Option(
        "--dtype",
        help="Type of weights and computation. [default: the method's]",
        envvar="VAPBENCH_DTYPE",
        show_default=False,
        rich_help_panel=DEVICES,
    ),
]
Offload = Annotated[
    Literal["none", "model", "sequential"] | None,
    typer.Option(
        "--offload",
        help="Keep idle weights in main memory: slower, far less accelerator memory.",
        envvar="VAPBENCH_OFFLOAD",
        show_default=False,
        rich_help_panel=DEVICES,
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
        rich_help_panel=DEVICES,
    ),
]
Refresh = Annotated[
    Literal["missing", "failed", "all"],
    typer.Option(
        "--refresh",
        help="What to do again: only what is missing, failed rows too, or everything.",
        rich_help_panel=FAILURES,
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        "--retries",
        min=0,
        help="More attempts after out-of-memory, a timeout, HTTP 429 or 5xx.",
        rich_help_panel=FAILURES,
    ),
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
        rich_help_panel=FAILURES,
    ),
]
MaxFailures = Annotated[
    str | None,
    typer.Option(
        "--max-failures",
        help="Stop above this many failures: a count (0: at the first), or a fraction below 1. [default: 0.1; of a "
        "folder of videos, every one is tried, and the exit code is 1 if any failed]",
        show_default=False,
        rich_help_panel=FAILURES,
    ),
]
MaxJudgeCalls = Annotated[
    int | None,
    typer.Option(
        "--max-judge-calls",
        min=1,
        help="Stop before more requests than this to judges that are paid by the call; the same command goes on.",
        show_default=False,
        rich_help_panel=FAILURES,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="Only piece i of n of the cases (2/8), kept under RESULTS/shard-2of8; then: vapbench results merge.",
        show_default=False,
        rich_help_panel=WHERE,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.", rich_help_panel=OUTPUT)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.", rich_help_panel=OUTPUT)]
LogJson = Annotated[
    Path | None,
    typer.Option(
        "--log-json",
        help="Append what happens to this file, one JSON object a line; - is standard error, free of progress with -q.",
        envvar="VAPBENCH_LOG_JSON",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, only errors and the result.", rich_help_panel=OUTPUT)
]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Say more.", show_default=False, rich_help_panel=OUTPUT)
]

Study = Annotated[
    Path | None,
    typer.Argument(
        help="Study folder, or its name under studies/. Default: the only one there is.", show_default=False
    ),
]

SUITE = "mini"


@dataclass(frozen=True)
class Cases:
    """Which cases."""

    task: Task = "all"
    suite: Suite = SUITE
    data: Data = None
    seed: Seeds = None
    limit: Limit = None


@dataclass(frozen=True)
class Generation:
    """By which methods, and how."""

    method: Methods
    dtype: Dtype = None
    offload: Offload = None
    shard: ShardOption = None
    retries: Retries = 1
    case_timeout: CaseTimeout = None

    @property
    def shared(self) -> dict[str, str | None]:
        """Parameters for every method that has them."""
        return {"dtype": self.dtype, "offload": self.offload}


@dataclass(frozen=True)
class Scoring:
    """By which metrics, and how."""

    metric: Metrics = None
    memory: Memory = None
    max_judge_calls: MaxJudgeCalls = None


@dataclass(frozen=True)
class Execution:
    """Where, on what, and what becomes of failures."""

    results: Results = RUNS
    name: Name = None
    device: Device = "auto"
    executor: Executor = "local"
    workers: Workers = None
    ray_address: RayAddress = None
    refresh: Refresh = "missing"
    max_failures: MaxFailures = None

    def settings(self, generation: Generation | None = None, scoring: Scoring | None = None) -> Settings:
        """How the run behaves.

        Raises:
            UsageError: a value is no number of failures, or an option of Ray's is given without it.
        """
        from vapbench.errors import ErrorKind, UsageError
        from vapbench.running.context import FailureLimit, Settings
        from vapbench.running.threads import OnRay

        local = self.executor == "local"
        if local and self.ray_address is not None:
            raise UsageError(
                "--ray-address goes with --executor ray; without it, everything runs on this machine.",
                ErrorKind.CONFLICT,
                "ray_address",
            )
        if local and self.workers is not None and scoring is None:
            raise UsageError(
                "--workers goes with --executor ray, or with what scores; here one process generates.",
                ErrorKind.CONFLICT,
                "workers",
            )
        return Settings(
            device=self.device,
            refresh=self.refresh,
            retries=generation.retries if generation else 0,
            max_failures=FailureLimit.parse(self.max_failures or "0.1"),
            argv=["vapbench", *sys.argv[1:]],
            memory=int(scoring.memory * 1e9) if scoring and scoring.memory else None,
            case_timeout=generation.case_timeout if generation else None,
            ray=None if local else OnRay(self.ray_address, self.workers),
            workers=self.workers or 1 if local else 1,
        )


@dataclass(frozen=True)
class Output:
    """What is said, and how."""

    dry_run: DryRun = False
    json: Json = False
    log_json: LogJson = None
    quiet: Quiet = False
    verbose: Verbose = 0

    def begin(self) -> None:
        """Set up what is said along the way."""
        from vapbench.core.console import configure_logging

        configure_logging(self.verbose, self.quiet, self.log_json)
