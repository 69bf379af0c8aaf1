"""``--memory`` bounds what a metric works in: long and large clips are taken in pieces, and score the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.metrics.conftest import CPU, moving_clip
from vapbench.cli import app
from vapbench.core.case import Case
from vapbench.metrics.base import Metric
from vapbench.metrics.view import ClipView
from vapbench.models.vision.correlation import AllPairs

LONG = moving_clip(1000, 24, 32, step=1)
WIDE = moving_clip(3, 128, 256, step=5)


class WatchedView(ClipView):
    """A view that remembers how its frames were asked for."""

    asked: list[tuple[int, float]]

    def pieces(self, bytes_each: float, most: int, step: int = 1) -> Iterator[torch.Tensor]:
        """Note frames and bytes of every piece."""
        for piece in super().pieces(bytes_each, most, step):
            self.asked.append((len(piece), bytes_each))
            yield piece


@pytest.mark.parametrize("name", ["text_alignment[clip]", "aesthetic_quality", "background_consistency"])
def test_a_clip_of_1000_frames_is_taken_in_pieces_that_fit(
    name: str, build: Callable[[str], Metric], case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With few threads CLIP takes one frame at a time whatever memory there is.
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    values, most = [], []
    for memory in (8 << 30, 300 << 20):
        view = WatchedView(LONG, case, CPU, memory)
        view.asked = []
        values.append(build(name).score(view, case).value)
        assert sum(frames for frames, _ in view.asked) == 1000
        assert all(frames * bytes_each <= memory for frames, bytes_each in view.asked)
        most.append(max(frames for frames, _ in view.asked))
    assert most[1] < most[0]
    assert values[1] == pytest.approx(values[0], abs=1e-4)


@pytest.mark.parametrize(
    "name", [pytest.param("dynamic_degree[raft]", marks=pytest.mark.slow), "motion_smoothness[amt]"]
)
def test_correlations_too_large_are_cut(
    name: str, build: Callable[[str], Metric], case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pair of 128 x 256 has 512 x 512 correlations, 1.4 MB with their pyramid."""
    budgets = []
    made = AllPairs.__init__

    def noted(self: AllPairs, *arguments: object, **named: object) -> None:
        budgets.append(named["budget"])
        made(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(AllPairs, "__init__", noted)
    metric = build(name)
    values = [metric.score(ClipView(WIDE, case, CPU, memory), case).parts for memory in (8 << 30, 2 << 20)]
    lists = [next(value for value in parts.values() if isinstance(value, list)) for parts in values]
    assert lists[1] == pytest.approx(lists[0], abs=1e-4)
    assert min(budget for budget in budgets if isinstance(budget, int)) <= 1 << 20


def test_the_commands_bound_changes_no_row(tmp_path: Path) -> None:
    values = []
    for memory in ("4", "0.01"):
        results = tmp_path / memory
        arguments = f"run -q -m copy-reference --task camera --limit 2 --memory {memory} --results {results}"
        metrics = ("--metric", "text_alignment[mini-clip]", "--metric", "temporal_flickering")
        done = CliRunner().invoke(app, [*arguments.split(), *metrics])
        assert done.exit_code == 0, done.output
        rows = [json.loads(line) for path in sorted(results.rglob("scores/*.jsonl")) for line in path.open()]
        values.append([(row["case"], row["metric"], row["status"], row["value"]) for row in rows])
    assert len(values[0]) == 4
    for one, other in zip(*values, strict=True):
        assert one[:3] == other[:3]
        assert other[3] == pytest.approx(one[3], abs=1e-4)
