"""Stages side by side: each begins, in a process of its own, as soon as what it is built on is there.

A small model fills one core and gains little from a second, so two stages at once take about half the time.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.synchronize import Event

import torch

_ASKED_EVERY = 0.5  # seconds between two looks at whether to leave
_leave: Event | None = None
"""In a process that trains a stage: set where it is to leave with the state saved."""
_training = threading.Lock()
"""Held in such a process while a stage trains."""


def run_side_by_side(
    stages: Sequence[str],
    needs: Mapping[str, Sequence[str]],
    jobs: int,
    train: Callable[[str], None],
    stopping: Callable[[], bool],
) -> bool:
    """Train every stage, at most ``jobs`` at once, in the given order where several are ready.

    Args:
        stages: in an order in which each comes after those it needs.
        needs: the stages that one is built on; those that are not among ``stages`` do not count.
        jobs: processes, which share the cores evenly.
        train: trains a stage, and leaves early where :func:`asked_to_leave` says so; pickled, and its errors too.
        stopping: asked twice a second whether to leave; then no stage begins, and those that run are asked to leave.

    Returns:
        Whether all stages ended before any was asked to leave.

    Raises:
        Exception: what a stage raised, after those that were running have ended.
        KeyboardInterrupt: a second Ctrl-C, which ends the processes at once.
    """
    waiting, done, spawn = list(stages), set[str](), get_context("spawn")
    running: dict[Future[None], str] = {}
    leave, failed = spawn.Event(), None
    with ProcessPoolExecutor(jobs, spawn, _prepare, (jobs, leave)) as pool:
        try:
            while waiting or running:
                ready = [stage for stage in waiting if done.issuperset(set(needs.get(stage, ())) & set(stages))]
                for stage in ready[: jobs - len(running)]:
                    waiting.remove(stage)
                    running[pool.submit(_train, train, stage)] = stage
                for future in wait(running, _ASKED_EVERY, return_when=FIRST_COMPLETED).done:
                    done.add(running.pop(future))
                    if error := future.exception():
                        failed = failed or error
                        waiting.clear()
                if running and stopping():
                    leave.set()
                    waiting.clear()
        except KeyboardInterrupt:
            for process in active_children():
                process.kill()
            raise
    # A signal to the whole group may have ended processes before they could leave.
    if failed and not leave.is_set() and not stopping():
        raise failed
    return not leave.is_set() and not failed


def asked_to_leave() -> bool:
    """Whether a stage's process is to leave with its state saved: it was asked to, or whoever began it is gone."""
    parent = parent_process()
    return (_leave is not None and _leave.is_set()) or (parent is not None and not parent.is_alive())


def default_jobs(device: torch.device) -> int:
    """Return how many stages to train at once: two where there are two cores and no accelerator is shared."""
    return min(2, os.cpu_count() or 1) if device.type == "cpu" else 1


def _train(train: Callable[[str], None], stage: str) -> None:
    with _training:
        train(stage)


def _prepare(jobs: int, leave: Event) -> None:
    """Prepare a process: its share of the cores; a terminal's Ctrl-C is for the process that began it."""
    global _leave
    _leave = leave
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def _end_with_parent() -> None:
    """Once whoever began this process is gone, end it when no stage trains: it would wait for the next for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        with _training:
            os._exit(1)
