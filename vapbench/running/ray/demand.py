"""What a worker asks a cluster for: shares of a device, from a method's card and the weights of metrics.

A device (a GPU where a method needs one, a CPU otherwise) is shared three to one: three quarters generate and a quarter
scores, so that finished videos are scored beside the next one being made. A method that leaves no quarter of the
memory free gets the whole device.
"""

from __future__ import annotations

import math

from vapbench.methods import ResolvedMethod
from vapbench.methods.hardware import Resources, footprint

_GENERATES, _SCORES = 0.75, 0.25
_HALF = 0.5
"""CPUs of a worker that has a GPU."""
_WORKING_GB = 2.0
"""Allowance for what metrics hold besides their weights."""
_WITHOUT_MODEL = ("floor", "ceiling", "outputs")


def to_generate(method: ResolvedMethod, suite: str, gpu_gb: float | None) -> Resources:
    """What a worker that generates asks for.

    Args:
        method: what it runs.
        suite: what for: small weights of a suite need no whole device.
        gpu_gb: memory of a GPU; None where the run uses none.
    """
    card = method.card
    if card and card.resources:
        return card.resources if gpu_gb else Resources(cpus=card.resources.cpus)
    if gpu_gb is None or (card and card.kind in _WITHOUT_MODEL):
        return Resources(cpus=_GENERATES)
    share = memory_gb(method, suite) / gpu_gb
    return Resources(gpus=_GENERATES if share <= _GENERATES else 1.0, cpus=_HALF)


def memory_gb(method: ResolvedMethod, suite: str) -> float:
    """GPU memory the method needs by its card; 0 where the card does not say, or the suite's weights are small."""
    size = method.size(suite)
    if size is None:
        return 0.0
    return footprint(size, method.parameters, 0).memory_gb


def to_score(weights_bytes: int, gpu_gb: float | None) -> Resources:
    """What a worker that scores asks for: the share of a device that holds the weights of all its metrics."""
    if gpu_gb is None:
        return Resources(cpus=_SCORES)
    needed = (weights_bytes / 1e9 + _WORKING_GB) / gpu_gb
    return Resources(gpus=min(1.0, max(_SCORES, math.ceil(needed * 20) / 20)), cpus=_HALF)
