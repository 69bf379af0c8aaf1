"""Which runs a user means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vapbench.results.run import RunFolder


def find_run(name: str, results: Path, suite: str | None) -> RunFolder:
    """The run a user names: a folder, the name of one in the results folder, or the label of its row in tables.

    Raises:
        UsageError: there is none of that name, or several. A path that is no run folder is refused when it is read.
    """
    from vapbench.errors import UsageError, did_you_mean
    from vapbench.results.run import RunFolder

    if (Path(name) / "manifest.json").is_file() or len(Path(name).parts) > 1:
        return RunFolder(Path(name))
    known = [path.parent for path in sorted(results.glob(f"{suite or '*'}/*/manifest.json"))]
    labels = {} if any(path.name == name for path in known) else _labels(known)
    found = [path for path in known if name in (path.name, labels.get(path))]
    if not found:
        near = did_you_mean(name, {path.name for path in known} | set(labels.values()))
        raise UsageError(f"No run {name!r} in {results}.{near}")
    if len(found) > 1:
        raise UsageError(f"Several runs are called {name}: {', '.join(map(str, found))}; name one of these folders.")
    return RunFolder(found[0])


def run_folders(runs: Sequence[str] | None, results: Path, suite: str | None) -> list[RunFolder]:
    """The runs a user names, each once, or every run of the results folder, of one suite if asked for."""
    from vapbench.results.run import RunFolder

    if runs:
        named = [find_run(name, results, suite) for name in runs]
        folders = list({folder.path.resolve(): folder for folder in named}.values())
    else:
        folders = [RunFolder(manifest.parent) for manifest in sorted(results.glob("*/*/manifest.json"))]
    return [f for f in folders if f.manifest()["identity"]["suite"] == suite] if suite else folders


def _labels(folders: Sequence[Path]) -> dict[Path, str]:
    """What rows of tables of all these runs are called, such as ``vap reference=shuffled``."""
    from vapbench.report.read.columns import rows_of
    from vapbench.report.read.evidence import read_all
    from vapbench.results.run import RunFolder

    found: dict[Path, str] = {}
    for suite in dict.fromkeys(folder.parent for folder in folders):
        here = [folder for folder in folders if folder.parent == suite]
        runs = read_all([RunFolder(folder) for folder in here])
        found.update(zip(here, (row.label for row in rows_of(runs)), strict=True))
    return found
