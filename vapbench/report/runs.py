"""Runs as a notebook holds them: read once, with their videos and scores; and which of them a folder has."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from vapbench.errors import ErrorKind, UsageError
from vapbench.report.naming import find_run
from vapbench.results.places import places
from vapbench.results.run import RunFolder, readable, runs_below, runs_within
from vapbench.suites import suite_called

if TYPE_CHECKING:
    import pandas as pd

    from vapbench.report.read.run_summary import RunSummary

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Run:
    """One run folder: a method on the cases of a suite, read when it is first asked."""

    path: Path

    @cached_property
    def summary(self) -> RunSummary:
        """What the folder says of each case, read once; :meth:`reloaded` reads again."""
        from vapbench.report.read.read_runs import read_summary

        return read_summary(RunFolder(self.path))

    def reloaded(self) -> Run:
        """The same run, as it is on disk now."""
        return Run(self.path)

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.summary.label

    @property
    def method(self) -> str:
        """Name of its method."""
        return self.summary.method

    @property
    def suite(self) -> str:
        """Name of its suite."""
        return self.summary.suite

    @property
    def parameters(self) -> dict[str, Any]:
        """The method's parameters, defaults included."""
        return dict(self.summary.identity.parameters)

    @property
    def videos(self) -> dict[tuple[str, int], Path]:
        """(case, seed) -> its video, for those that are there and unchanged."""
        folder = self.summary.folder
        found = {(row.case, row.seed): folder.video_of(row) for row in folder.current()}
        return {key: path for key, path in found.items() if path}

    def to_dataframe(self) -> pd.DataFrame:
        """Its scores, a row per case, seed and column: :data:`vapbench.report.read.frame.SCHEMA`."""
        return Runs([self]).to_dataframe()

    def _repr_html_(self) -> str:
        from vapbench.report.tables.layout import Layout
        from vapbench.report.tabulate import table_of

        return table_of([RunFolder(self.path)], Layout(style="wide")).to_html()


class Runs(Sequence[Run]):
    """Several runs."""

    def __init__(self, runs: Iterable[Run]) -> None:
        """Keep ``runs`` in their order."""
        self._runs = tuple(runs)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> Run | Runs:
        """One run, or some of them."""
        return Runs(self._runs[index]) if isinstance(index, slice) else self._runs[index]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._runs)

    def __repr__(self) -> str:
        """Their folders."""
        return f"Runs({[str(run.path) for run in self._runs]})"

    def to_dataframe(self) -> pd.DataFrame:
        """Their scores, a row per run, case, seed and column: :data:`vapbench.report.read.frame.SCHEMA`.

        Only standing rows: scores of the current videos, by the current content of their cases.
        """
        from vapbench.report.read.frame import frame_of

        return frame_of([run.summary for run in self._runs])


def load_run(run: StrPath) -> Run:
    """Read a run.

    Args:
        run: its folder, its name in the results folders, or the label of its row in tables.

    Raises:
        UsageError: there is none of that name, or several.
        DataError: it is damaged.
    """
    found = Run(find_run(str(run)).path)
    _ = found.summary
    return found


def load_runs(*folders: StrPath, suite: str | None = None) -> Runs:
    """Every run in the folders. One whose manifest is damaged is left out, and told of as a warning.

    Args:
        folders: folders that hold runs, at any depth; by default those the commands read: ``VAPBENCH_RESULTS``, or
            else ``./runs`` and, at the top of a clone, the committed rows of ``./results``. Of two runs that have one
            suite and name, that of the first folder counts.
        suite: only runs of this suite, as ``--suite`` names it.

    Raises:
        UsageError: a folder that was named is not there.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise UsageError(
                f"{folder}: no such folder of runs; make a run: vapbench run --help", ErrorKind.MISSING, "results"
            )
    found = runs_within(map(Path, folders)) if folders else runs_below(places())
    runs = [Run(folder.path) for folder in readable(found)]
    called = suite and suite_called(suite)
    return Runs(run for run in runs if called is None or run.suite == called)
