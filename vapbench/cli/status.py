"""``status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vapbench.cli import options as opt

if TYPE_CHECKING:
    from vapbench.results.run import RunFolder
    from vapbench.results.status import RunStatus, Stage


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]", help="Runs: folders, names or labels; or folders with runs.", show_default=False
        ),
    ] = None,
    results: opt.ReadResults = None,
    json: opt.Json = False,
) -> None:
    """Say how far runs are: progress, time left, failures by type.

    \b
    vapbench status vap               # also from another terminal or machine
    vapbench status runs/shard-*of8   # every shard of a Slurm array

    It reads the run folder alone, so it works on running, finished and dead runs.
    """
    from dataclasses import asdict

    from vapbench.core.console import configure_logging, output, print_json, say, terminal_width
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.files.text import visible
    from vapbench.results.run import readable, runs_below
    from vapbench.results.status import status_of

    configure_logging(verbose=None, quiet=False)
    if runs:
        folders = [folder for name in runs for folder in _named(name, results)]
    else:
        folders = readable(runs_below([results or opt.RUNS]))
    if not folders:
        named = ", ".join(runs or [str(results or opt.RUNS)])
        raise UsageError(f"No run in {named}; start one: vapbench run --method vap", ErrorKind.MISSING, "run")
    found = [status_of(folder) for folder in folders]
    if json:
        print_json([asdict(item) | {"left": item.left} for item in found])
        return
    for item in found:
        say(*(visible(line) for line in _lines(item, terminal_width(output()))))


def _named(name: str, results: Path | None) -> list[RunFolder]:
    from vapbench.report.naming import find_run
    from vapbench.results.run import readable, runs_within

    path = Path(name)
    # A shard that has not begun is an empty folder.
    if path.is_dir() and not (path / "manifest.json").is_file():
        return readable(runs_within([path]))
    return [find_run(name, results, suite=None)]


def _lines(item: RunStatus, width: int | None) -> list[str]:
    from vapbench.core.text_table import table_lines
    from vapbench.files.atomic import quoted

    left = f", about {duration(item.left)} left" if item.left else ""
    lines = [f"{item.run}: {item.said}{left}"]
    stages = [(stage.name, _stage(stage, item.state == "running")) for stage in item.stages]
    lines += table_lines(stages, width, left=2, indent=2)
    lines += [f"  {item.count} x {item.type} in {item.stage}, last {item.example}" for item in item.failures]
    if item.failures:
        lines.append(f"  why: vapbench show {quoted(item.run)}; again: --refresh failed")
    return lines


def _stage(stage: Stage, running: bool) -> str:
    parts = [f"{stage.done}/{stage.total}"]
    parts += [f"{stage.failed} failed"] if stage.failed else []
    parts += [f"{stage.unscored} unscored"] if stage.unscored else []
    parts += [f"{stage.seconds:.2g} s each"] if stage.seconds is not None else []
    parts += [f"{stage.encode_seconds:.2g} s to encode"] if stage.encode_seconds is not None else []
    parts += [f"{stage.peak_mb:,.0f} MB"] if stage.peak_mb is not None else []
    parts += [f"about {duration(stage.left)} left"] if running and stage.left else []
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
