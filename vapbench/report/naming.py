"""Which runs a user means, and where they are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from vapbench.errors import ErrorKind, UsageError, did_you_mean
from vapbench.results.places import RUNS, places
from vapbench.results.rows import uncollected
from vapbench.results.run import RunFolder, readable, runs_below, runs_within
from vapbench.suites import suite_called

log = logging.getLogger(__name__)


def where(results: Path | None) -> str:
    """The places, as a sentence names them."""
    return " or ".join(map(str, places(results)))


def own_folder(folder: RunFolder) -> Path:
    """Where files about a run go: the run itself, or its place below ``runs`` if its rows are committed ones."""
    if any(folder.path.resolve().is_relative_to(place.resolve()) for place in places(None)[1:]):
        return RUNS / folder.path.resolve().parent.name / folder.path.resolve().name
    return folder.path


def find_run(name: str, results: Path | None = None, suite: str | None = None) -> RunFolder:
    """The run a user names: a folder, the name of one in the results folders, or the label of its row in tables.

    Args:
        name: what the user calls it.
        results: the only results folder to look in.
        suite: only runs of this suite, as ``--suite`` names it.

    Raises:
        UsageError: there is none of that name, or several. A path that is no run folder is refused when it is read.
    """
    suite = suite and suite_called(suite)
    if (Path(name) / "manifest.json").is_file() or len(Path(name).parts) > 1:
        return RunFolder(Path(name))
    known = [run.path for run in runs_below(places(results), suite or "*", name)]
    labels = {} if any(path.name == name for path in known) else _labels(known)
    found = [path for path in known if name in (path.name, labels.get(path), _as_typed(labels.get(path)))]
    # A method's bare name is enough while it has one run.
    found = found or [path for path in known if name == path.name.partition("~")[0]]
    if not found:
        of_suite = f" of suite {suite}" if suite else ""
        near = _instead(name, {path.name for path in known} | set(labels.values()), results)
        raise UsageError(f"No run {name!r}{of_suite} in {where(results)}.{near}", ErrorKind.UNKNOWN, "run")
    if len(found) > 1:
        raise UsageError(
            f"Several runs are called {name}: {', '.join(map(str, found))}; name one of these folders.",
            ErrorKind.CONFLICT,
            "run",
        )
    return RunFolder(found[0])


def _instead(name: str, known: set[str], results: Path | None) -> str:
    """What to do where no run has the name."""
    suites = {run.path.parent.name for run in runs_below(places(results), "*", name) if run.path.name == name}
    if suites:
        return f" There is one of suite {min(suites)}: --suite {min(suites)}"
    return did_you_mean(name, known) or " Make one: vapbench run --help"


def find_target(target: Path, results: Path | None, suite: str | None) -> Path:
    """The folder that is meant; where there is none of that name, the run of it.

    Raises:
        UsageError: there is neither.
    """
    if target.exists() or len(target.parts) > 1:
        return target
    try:
        return find_run(str(target), results, suite).path
    except UsageError as error:
        raise UsageError(f"There is no folder {target} here. {error}", ErrorKind.UNKNOWN, "target") from None


@uncollected()
def run_folders(runs: Sequence[str] | None, results: Path | None, suite: str | None) -> list[RunFolder]:
    """The runs a user names, each once, or every run of the results folders, of one suite if asked for.

    A folder that is no run itself stands for those within it.
    """
    suite = suite and suite_called(suite)
    if runs:
        named = [run for name in runs for run in runs_meant(name, results, suite)]
    else:
        named = readable(runs_below(places(results)))
    # Two paths may lead to one folder, by a link or by another spelling.
    folders = without_copies(list({folder.path.resolve(): folder for folder in named}.values()))
    return [f for f in folders if f.manifest().identity.suite == suite] if suite else folders


def runs_meant(name: str, results: Path | None = None, suite: str | None = None) -> list[RunFolder]:
    """The runs within a folder that is no run itself, or else the run of that name, as :func:`find_run` finds it."""
    folder = Path(name)
    within = runs_within([folder]) if folder.is_dir() and not (folder / "manifest.json").is_file() else []
    # A manifest.json may be another program's.
    return readable(within) or [find_run(name, results, suite)]


def without_copies(folders: Sequence[RunFolder]) -> list[RunFolder]:
    """The runs without those that repeat an earlier one of the same name; one that differs is kept and reported."""
    kept: dict[tuple[str, str], list[RunFolder]] = {}
    for folder in folders:
        # Folders of several suites may lie side by side: the name alone says little.
        namesakes = kept.setdefault((folder.manifest().identity.suite, folder.path.name), [])
        if not any(_says_the_same(folder, other) for other in namesakes):
            namesakes.append(folder)
    for (suite, name), runs in kept.items():
        if len(runs) > 1:
            log.warning(
                "%s of suite %s is there %d times with different rows, and has a row for each: %s.",
                *(name, suite, len(runs), ", ".join(str(run.path) for run in runs)),
            )
    chosen = {run.path for runs in kept.values() for run in runs}
    return [folder for folder in folders if folder.path in chosen]


def _says_the_same(one: RunFolder, other: RunFolder) -> bool:
    """Whether two runs are of one identity, and have the same videos and scores of the same planned cases."""
    from vapbench.report.read.read_runs import read_summary

    runs = [read_summary(folder, parts=False) for folder in (one, other)]
    said = [
        (
            run.identity,
            set(run.cases()),
            {(row.case, row.seed, row.status, row.sha256) for rows in run.generations.values() for row in rows},
            {
                (key, *place, score.status, score.value)
                for key, rows in run.scores.items()
                for place, score in rows.items()
            },
        )
        for run in runs
    ]
    return said[0] == said[1]


def _as_typed(label: str | None) -> str:
    """A label as ``--method`` takes it: ``vap:steps=20`` for the row ``vap steps=20``."""
    return (label or "").replace(" ", ":", 1)


def _labels(folders: Sequence[Path]) -> dict[Path, str]:
    """What rows of tables of all these runs are called, such as ``vap reference=shuffled``."""
    from vapbench.report.read.columns import rows_of
    from vapbench.report.read.read_runs import read_all

    found: dict[Path, str] = {}
    for suite in dict.fromkeys(folder.parent.name for folder in folders):
        here = readable(RunFolder(folder) for folder in folders if folder.parent.name == suite)
        runs = read_all(here)
        found.update(zip((folder.path for folder in here), (row.label for row in rows_of(runs)), strict=True))
    return found
