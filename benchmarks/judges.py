"""What judging a folder of clips takes, one question at a time and as ``vapbench score`` asks them.

    python benchmarks/judges.py                    both parts, a minute or two

* api: an endpoint on this machine that answers after a while, asked one question at a time and four at once, which is
  the default of ``concurrency``;
* local: a tiny vision-language model with random weights in float32, which fills in one form at a time and then eight
  in one batch, on one thread: in seconds of the processor, which other work does not change. What a batch saves of a
  full-size model, or on an accelerator, it does not show.

Both sides score the same videos through the harness, warm and in turns. Scores must be equal.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from folders import score_folder

from tests.metrics.judges import Endpoint, rating, says, write_tiny_vlm
from vapbench.core.case import Case
from vapbench.metrics import resolve
from vapbench.metrics.base import Metric
from vapbench.running.run import choose

CPU = torch.device("cpu")
CLIPS, ROUNDS = 12, 3
LATENCY = 0.5
"""Seconds until the endpoint answers."""


def slow(handler: Any, request: dict[str, Any]) -> None:
    """Answer after a while, by the number of characters of the question."""
    time.sleep(LATENCY)
    says(rating(score=len(str(request["messages"])) % 101))(handler, request)


def api(cases: Sequence[Case], rounds: int) -> None:
    """Print what an endpoint's latency costs."""
    with Endpoint(usual=slow) as endpoint:
        text = f"semantic_alignment[judge]:model=m,base_url={endpoint.url},concurrency="
        sides = {name: set_up(text + str(number)) for name, number in (("one", 1), ("four at once", 4))}
        print(f"\nAn endpoint that answers after {LATENCY:g} s, three answers a clip:")
        compare(sides, cases, rounds, time.perf_counter)


def local(cases: Sequence[Case], rounds: int) -> None:
    """Print what a batch saves of a tiny model."""
    with tempfile.TemporaryDirectory() as folder:
        write_tiny_vlm(Path(folder))
        together: Any = set_up(f"semantic_alignment[local]:weights={folder},frames=2")
        single = copy(together)
        single.at_once, single._filler = 1, copy(together.filler)
        single._filler._most = 1
        print("\nA tiny model of this process, two forms a clip:")
        compare({"one form": single, "eight in one batch": together}, cases, rounds, time.process_time)


def set_up(text: str) -> Metric:
    """A metric that is ready to score."""
    metric = resolve(text)[0]
    metric.setup(CPU)
    return metric


def compare(sides: dict[str, Metric], cases: Sequence[Case], rounds: int, clock: Callable[[], float]) -> None:
    """Print seconds a clip of both sides by a clock, and their ratio."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    scores = {}
    for metric in sides.values():
        scored(metric, cases[:1], clock)
    for number in range(rounds):
        for name in sides if number % 2 == 0 else reversed(sides):
            taken, scores[name] = scored(sides[name], cases, clock)
            seconds[name].append(taken / len(cases))
    first, second = (statistics.median(each) for each in seconds.values())
    for name, each in seconds.items():
        print(f"  {name:20} {statistics.median(each):6.2f} s a clip")
    same = len({tuple(sorted(found.items())) for found in scores.values()}) == 1
    print(f"  {first / second:.2f}x; scores are {'equal' if same else 'NOT equal'}")


def scored(
    metric: Metric, cases: Sequence[Case], clock: Callable[[], float]
) -> tuple[float, dict[tuple[str, str], float]]:
    """Seconds that scoring the cases' targets takes, and the scores."""
    with tempfile.TemporaryDirectory() as name:
        videos = Path(name) / "videos"
        videos.mkdir()
        for case in cases:
            os.link(case.image.path, videos / f"{case.id}.mp4")
        began = clock()
        found = score_folder({metric.name: metric}, [metric.name], cases, Path(name), CPU)
        return clock() - began, found


def main() -> None:
    """Print both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cases = choose("mini", None, "camera", given.clips).cases
    print(f"{len(cases)} clips, medians of {given.rounds} turns, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    api(cases, given.rounds)
    local(cases, given.rounds)


if __name__ == "__main__":
    main()
