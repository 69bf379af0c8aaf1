"""Devices, and what methods ask of them: estimates for a plan, made where weights are absent.

Parameters and operations are counted from the published configurations by ``benchmarks/full_size.py``; memory beyond
the weights and the speed of a device are allowances, not measurements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from vapbench.errors import ErrorKind, UsageError, did_you_mean

REACHED = 0.4
"""Share of the peak that attention and convolutions sustain; an allowance, not a measurement."""
DEVICE = "an H100-class device"
_LARGEST_LAYER_GB = 1.0
"""What single-layer offload keeps on the device besides activations."""
_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


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
        raise UsageError(f"--gpu {name}: unknown.{did_you_mean(name.lower(), GPUS)}", ErrorKind.UNKNOWN, "gpu")
    return GPUS[name.lower()]


class Resources(BaseModel):
    """What one worker has for itself; also the ``resources`` of a card."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpus: float = Field(default=0, ge=0)
    """A fraction below 1 shares a device."""
    cpus: float = Field(default=1, ge=0)

    def __str__(self) -> str:
        return f"{self.gpus:g} GPU and {self.cpus:g} CPU" if self.gpus else f"{self.cpus:g} CPU"

    def fits(self, has: Mapping[str, float]) -> int:
        """How many such workers a cluster has devices for, one to a device; at least 1."""
        kind, share = ("GPU", self.gpus) if self.gpus else ("CPU", self.cpus)
        return max(1, int(has.get(kind, 0) // max(1.0, share)))


class Size(BaseModel):
    """Counts of one method, as its card declares them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: Mapping[str, float] = Field(min_length=1)
    """Parameters of each component, in billions."""
    petaflop: float = Field(gt=0)
    """Operations of one video at the suite's size with default parameters, in 10^15."""
    activations_gb: float = Field(default=8.0, ge=0)
    """Everything that is not weights, in GB: an allowance, or what a measurement leaves."""
    download_gb: float | None = Field(default=None, gt=0)
    """Size of the published files, in GB; None is two bytes a parameter."""


@dataclass(frozen=True)
class Footprint:
    """Estimates for one plan, in GB and hours."""

    download_gb: float
    memory_gb: float
    """Of the accelerator, with the offload asked for."""
    by_offload: Mapping[str, float]
    hours: float


def footprint(
    size: Size,
    parameters: Mapping[str, Any],
    videos: int,
    usual_steps: int = 50,
    petaflops: float = GPUS["h100"].sustained,
) -> Footprint:
    """Estimate what ``videos`` videos need.

    Args:
        size: the card's counts.
        parameters: the method's parameters; ``dtype``, ``offload`` and ``steps`` count.
        videos: how many there are to make.
        usual_steps: the steps that the card's operations were counted with.
        petaflops: rate that the device sustains in bfloat16, in 10^15 operations a second.
    """
    width = _BYTES[str(parameters.get("dtype", "bfloat16"))]
    whole, largest = sum(size.parameters.values()), max(size.parameters.values())
    by_offload = {
        "none": whole * width + size.activations_gb,
        "model": largest * width + size.activations_gb,
        "sequential": _LARGEST_LAYER_GB + size.activations_gb,
    }
    share = int(parameters.get("steps", usual_steps)) / usual_steps
    return Footprint(
        download_gb=size.download_gb or whole * 2,
        memory_gb=by_offload[str(parameters.get("offload", "none"))],
        by_offload=by_offload,
        hours=videos * size.petaflop * share / petaflops / 3600,
    )
