"""Run folders for the report's tests, written as a run writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vapbench.core.clip import Clip
from vapbench.core.video import write_video
from vapbench.files.atomic import digest, file_sha256
from vapbench.methods import methods
from vapbench.results.rows import Failure, GenerationRow, ScoreRow
from vapbench.results.run import RunFolder
from vapbench.results.writer import RunWriter, video_name

METRIC = "temporal_flickering"


def clip(seed: int = 0, frames: int = 8, height: int = 32, width: int = 48) -> Clip:
    """A moving gradient, different for every seed."""
    ramp = np.arange(width)[None, None, :, None] + 9 * np.arange(frames)[:, None, None, None] + 40 * seed
    shape = (frames, height, width, 3)
    return Clip(np.broadcast_to(ramp % 256, shape).astype(np.uint8), 8.0)


@dataclass
class Case:
    """What a test says of one case; seeds run over ``values``."""

    condition: str
    values: Sequence[float | Failure | str | None] = (1.0,)
    """Per seed: a score, None (not scored yet), a failure, or the reason why it is unscored."""
    category: str = "camera"
    tasks: Sequence[str] = ("all", "camera")
    generation: Failure | str | None = None
    """Instead of videos: the failure, or why the method does not apply. ``""``: not generated yet."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More of the manifest's case: captions, paths."""
    made: Mapping[str, Any] = field(default_factory=dict)
    """More of its generations' rows: size, notes."""
    noted: Mapping[str, Any] = field(default_factory=dict)
    """More of its scores' rows: note, kind, parts."""


class Runs:
    """Writes run folders below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.video = root / "source.mp4"
        write_video(self.video, clip())

    def write(
        self,
        method: str,
        cases: Mapping[str, Case],
        *,
        suite: str = "mini",
        metric: str = METRIC,
        version: int = 1,
        params: Mapping[str, Any] | None = None,
        folder: str | None = None,
        **identity: Any,
    ) -> RunFolder:
        """Write a run with one metric column; call again on the same folder to add another."""
        run = RunFolder(self.root / suite / (folder or method))
        planned = {
            name: {
                "condition": case.condition,
                "category": case.category,
                "tasks": list(case.tasks),
                **case.extra,
            }
            for name, case in cases.items()
        }
        with RunWriter(run) as writer:
            made_by = {"suite": suite, "name": method, "version": 1, **identity}
            writer.begin(made_by, planned, {"seeds": [0]}, card=_card(method))
            for name, case in cases.items():
                for seed, value in enumerate(case.values):
                    self._row(writer, run, name, case, seed, value, (metric, version, params or {}))
            writer.end({}, "cpu")
        return run

    def _row(
        self,
        writer: RunWriter,
        run: RunFolder,
        name: str,
        case: Case,
        seed: int,
        value: float | Failure | str | None,
        column: tuple[str, int, Mapping[str, Any]],
    ) -> None:
        common: dict[str, Any] = {
            "case": name, "condition": case.condition, "category": case.category, "seed": seed
        }  # fmt: skip
        key = f"{name}-{seed}"
        if case.generation == "":
            return
        if isinstance(case.generation, Failure):
            writer.append(GenerationRow(key, **common, status="failed", attempts=(case.generation,)))
            return
        if case.generation is not None:
            writer.append(GenerationRow(key, **common, status="unscored", note=case.generation))
            return
        video = video_name(name, seed, "0" * 8)
        # A box of another name in each: the same frames, and bytes of its own, as of a real output.
        box = b"free" + f"{name}-{seed}".encode()
        (run.videos / video).write_bytes(self.video.read_bytes() + (len(box) + 4).to_bytes(4) + box)
        sha = file_sha256(run.videos / video)
        made = {"video": video, "sha256": sha, "seconds": 1.5, "peak_mb": 100.0, **case.made}
        writer.append(GenerationRow(key, **common, status="ok", **made))
        metric, version, params = column
        score: dict[str, Any] = {
            "key": f"{key}-{metric}-{version}-{sorted(params.items())}",
            "metric": metric, "version": version, "params": params, "video_sha256": sha,
            "case_sha256": digest({}), **common,
        }  # fmt: skip
        if isinstance(value, Failure):
            writer.append(ScoreRow(**score, status="failed", failure=value))
        elif isinstance(value, str):
            writer.append(ScoreRow(**score, status="unscored", note=value))
        elif value is not None:
            said = {"parts": {"per_pair": [1, 2, 3, 5], "need": 3}, **case.noted}
            writer.append(ScoreRow(**score, status="ok", value=value, **said))


def _card(method: str) -> dict[str, Any]:
    cards = [entry.card for entry in methods() if entry.name == method]
    return {"title": cards[0].title, "kind": cards[0].kind, "notes": list(cards[0].notes)} if cards and cards[0] else {}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """A writer of run folders, with a cache of its own."""
    monkeypatch.setenv("VAPBENCH_CACHE", str(tmp_path / "cache"))
    return Runs(tmp_path)


@pytest.fixture
def metric_data(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Declare the display data of metrics by name, as installed metrics would."""
    known: dict[str, Any] = {}

    def resolve(name: str) -> tuple[Any, dict[str, Any]]:
        return known[name], {}

    monkeypatch.setattr("vapbench.metrics.resolve", resolve)

    def declare(name: str, **data: Any) -> None:
        fields = {"higher_is_better": True, "unit": "", "title": name, "scale": 1.0, "digits": 2, **data}
        known[name] = type("Declared", (), fields)()

    declare(METRIC, title="flicker", scale=100.0, digits=1)
    return declare
