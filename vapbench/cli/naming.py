"""Which runs a user means, and where they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.cli import options as opt

if TYPE_CHECKING:
    from vapbench.results.run import RunFolder


def places(results: Path | None) -> tuple[Path, ...]:
    """Folders that are searched for runs, first ones first.

    The one the user names; or else ``runs``, where new ones go, and at the top of a clone ``results``, which holds
    the committed rows.
    """
    from vapbench.files.resources import clone

    named = results or os.environ.get("VAPBENCH_RESULTS")
    if named:
        return (Path(named),)
    top, committed = clone(), Path("results")
    beside = top is not None and committed.resolve() == top / committed
    return (opt.RUNS, committed) if beside else (opt.RUNS,)


def where(results: Path | None) -> str:
    """The places, as a sentence names them."""
    return " or ".join(map(str, places(results)))


def own_folder(folder: RunFolder) -> Path:
    """Where files about a run go: the run itself, or its place below ``runs`` if its rows are committed ones."""
    if any(folder.path.resolve().is_relative_to(place.resolve()) for place in places(None)[1:]):
        return opt.RUNS / folder.path.resolve().parent.name / folder.path.resolve().name
    return folder.path


def find_run(name: str, results: Path | None, suite: str | None) -> RunFolder:
    """The run a user names: a folder, the name of one in the results folders, or the label of its row in tables.

    Raises:
        UsageError: there is none of that name, or several. A path that is no run folder is refused when it is read.
    """
    from vapbench.errors import UsageError, did_you_mean
    from vapbench.results.run import RunFolder, runs_below

    if (Path(name) / "manifest.json").is_file() or len(Path(name).parts) > 1:
        return RunFolder(Path(name))
    known = [run.path for run in runs_below(places(results), suite or "*", name)]
    labels = {} if any(path.name == name for path in known) else _labels(known)
    found = [path for path in known if name in (path.name, labels.get(path))]
    if not found:
        near = did_you_mean(name, {path.name for path in known} | set(labels.values()))
        raise UsageError(f"No run {name!r} in {where(results)}.{near}")
    if len(found) > 1:
        raise UsageError(f"Several runs are called {name}: {', '.join(map(str, found))}; name one of these folders.")
    return RunFolder(found[0])


def run_folders(runs: Sequence[str] | None, results: Path | None, suite: str | None) -> list[RunFolder]:
    """The runs a user names, each once, or every run of the results folders, of one suite if asked for."""
    from vapbench.results.run import runs_below

    if runs:
        named = [find_run(name, results, suite) for name in runs]
        folders = list({folder.path.resolve(): folder for folder in named}.values())
    else:
        folders = runs_below(places(results))
    return [f for f in folders if f.manifest()["identity"]["suite"] == suite] if suite else folders


def _labels(folders: Sequence[Path]) -> dict[Path, str]:
    """What rows of tables of all these runs are called, such as ``vap reference=shuffled``."""
    from vapbench.report.read.columns import rows_of
    from vapbench.report.read.evidence import read_all
    from vapbench.results.run import RunFolder

    found: dict[Path, str] = {}
    for suite in dict.fromkeys(folder.parent.name for folder in folders):
        here = [folder for folder in folders if folder.parent.name == suite]
        runs = read_all([RunFolder(folder) for folder in here])
        found.update(zip(here, (row.label for row in rows_of(runs)), strict=True))
    return found
