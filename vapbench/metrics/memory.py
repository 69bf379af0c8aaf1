"""How much memory a metric may use for its own work, and how much of a clip fits into it at once.

Decoded frames come on top: a clip is held whole, as uint8.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_SHARE = 4
_UNKNOWN = 4 << 30


def quarter_of_free(device: torch.device) -> int:
    """A quarter of what is free on ``device``, in bytes: the default budget."""
    return _free(device) // _SHARE


def at_once(budget: int, bytes_each: float, most: int) -> int:
    """How many items of ``bytes_each`` to work on together: within ``budget``, at most ``most``, at least one."""
    return max(1, min(most, int(budget // max(1, bytes_each))))


def pairs_at_once(device: torch.device, budget: int, bytes_each: float, most: int) -> int:
    """:func:`at_once` for networks on pairs of frames: one at a time on a CPU, whose caches a second one spoils."""
    return 1 if device.type == "cpu" else at_once(budget, bytes_each, most)


def spans(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut ``range(total)`` into pieces of ``size``: start and stop of each."""
    for start in range(0, total, size):
        yield start, min(start + size, total)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the accelerator or the machine."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__.endswith("OutOfMemoryError")
        # What torch says where the machine's memory ends; it has no type of its own.
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
    )


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        # Not Linux: nobody tells cheaply what is free.
        return _UNKNOWN * _SHARE
