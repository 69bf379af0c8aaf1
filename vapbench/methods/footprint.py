"""How large a method is and how much it computes: estimates for a plan, made where its weights are absent.

Parameters and operations are counted from the published configurations by ``benchmarks/full_size.py``; memory beyond
the weights and the speed of a device are allowances, not measurements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from vapbench.methods.gpus import GPUS

DEVICE = "an H100-class device"
_LARGEST_LAYER_GB = 1.0
"""What single-layer offload keeps on the device besides activations."""
_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


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
