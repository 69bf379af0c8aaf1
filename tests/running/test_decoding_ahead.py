"""What is decoded ahead of a card; the form of it that a CPU takes, and what it decides for a card that is not here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.running.test_generate import Mover, run
from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.metrics.base import Metric, Need
from vapbench.metrics.view import ClipView
from vapbench.results.run import RunFolder
from vapbench.running.score import page_locked, videos_ahead


def test_several_videos_are_decoded_ahead_of_a_card_and_one_of_a_cpu() -> None:
    assert [videos_ahead(torch.device(name)) for name in ("cuda", "cuda:1", "cpu", "mps")] == [3, 3, 1, 1]


def test_a_cpu_takes_a_clip_as_it_was_decoded() -> None:
    clip = Clip(np.zeros((2, 4, 4, 3), dtype=np.uint8), 8)
    assert page_locked(clip, torch.device("cpu")) is clip


class Difference(Metric):
    """How much brighter the clip is than the reference."""

    name = "difference"
    needs: frozenset[Need] = frozenset({"reference"})

    def score(self, clip: ClipView, case: Case) -> float:
        return float(clip.frames.mean() - clip.reference.frames.mean())


def test_what_is_decoded_far_ahead_scores_the_same_and_is_given_back(
    tmp_path: Path, make_case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [make_case(number) for number in range(5)]
    # Two seeds of a case share its reference: it stays until both are scored.
    scores = []
    for ahead in (1, 3):
        monkeypatch.setattr("vapbench.running.score.videos_ahead", lambda device, ahead=ahead: ahead)
        outcome = run(Mover(), cases, tmp_path / str(ahead), seeds=(0, 1), metrics=[Difference()])
        assert (outcome.scored.ok, outcome.scored.failed) == (10, 0)
        found = RunFolder(tmp_path / str(ahead) / "suite" / "mover").scores("difference").values()
        scores.append([(row.case, row.seed, row.value) for row in found])
        assert all(case.reference.video._prefetched is None for case in cases)
    assert scores[0] == scores[1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a card")
def test_a_card_reads_the_same_frames_by_itself() -> None:
    clip = Clip(np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3), 8)
    locked = page_locked(clip, torch.device("cuda"))
    assert torch.from_numpy(locked.frames).is_pinned() and np.array_equal(locked.frames, clip.frames)
