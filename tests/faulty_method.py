"""A method that does to some cases what methods do on bad days; importable, so that another process can run it too."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.methods.base import Method


def hang_in_python() -> None:
    while True:
        time.sleep(0.01)


def hang_in_c() -> None:
    # Reads for ever what nobody writes, and never gives the interpreter lock back: no signal handler of Python's and no
    # thread gets a turn.
    ctypes.PyDLL(None).read(os.pipe()[0], ctypes.create_string_buffer(1), 1)


def hang_in_a_program() -> None:
    # As methods do that call the script of a published repository; told from other programs by its argument.
    subprocess.run(["sleep", str(86400 + os.getppid())], check=True)


def crash() -> None:
    ctypes.string_at(0)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exhaust_numpy() -> None:
    np.empty(1 << 55, np.uint8)


def exhaust_torch() -> None:
    import torch

    torch.empty(1 << 55, dtype=torch.uint8)


def exhaust_the_accelerator() -> None:
    import torch

    # What a GPU raises; there need not be one here.
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


FAULTS: Mapping[str, Callable[[], Any]] = {
    fault.__name__: fault
    for fault in (
        *(hang_in_python, hang_in_c, hang_in_a_program, crash, be_killed),
        *(exhaust_numpy, exhaust_torch, exhaust_the_accelerator),
    )
}


class Faulty(Method):
    """Rolls the first frame; ``faults`` maps a case id, or ``setup``, to what goes wrong with it."""

    name = "faulty"
    version = 1

    def __init__(self, faults: Mapping[str, str] | None = None) -> None:
        self.faults = dict(faults or {})

    def setup(self, device: object) -> None:
        if "setup" in self.faults:
            FAULTS[self.faults["setup"]]()

    def generate(self, case: Case, seed: int) -> Clip:
        if case.id in self.faults:
            FAULTS[self.faults[case.id]]()
        frame = case.image.first_frame()
        return Clip(np.stack([np.roll(frame, seed + t, axis=1) for t in range(case.clip.frames)]), case.clip.fps)
