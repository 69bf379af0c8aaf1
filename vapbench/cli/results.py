"""``results``: merge, unlock, remove and tidy runs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted

if TYPE_CHECKING:
    from vapbench.results.run import RunFolder


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(rich_markup_mode=None, help="Merge, unlock, remove and tidy runs.")
    group.command()(merge)
    group.command()(unlock)
    group.command()(rm)
    group.command()(prune)
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
    from vapbench.core.console import configure_logging, print_json, say
    from vapbench.results.merge import merge as merge_runs

    configure_logging(verbose=None, quiet=False)
    done = merge_runs(sources, into, ["vapbench", *sys.argv[1:]])
    if json:
        print_json([asdict(item) | {"run": str(item.run)} for item in done])
        return
    for item in done:
        text = (
            f"{item.run}: {counted(item.generations, 'generation')}, {counted(item.scores, 'score')} and "
            f"{counted(item.videos, 'video')} "
            f"from {counted(item.sources, 'run')}"
        )
        extra = [counted(item.equal, "equal row")] if item.equal else []
        extra += [f"{counted(item.outdone, 'failure')} replaced by successes"] if item.outdone else []
        extra += [f"{counted(item.without_video, 'video')} not there: rows only"] if item.without_video else []
        say(", ".join([text, *extra]))


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
    from vapbench.core.console import say
    from vapbench.files.lock import unlock as break_lock

    for run in [found for path in runs for found in _locked_below(path) or [path]]:
        held = break_lock(run, force)
        text = f"{run}: unlocked; it was held by {held}" if held else f"{run}: not locked"
        say(text)


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def rm(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs: folders, names or labels.", show_default=False)
    ],
    results: opt.ReadResults = None,
    yes: Yes = False,
    dry_run: opt.DryRun = False,
) -> None:
    """Remove runs, videos and all.

    \b
    vapbench results rm vap~68690c13
    vapbench results rm runs/mini/vap --dry-run

    It asks first. A run that is being written is refused, and so are the committed rows of a clone's results folder
    unless they are named by their path.
    """
    from rich.filesize import decimal

    from vapbench.core.console import configure_logging, say
    from vapbench.files.lock import refuse_if_written
    from vapbench.results.prune import remove_run, size_of

    configure_logging(verbose=None, quiet=False)
    folders = _all_named(runs, results)
    for folder in folders:
        folder.manifest()
        refuse_if_written(folder.path)
        videos = sum(row.status == "ok" for row in folder.current())
        parts = (counted(videos, "video"), counted(len(folder.columns()), "column"), decimal(size_of(folder.path)))
        text = f"{folder.path}: {', '.join(parts)}"
        say(text)
    if dry_run:
        return
    _ask(f"Remove {'this run' if len(folders) == 1 else f'these {len(folders)} runs'}?", yes)
    for folder in folders:
        remove_run(folder)


def prune(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]", help="Runs: folders, names or labels. Default: all there are.", show_default=False
        ),
    ] = None,
    results: opt.ReadResults = None,
    yes: Yes = False,
    dry_run: opt.DryRun = False,
    json: opt.Json = False,
) -> None:
    """Remove what no table reads any more.

    Rows that a later one replaced, scores of replaced videos, videos of no row, partial files, and the results that
    --refresh all set aside (RUN.before-1). Tables stay as they are. It asks first.

    \b
    vapbench results prune --dry-run
    vapbench results prune vap
    """
    from rich.filesize import decimal

    from vapbench.core.console import configure_logging, print_json, say
    from vapbench.files.lock import refuse_if_written
    from vapbench.results.prune import prune as prune_run
    from vapbench.results.prune import waste_of

    configure_logging(verbose=None, quiet=False)
    folders = _all_named(runs, results) if runs else _own_runs(results)
    for folder in folders:
        refuse_if_written(folder.path)
    wasted = {folder: found for folder in folders if (found := waste_of(folder))}
    items = list({item.path: item for found in wasted.values() for item in found}.values())
    total = decimal(sum(item.bytes for item in items))
    if json:
        print_json([asdict(item) | {"path": str(item.path)} for item in items])
    elif items:
        say(*(f"{item.path}: {item.what}, {decimal(item.bytes)}" for item in items))
        say(f"{len(wasted)} of {counted(len(folders), 'run')} hold {total} that nothing reads")
    else:
        say("Nothing to remove.")
    if dry_run or not items:
        return
    _ask(f"Remove {total}?", yes)
    for folder in wasted:
        prune_run(folder)


def _all_named(names: list[str], results: Path | None) -> list[RunFolder]:
    """The runs a user names, each once."""
    return list({folder.path.resolve(): folder for folder in (_named(name, results) for name in names)}.values())


def _named(name: str, results: Path | None) -> RunFolder:
    """The run a user names; committed rows only by their path.

    Raises:
        UsageError: there is none, or its rows are committed ones and it was named by its name alone.
    """
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.files.atomic import quoted
    from vapbench.report.naming import find_run

    found = find_run(name, results, suite=None)
    by_path = found.path == Path(name)
    if _is_committed(found.path) and not by_path:
        raise UsageError(
            f"{found.path} holds committed rows; if you mean it, name its folder: {quoted(found.path)}",
            ErrorKind.CONFLICT,
            "run",
        )
    return found


def _own_runs(results: Path | None) -> list[RunFolder]:
    """Every run of the results folder, but committed ones, and but those that were set aside for another."""
    import re

    from vapbench.results.places import places
    from vapbench.results.run import runs_below

    found = [folder for folder in runs_below(places(results)[:1]) if not _is_committed(folder.path)]
    paths = {folder.path for folder in found}
    aside = {path for path in paths if path.with_name(re.sub(r"\.before-\d+$", "", path.name)) in paths - {path}}
    return [folder for folder in found if folder.path not in aside]


def _is_committed(path: Path) -> bool:
    from vapbench.files.resources import clone

    top = clone()
    return top is not None and path.resolve().is_relative_to((top / "results").resolve())


def _ask(question: str, yes: bool) -> None:
    """Ask before anything is removed.

    Raises:
        UsageError: nobody can be asked.
    """
    from vapbench.errors import ErrorKind, UsageError

    if yes:
        return
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        raise UsageError(
            "Nothing was removed: nobody answered. To remove without being asked: --yes", ErrorKind.MISSING, "yes"
        ) from None
    if not agreed:
        raise typer.Exit(1)


def _locked_below(results: Path) -> list[Path]:
    from vapbench.files.lock import owner_file

    return [found.parent for found in sorted(results.glob(f"*/*/{owner_file(results).name}"))]
