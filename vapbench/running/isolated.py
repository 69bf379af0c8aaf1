"""A method in a process of its own: one that hangs, or takes its process down, costs its case and not the run.

Nothing less ends a method that is stuck in C. It costs a copy of each clip from process to process, and the models are
loaded again after a process was ended; so it is used only where a time limit is asked for. Programs that the method
started end with its process: one that goes on would keep the device from the next case.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any, Self

from vapbench.core.case import Case
from vapbench.core.registry import load_module
from vapbench.errors import ErrorKind, UsageError, VapbenchError, blaming
from vapbench.methods.base import Method
from vapbench.results.rows import Failure
from vapbench.running import attempt as attempts
from vapbench.running import child
from vapbench.running.attempt import Attempted

_CAN_TELL = hasattr(faulthandler, "register")
_GRACE = 60.0
"""Seconds after the time limit in which the process that waits would have ended this one, were it still there."""


class Isolated:
    """Asks a method for clips, in another process, with a time limit."""

    def __init__(self, method: Method, device: Any, retries: int, timeout: float) -> None:
        """Prepare to run ``method``, which is not set up.

        Args:
            method: what to run.
            device: where.
            retries: more attempts after what may pass, within the same time.
            timeout: seconds a case may take.
        """
        self._method, self._device, self._retries, self._timeout = method, str(device), retries, timeout
        self._process: Any = None
        self._pipe: Any = None

    def __enter__(self) -> Self:
        """Start the process and load the method's models.

        Raises:
            UsageError: what the method holds cannot go to another process.
            Exception: what ``setup`` raised.
        """
        try:
            self._start()
        except BaseException:
            # Ctrl-C while it loads: Python ends its children by SIGTERM, which this one ignores, and waits for them.
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def __call__(self, case: Case, seed: int) -> Attempted:
        """Ask for a clip; a process that does not answer in time is ended, and the next case gets a new one."""
        if self._process is None:
            self._start()
        began = time.perf_counter()
        try:
            self._pipe.send((case, seed))
            if self._pipe.poll(self._timeout):
                answer: Attempted = self._pipe.recv()
                return answer
            failure = Failure(
                "CaseTimeout",
                f"no clip after {self._timeout:g} s (--case-timeout); the method's process was ended",
                self._where_it_hangs(),
            )
        except (EOFError, OSError):
            failure = Failure("ProcessDied", f"the method's process died of {child.cause_of_death(self._process)}")
        self._end()
        return Attempted(None, time.perf_counter() - began, None, (failure,))

    def _start(self) -> None:
        # Not forked: a forked process cannot use CUDA, nor OpenMP, where this one has.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        method = _packed(self._method)
        self._stacks = NamedTemporaryFile(prefix="vapbench-stacks-")
        limit = self._timeout + _GRACE
        arguments = (theirs, child.plugin_files([self._method]), self._device, self._retries, self._stacks.name, limit)
        process = context.Process(target=_serve, args=arguments, name="method", daemon=True)
        process.start()
        self._process = process
        theirs.close()
        try:
            self._pipe.send_bytes(method)
            ready = self._pipe.recv()
        except (EOFError, OSError):
            cause = child.cause_of_death(self._process)
            raise VapbenchError(
                f"The method's process died of {cause} while it loaded its models.", ErrorKind.FAILED
            ) from None
        if isinstance(ready, BaseException):
            raise ready

    def _where_it_hangs(self) -> str:
        """The stacks of the other process; the handler is in C, so it answers even while Python does not."""
        if not _CAN_TELL:
            return ""
        os.kill(self._process.pid, signal.SIGUSR1)
        text = b""
        for _ in range(20):
            time.sleep(0.1)
            self._stacks.seek(0)
            before, text = text, self._stacks.read()
            if text and text == before:
                break
        return text.decode(errors="replace")

    def _end(self) -> None:
        if self._process is not None:
            child.end(self._process)
            self._pipe.close()
            self._stacks.close()
        self._process = None


def _serve(pipe: Connection, plugins: Sequence[Path], device: str, retries: int, stacks: str, limit: float) -> None:
    """What the other process does until it is told no more."""
    told = Path(stacks).open("wb")
    if _CAN_TELL:
        faulthandler.register(signal.SIGUSR1, file=told)
    child.begin()
    try:
        import torch

        for path in plugins:
            load_module(path)
        method: Method = pipe.recv()
        with blaming(f"{method.name} cannot be set up"):
            method.setup(torch.device(device))
    except BaseException as error:
        pipe.send(child.portable(error))
        return
    pipe.send("ready")
    while True:
        try:
            case, seed = pipe.recv()
        except EOFError:
            return
        # While a method is stuck in C no thread of Python's gets a turn; this one of C's ends it all the same.
        faulthandler.dump_traceback_later(limit, exit=True, file=told)
        answer = attempts.attempt(method, case, seed, retries, torch.device(device))
        faulthandler.cancel_dump_traceback_later()
        pipe.send(answer)


def _packed(method: Method) -> bytes:
    try:
        return bytes(ForkingPickler.dumps(method))
    except Exception as error:
        raise UsageError(
            f"--case-timeout runs {method.name} in a process of its own, where what it holds before setup cannot go "
            f"({error}); make it in setup.",
            ErrorKind.CONFLICT,
            "case_timeout",
        ) from error
