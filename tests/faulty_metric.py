"""A metric that does to some processes what metrics do on bad days; importable, so that another process can run it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from vapbench.core.case import Case
from vapbench.metrics.base import Metric
from vapbench.metrics.view import ClipView


class Touchy(Metric):
    """Mean level, and a file for each time a case was begun: ``CASE.PID``."""

    name, version, unit = "touchy", 1, "level"

    def __init__(self, marks: Path, kills: Mapping[str, int] | None = None) -> None:
        """Kill the process the first so many times that it is asked for a case."""
        self.marks, self.kills = marks, dict(kills or {})

    def score(self, clip: ClipView, case: Case) -> float:
        begun = len(list(self.marks.glob(f"{case.id}.*")))
        (self.marks / f"{case.id}.{os.getpid()}").touch()
        if begun < self.kills.get(case.id, 0):
            os.kill(os.getpid(), signal.SIGKILL)
        return float(clip.frames.mean())
