"""Stages side by side: each begins, in a process of its own, as soon as what it is built on is there.

A small model fills one core and gains little from a second, so two stages at once take about half the time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event

import torch

_ASKED_EVERY = 0.5  # seconds between two looks at whether to leave
_leave: Event | None = None
"""In a process that trains a stage: set where it is to leave with the state saved."""


def run_side_by_side(
    stages: Sequence[str],
    needs: Mapping[str, Sequence[str]],
    jobs: int,
    train: Callable[[str], None],
    stopping: Callable[[], bool],
) -> None:
    """Train every stage, at most ``jobs`` at once, in the given order where several are ready.

    Args:
        stages: in an order in which each comes after those it needs.
        needs: the stages that one is built on; those that are not among ``stages`` do not count.
        jobs: processes, which share the cores evenly.
        train: trains a stage, and leaves early where :func:`asked_to_leave` says so; it and its errors are pickled.
        stopping: asked twice a second whether to leave; then no stage begins, and those that run are asked to leave.

    Raises:
        Exception: what a stage raised, after those that were running have ended.
    """
    waiting, done, spawn = list(stages), set[str](), get_context("spawn")
    running: dict[Future[None], str] = {}
    leave = spawn.Event()
    with ProcessPoolExecutor(jobs, spawn, _prepare, (jobs, leave)) as pool:
        try:
            while waiting or running:
                ready = [stage for stage in waiting if done.issuperset(set(needs.get(stage, ())) & set(stages))]
                for stage in ready[: jobs - len(running)]:
                    waiting.remove(stage)
                    running[pool.submit(_train, train, stage)] = stage
                for future in wait(running, _ASKED_EVERY, return_when=FIRST_COMPLETED).done:
                    future.result()
                    done.add(running.pop(future))
                if stopping():
                    leave.set()
                    waiting.clear()
        except KeyboardInterrupt:
            leave.set()
            raise


def asked_to_leave() -> bool:
    """Whether a stage's process is to leave with its state saved: it was asked to, or whoever began it is gone."""
    parent = parent_process()
    return (_leave is not None and _leave.is_set()) or (parent is not None and not parent.is_alive())


def default_jobs(device: torch.device) -> int:
    """Return how many stages to train at once: two where there are two cores and no accelerator is shared."""
    return min(2, os.cpu_count() or 1) if device.type == "cpu" else 1


def _train(train: Callable[[str], None], stage: str) -> None:
    train(stage)
    parent = parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)  # It would wait for another stage, for ever.


def _prepare(jobs: int, leave: Event) -> None:
    """Prepare a process: its share of the cores. Signals that reach a whole group are for the process that began it."""
    global _leave
    _leave = leave
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
