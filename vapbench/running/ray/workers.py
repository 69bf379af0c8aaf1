"""What Ray's actors hold: a method that makes videos, metrics that score them.

They read the suite's files, and write nothing that stays: rows and videos go back to the driver, the one writer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.methods.base import Method
from vapbench.results.rows import Failure, GenerationRow, ScoreRow
from vapbench.results.run import RunFolder
from vapbench.running.attempt import Attempted
from vapbench.running.context import Settings
from vapbench.running.device import torch_device
from vapbench.running.generate import generation_row, loaded_method
from vapbench.running.pending import ScoreJob
from vapbench.running.plan import Job, MetricSpec
from vapbench.running.score import load_video, score_computed
from vapbench.running.scorer import Scorer


@dataclass(frozen=True)
class MadeVideo:
    """A generation on its way to the driver."""

    row: GenerationRow
    video: bytes | None
    """The encoded file, if the row has one."""


@dataclass(frozen=True)
class ToScore:
    """A video on its way to a worker."""

    row: GenerationRow
    case: Case
    columns: tuple[str, ...]
    """Labels of the columns it lacks."""
    video: bytes


class Generating:
    """A method, set up once, that makes one video after another."""

    def __init__(self, method: Method, device: str, settings: Settings) -> None:
        self._method, self._device_name, self._settings = method, device, settings

    def setup(self) -> str:
        """Load the method's models."""
        device = torch_device(self._device_name)
        self._open = ExitStack()
        self._ask = self._open.enter_context(loaded_method(copy(self._method), device, self._settings))
        return str(device)

    def load(self, job: Job) -> None:
        """Decode the reference, where the method runs in this process."""
        if self._settings.case_timeout is None:
            job.case.reference.video.prefetch()

    def work(self, job: Job, _: None) -> Attempted:
        """Ask for the clip."""
        attempted = self._ask(job.case, job.seed)
        job.case.reference.video.release()
        return attempted

    def finish(self, job: Job, attempted: Attempted) -> MadeVideo:
        """Encode it."""
        # Actors are killed at the end, and would leave a folder that they kept.
        with TemporaryDirectory(prefix="vapbench-") as scratch:
            folder = RunFolder(Path(scratch))
            row = generation_row(job, attempted, folder)
            return MadeVideo(row, (folder.videos / row.video).read_bytes() if row.video is not None else None)


class Scoring:
    """Metrics, set up once, that score one video after another. One decode serves them all."""

    def __init__(self, columns: Sequence[MetricSpec], device: str, memory: int | None) -> None:
        self._columns, self._device_name, self._memory = columns, device, memory

    def setup(self) -> str:
        """Load the metrics' models."""
        self._device = torch_device(self._device_name)
        self._scorers = {column.label: Scorer.set_up(column, self._device) for column in self._columns}
        return str(self._device)

    def load(self, order: ToScore) -> tuple[ScoreJob, Clip | Failure]:
        """Decode the video."""
        columns = tuple(self._scorers[label].column for label in order.columns)
        with TemporaryDirectory(prefix="vapbench-") as scratch:
            path = Path(scratch) / str(order.row.video)
            path.write_bytes(order.video)
            job = ScoreJob(order.row, path, order.case, columns)
            return job, load_video(job)

    def work(self, order: ToScore, loaded: tuple[ScoreJob, Clip | Failure]) -> list[ScoreRow]:
        """Score it."""
        job, clip = loaded
        return score_computed(job, clip, self._scorers, self._device, self._memory)

    def finish(self, order: ToScore, rows: list[ScoreRow]) -> list[ScoreRow]:
        """Nothing is left to do."""
        return rows
