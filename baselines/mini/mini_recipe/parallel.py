"""Stages side by side: each begins, in a process of its own, as soon as what it is built on is there.

A small model fills one core and gains little from a second, so two stages at once take about half the time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context

import torch


def run_side_by_side(
    stages: Sequence[str], needs: Mapping[str, Sequence[str]], jobs: int, train: Callable[[str], None]
) -> None:
    """Train every stage, at most ``jobs`` at once, in the given order where several are ready.

    Args:
        stages: in an order in which each comes after those it needs.
        needs: the stages that one is built on; those that are not among ``stages`` do not count.
        jobs: processes, which share the cores evenly.
        train: trains a stage; it and its errors are pickled.

    Raises:
        Exception: what a stage raised, after those that were running have ended.
    """
    waiting, done = list(stages), set[str]()
    running: dict[Future[None], str] = {}
    with ProcessPoolExecutor(jobs, get_context("spawn"), _share_cores, (jobs,)) as pool:
        while waiting or running:
            ready = [stage for stage in waiting if done.issuperset(set(needs.get(stage, ())) & set(stages))]
            for stage in ready[: jobs - len(running)]:
                waiting.remove(stage)
                running[pool.submit(train, stage)] = stage
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                done.add(running.pop(future))


def default_jobs(device: torch.device) -> int:
    """Return how many stages to train at once: two where there are two cores and no accelerator is shared."""
    return min(2, os.cpu_count() or 1) if device.type == "cpu" else 1


def _share_cores(jobs: int) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
