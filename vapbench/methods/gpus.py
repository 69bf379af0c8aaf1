"""Accelerators by name: memory and speed, as estimates of memory and time need them."""

from __future__ import annotations

from dataclasses import dataclass

from vapbench.errors import UsageError, did_you_mean

REACHED = 0.4
"""Share of the peak that attention and convolutions sustain; an allowance, not a measurement."""


@dataclass(frozen=True)
class Gpu:
    """One kind of device."""

    name: str
    memory_gb: float
    petaflops: float
    """Dense peak in bfloat16, from NVIDIA's data sheet."""

    @property
    def sustained(self) -> float:
        """What a generator reaches, in 10^15 operations a second."""
        return REACHED * self.petaflops


GPUS = {
    "b200": Gpu("B200", 180, 2.25),
    "h200": Gpu("H200", 141, 1.0),
    "h100": Gpu("H100", 80, 1.0),
    "a100-80g": Gpu("A100-80G", 80, 0.312),
    "a100": Gpu("A100", 40, 0.312),
    "l40s": Gpu("L40S", 48, 0.362),
    "a10g": Gpu("A10G", 24, 0.07),
    "l4": Gpu("L4", 24, 0.121),
}
"""By the name Ray gives them, in lower case."""


def find_gpu(name: str) -> Gpu:
    """Look a device up.

    Raises:
        UsageError: nothing has the name (with a suggestion).
    """
    if name.lower() not in GPUS:
        raise UsageError(f"--gpu {name}: unknown.{did_you_mean(name.lower(), GPUS)}")
    return GPUS[name.lower()]
