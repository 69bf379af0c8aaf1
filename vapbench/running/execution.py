"""Where a run's stages take place: in this process, or on Ray. The one place that knows of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from vapbench.core.case import Case
from vapbench.results.run import RunFolder, RunWriter
from vapbench.running import generate as runner
from vapbench.running.generate import Progress, Settings, Tally
from vapbench.running.plan import Column, RunPlan


class Executor(Protocol):
    """Does the stages of a run. Rows and videos are the same wherever that is; only the caller's writer writes."""

    def generate_and_score(
        self,
        plan: RunPlan,
        columns: Sequence[Column],
        writer: RunWriter,
        progress: Progress,
        made: Tally,
        scored: Tally,
    ) -> None:
        """Do what the run folder lacks, counting in ``made`` and ``scored``; raises what the runner's stages raise."""

    def score(
        self,
        folder: RunFolder,
        cases: Mapping[str, Case],
        columns: Sequence[Column],
        writer: RunWriter,
        progress: Progress,
        tally: Tally,
    ) -> None:
        """Score what the run folder's videos lack, counting in ``tally``."""

    def device(self) -> str:
        """What it ran on, for the record."""


def executor_for(settings: Settings) -> Executor:
    """The executor that the settings ask for.

    Raises:
        UsageError: Ray is asked for, and is not installed or cannot be reached.
    """
    if settings.ray is None:
        return LocalExecutor(settings)
    from vapbench.running.ray.executor import RayExecutor

    return RayExecutor(settings)


class LocalExecutor:
    """One device in this process: first every video, then every score."""

    def __init__(self, settings: Settings) -> None:
        """Run as ``settings`` say."""
        self._settings = settings

    def generate_and_score(
        self,
        plan: RunPlan,
        columns: Sequence[Column],
        writer: RunWriter,
        progress: Progress,
        made: Tally,
        scored: Tally,
    ) -> None:
        """No generator is loaded to score."""
        runner.generate(plan, writer, self._settings, progress, made)
        runner.score(plan.folder, plan.cases, columns, plan.seeds, writer, self._settings, progress, scored)

    def score(
        self,
        folder: RunFolder,
        cases: Mapping[str, Case],
        columns: Sequence[Column],
        writer: RunWriter,
        progress: Progress,
        tally: Tally,
    ) -> None:
        """One decode per video serves every column."""
        runner.score(folder, cases, columns, None, writer, self._settings, progress, tally)

    def device(self) -> str:
        """The device as torch names it."""
        return str(runner.torch_device(self._settings.device))
