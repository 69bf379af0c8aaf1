"""What the processes that a run starts have in common: how they begin, end with it, and what they died of."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from vapbench.core.registry import PLUGIN
from vapbench.errors import ErrorKind, VapbenchError

_CAN_GROUP = hasattr(os, "setsid")


def begin() -> None:
    """In the new process: leave signals to the one that started it, and end with that one, whatever ends it."""
    if _CAN_GROUP:
        os.setsid()
    # Ctrl-C reaches every process of a terminal, SIGTERM every one of a Slurm job; what comes of it is the first
    # one's to decide, which ends this one by SIGKILL.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        if _CAN_GROUP:
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def end(process: Any) -> None:
    """End a process, and the programs that it started."""
    if _CAN_GROUP:
        # No such group: the process has not come to make it, and so has started nothing.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def cause_of_death(process: Any) -> str:
    """What a process that answers no more died of."""
    process.join(5)
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"{name} (out of memory?)" if name == "SIGKILL" else name
    return f"exit code {code}"


def plugin_files(parts: Iterable[object]) -> list[Path]:
    """Files to import by path before objects of their classes can be received."""
    modules = (sys.modules.get(type(part).__module__) for part in parts)
    named = ((getattr(module, "__name__", ""), getattr(module, "__file__", None)) for module in modules)
    return [Path(file) for name, file in dict(named).items() if file and name.startswith(PLUGIN)]


def portable(error: BaseException) -> BaseException:
    """The error itself if it can go to another process, else one that says the same."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        return VapbenchError(f"{type(error).__name__}: {error}", ErrorKind.FAILED)
    return error
