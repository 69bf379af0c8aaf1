"""Where work runs: this process, one case at a time, with decoding ahead of it and encoding behind it."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Result = TypeVar("Result")

INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class OnRay:
    """Which Ray cluster to run on, and how much of it to ask for."""

    address: str | None = None
    """Of an existing cluster (``auto``, ``host:6379``); None starts one on this machine."""
    workers: int | None = None
    """How many generate at once; None for as many as there is room for."""


class StopFlag:
    """Whether to stop after the case at hand. Set by the first Ctrl-C, or by whoever has seen enough."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def __bool__(self) -> bool:
        return self.reason is not None


def run_in_order(
    items: Sequence[Item],
    *,
    load: Callable[[Item], Loaded],
    work: Callable[[Item, Loaded], Result],
    finish: Callable[[Item, Result], None],
    stop: StopFlag,
    ahead: int = 1,
) -> None:
    """Work through ``items`` in order, in this thread.

    While an item is worked on, the next ``ahead`` are loaded, each in a thread of its own, and another thread finishes
    those before it, also in order, so that decoding and encoding cost no time of their own. At most two results wait to
    be finished.

    Raises:
        Exception: what ``load``, ``work`` or ``finish`` raised; items that were worked on before are finished first.
    """
    with ThreadPoolExecutor(ahead, "load") as loader, ThreadPoolExecutor(1, "finish") as finisher:
        finishing: list[Future[None]] = []
        try:
            loading = deque(loader.submit(load, item) for item in items[:ahead])
            for index, item in enumerate(items):
                if stop:
                    break
                loaded = loading.popleft().result()
                loading.extend(loader.submit(load, later) for later in items[index + ahead : index + ahead + 1])
                finishing.append(finisher.submit(finish, item, work(item, loaded)))
                while len(finishing) > 2 or (finishing and finishing[0].done()):
                    finishing.pop(0).result()
        finally:
            for future in finishing:
                future.result()


class PendingCalls:
    """Work that waits for somebody else's answer: a few at a time, in threads, while this one goes on.

    The threads are daemons: a second Ctrl-C ends the process without the answers that are still missing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = threading.Semaphore(limit)
        self._error: BaseException | None = None

    def submit(self, work: Callable[[], None]) -> None:
        """Start ``work`` in a thread, as soon as there is room.

        Raises:
            Exception: what earlier work raised.
        """
        self._room.acquire()
        if self._error:
            self._room.release()
            raise self._error
        threading.Thread(target=self._run, args=(work,), name="in-flight", daemon=True).start()

    def join(self) -> None:
        """Wait until all work is done.

        Raises:
            Exception: what it raised.
        """
        for _ in range(self._limit):
            self._room.acquire()
        self._room.release(self._limit)
        if self._error:
            raise self._error

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._error = error
        finally:
            self._room.release()


@contextmanager
def finish_case_on_interrupt(stop: StopFlag, tell: Callable[[str], None], unit: str = "case") -> Iterator[None]:
    """Turn the first Ctrl-C into a request to stop after the case, or ``unit``, at hand; the second interrupts at once.

    SIGTERM, by which schedulers announce that a job must end, is a Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def request(number: int, frame: FrameType | None) -> None:
        if stop.reason == INTERRUPTED:
            raise KeyboardInterrupt
        stop.reason = INTERRUPTED
        tell(f"Stopping after this {unit}. Press Ctrl-C again to stop at once.")

    previous = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end the work as Ctrl-C does: locks are given back, so that a requeued job may start elsewhere."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
