"""How long a run would take on given machines, and how much it would store: from rows that were measured, or a card."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from vapbench.errors import DataError
from vapbench.files.text import counted
from vapbench.methods import ResolvedMethod
from vapbench.methods.hardware import REACHED, Gpu, footprint
from vapbench.results.run import RunFolder

_BITS_A_PIXEL = 0.4
"""Of an encoded video: 480p videos of the project page took 0.3 to 0.5. An allowance where no video was measured."""
_ROW_BYTES, _SCORE_BYTES = 500, 800
_STEADY = 2
"""Rows that a measurement needs, beside the first of a session, which is slower."""


@dataclass(frozen=True)
class Work:
    """What one method has to make."""

    method: ResolvedMethod
    suite: str
    videos: int
    clip: Mapping[str, float]
    """frames, fps, height, width."""


@dataclass(frozen=True)
class Machines:
    """What it is to run on."""

    nodes: int
    gpus: int
    """Of each node."""
    gpu: Gpu

    @property
    def devices(self) -> int:
        """GPUs of all nodes."""
        return self.nodes * self.gpus

    def __str__(self) -> str:
        return f"{self.nodes} node{'s' * (self.nodes > 1)} x {self.gpus} {self.gpu.name} ({self.gpu.memory_gb:g} GB)"


@dataclass(frozen=True)
class Rate:
    """Seconds that one video takes on one device, and who says so."""

    seconds: float | None
    """None where nobody knows."""
    source: str
    measured: bool = False


@dataclass(frozen=True)
class MethodEstimate:
    """What one method takes."""

    name: str
    videos: int
    generating: Rate
    scoring: Rate
    device_hours: float | None
    """Generating and scoring; None where the seconds of a video are not known."""
    wall_hours: float | None
    """On all devices at once, without loading models or waiting for nodes."""
    videos_gb: float
    storage: str
    """Where the gigabytes come from."""
    weights_gb: float


def estimate(work: Work, columns: Sequence[str], machines: Machines, earlier: Sequence[RunFolder]) -> MethodEstimate:
    """Estimate one method's run.

    Args:
        work: what it has to make.
        columns: slugs of the columns that will be scored (see :func:`vapbench.results.keys.column_slug`).
        machines: what it is to run on.
        earlier: runs whose rows may have measured it, the first that fits wins.
    """
    rows = next((folder for folder in earlier if _fits(folder, work)), None)
    generating = _measured_videos(rows) if rows else None
    generating = generating or seconds_by_card(work.method, work.suite, machines.gpu)
    scoring = _measured_scores(rows, columns) if rows else Rate(None, "not measured, and not counted")
    if not columns:
        scoring = Rate(0.0, "nothing to score")
    each, scored = generating.seconds, scoring.seconds or 0.0
    hours = wall = None
    if each is not None:
        hours = work.videos * (each + scored) / 3600
        # Scores are computed beside the next video, on a quarter of the device; the last one's comes after it.
        rounds = math.ceil(work.videos / machines.devices)
        wall = (rounds * max(each, scored) + (min(each, scored) if rounds else 0)) / 3600
    size, storage = _bytes_a_video(rows, work)
    kept = size + _ROW_BYTES + _SCORE_BYTES * len(columns)
    return MethodEstimate(
        name=work.method.method.name,
        videos=work.videos,
        generating=generating,
        scoring=scoring,
        device_hours=hours,
        wall_hours=wall,
        videos_gb=work.videos * kept / 1e9,
        storage=storage,
        weights_gb=_weights_gb(work),
    )


def seconds_by_card(method: ResolvedMethod, suite: str, gpu: Gpu) -> Rate:
    """What a card's counted operations take on a device at the share of its peak that is usually reached."""
    card, size = method.card, method.size(suite)
    if size is None:
        if card is not None and card.kind in ("floor", "ceiling", "outputs"):
            return Rate(0.0, "computes nothing to speak of")
        return Rate(None, "no measured rows, and its card counts no operations of these weights")
    hours = footprint(size, method.parameters, 1, petaflops=gpu.sustained).hours
    source = f"not measured: {size.petaflop:g} petaflop by its card, at {REACHED:.0%} of the peak of {gpu.name}"
    return Rate(hours * 3600, source)


def _fits(folder: RunFolder, work: Work) -> bool:
    """Whether a run measured this method at this size."""
    try:
        identity = folder.manifest().identity
    except DataError:
        return False
    ours, theirs = work.method.parameters, identity.parameters
    same = all(theirs[key] == value for key, value in ours.items() if key in theirs)
    return identity.name == work.method.method.name and identity.suite == work.suite and same


def _measured_videos(folder: RunFolder) -> Rate | None:
    seconds = [row.seconds for row in folder.current() if row.status == "ok" and row.seconds is not None]
    if len(seconds) <= _STEADY:
        return None
    return Rate(
        median(seconds), f"measured: median of {counted(len(seconds), 'row')} of {folder.path}{_made_on(folder)}", True
    )


def _measured_scores(folder: RunFolder, columns: Sequence[str]) -> Rate:
    total, unknown = 0.0, []
    for column in columns:
        rows = [row for row in folder.scores(column).values() if row.status == "ok"]
        seconds = [row.seconds for row in rows if row.seconds is not None]
        if seconds:
            total += median(seconds)
        else:
            unknown.append(column)
    if len(unknown) == len(columns):
        return Rate(None, "not measured, and not counted")
    without = f", without {', '.join(unknown)}" if unknown else ""
    return Rate(total, f"measured: medians of rows of {folder.path}{without}", True)


def _made_on(folder: RunFolder) -> str:
    devices = sorted({session.device for session in folder.manifest().sessions if session.device} - {"auto"})
    return f", made on {', '.join(devices)}: not scaled to other devices" if devices else ""


def _bytes_a_video(folder: RunFolder | None, work: Work) -> tuple[float, str]:
    sizes = [path.stat().st_size for path in folder.videos.glob("*__s*")] if folder else []
    if len(sizes) > _STEADY:
        return sum(sizes) / len(sizes), f"measured: mean of {counted(len(sizes), 'video')}"
    pixels = work.clip["frames"] * work.clip["height"] * work.clip["width"]
    return pixels * _BITS_A_PIXEL / 8, f"not measured: {_BITS_A_PIXEL} bits a pixel"


def _weights_gb(work: Work) -> float:
    size = work.method.size(work.suite)
    if size is None:
        return 0.0
    return footprint(size, work.method.parameters, 0).download_gb
