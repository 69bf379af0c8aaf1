"""``results``: runs on shared storage."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vapbench.cli import options as opt


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(rich_markup_mode=None, help="Merge, unlock, remove and tidy runs.")
    group.command()(merge)
    group.command()(unlock)
    app.add_typer(group, name="results")


def merge(
    sources: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Runs, or results folders with runs.", show_default=False)
    ],
    into: Annotated[Path, typer.Option("--into", help="Run, or results folder, that takes the rows and videos.")],
    json: opt.Json = False,
) -> None:
    """Merge the shards of a run, or what several sites made of it.

    \b
    vapbench results merge runs/shard-* --into runs
    vapbench results merge siteA/mini/vap siteB/mini/vap --into runs/mini/vap

    Equal rows become one; a success stands for a failure; two different successes for one case and seed, or runs of
    different methods, weights or data, are refused before anything is written. Videos come along, checked by their
    hash. The sources stay as they are.
    """
    from vapbench.core.console import configure_logging, output, print_json
    from vapbench.results.merge import merge as merge_runs

    configure_logging(verbose=0, quiet=False)
    done = merge_runs(sources, into, ["vapbench", *sys.argv[1:]])
    if json:
        print_json([asdict(item) | {"run": str(item.run)} for item in done])
        return
    for item in done:
        text = (
            f"{item.run}: {item.generations} generations, {item.scores} scores and {item.videos} videos "
            f"from {item.sources} runs"
        )
        extra = [f"{item.equal} equal rows"] if item.equal else []
        extra += [f"{item.outdone} failures replaced by successes"] if item.outdone else []
        extra += [f"{item.without_video} videos not there: rows only"] if item.without_video else []
        output().print(", ".join([text, *extra]), markup=False, soft_wrap=True)


def unlock(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Runs, or results folders with runs.", show_default=False)
    ],
    force: Annotated[
        bool,
        typer.Option("--force", help="Whoever holds it. Should that process live, it stops before its next row."),
    ] = False,
) -> None:
    """Break the lock of a run whose process died on another machine.

    \b
    vapbench results unlock --force runs/mini/vap

    Whether a process on another machine lives cannot be seen from here: make sure of it first. On the machine where the
    process ran, no unlocking is needed: the same command resumes.
    """
    from vapbench.core.console import output
    from vapbench.files.lock import unlock as break_lock

    for run in [found for path in runs for found in _locked_below(path) or [path]]:
        held = break_lock(run, force)
        text = f"{run}: unlocked; it was held by {held}" if held else f"{run}: not locked"
        output().print(text, markup=False, soft_wrap=True)


def _locked_below(results: Path) -> list[Path]:
    from vapbench.files.lock import owner_file

    return [found.parent for found in sorted(results.glob(f"*/*/{owner_file(results).name}"))]
