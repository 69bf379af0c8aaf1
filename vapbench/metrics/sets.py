"""Set metrics: one number for many clips, from one feature vector per clip.

Features are what costs; they are computed once per video and cached. The number is a pure function of them, so that
its interval comes from drawing conditions again, not from running a network again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from vapbench.core.registry import Registry, Spec, defaults, parameters, plain
from vapbench.errors import ErrorKind, NotApplicable

if TYPE_CHECKING:
    import torch

    from vapbench.metrics.view import ClipView

Features = npt.NDArray[np.float64]

REGISTRY = Registry("set_metric", {"fvd": "vapbench.metrics.fvd:Fvd"})

_DRAWS = 200
_Z = 1.959964


class SetMetric(Protocol):
    """A metric of a set of outputs against the set of their targets."""

    name: str
    version: int
    """Raised whenever equal videos may have other features or another value."""
    higher_is_better: bool
    unit: str
    digits: int
    title: str

    def weights(self) -> tuple[Path, ...]:
        """Files or folders the features depend on.

        Raises:
            NotApplicable: they are absent; the message says which command fetches them.
        """

    def setup(self, device: torch.device) -> None:
        """Load the network; called only if a feature is not cached."""

    def features(self, clip: ClipView) -> Features:
        """One vector ``(D,)`` for a clip."""

    def reduce(self, outputs: Features, targets: Features) -> float:
        """The value for features ``(n, D)`` of outputs and of targets.

        Raises:
            NotApplicable: there are too few.
        """


@dataclass(frozen=True)
class SetScore:
    """A value for a set, and how well it is known."""

    value: float | None
    """None where there are too few videos."""
    low: float | None
    high: float | None
    n: int
    """Videos."""
    clusters: int
    """Conditions."""
    note: str = ""
    """Why there is no value."""


def resolve(text: str) -> tuple[SetMetric, dict[str, Any]]:
    """Turn ``name:key=value`` into a set metric and the parameters that set it apart.

    Raises:
        UsageError: nothing has the name, or a parameter is unknown, missing or unusable.
    """
    spec = Spec.parse(text)
    cls = REGISTRY.find(spec.name).load()
    values = parameters(cls, spec)
    usual = defaults(cls, {}, spec.name)
    changed = {name: value for name, value in values.items() if name not in usual or usual[name] != value}
    metric: SetMetric = cls(**values)
    return metric, plain(changed)


def score_set(metric: SetMetric, outputs: Features, targets: Features, clusters: Sequence[Hashable]) -> SetScore:
    """Reduce features to a value with a 95 % interval.

    The interval is ``value ± 1.96 s``, with ``s`` the standard deviation of the value over 200 draws of as many
    conditions with replacement, each with all its outputs and their targets. Drawing repeats videos, which moves such
    values upwards; their spread, unlike their mean, is still informative.

    Args:
        metric: how to reduce.
        outputs: ``(n, D)``.
        targets: ``(n, D)``, in the same order.
        clusters: the condition of each.

    Raises:
        NotApplicable: there are too few videos.
    """
    value = metric.reduce(outputs, targets)
    names = list(dict.fromkeys(clusters))
    if len(names) < 2:
        return SetScore(value, None, None, len(outputs), len(names))
    members = [np.flatnonzero([cluster == name for cluster in clusters]) for name in names]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(_DRAWS):
        chosen = np.concatenate([members[index] for index in rng.integers(len(names), size=len(names))])
        drawn.append(metric.reduce(outputs[chosen], targets[chosen]))
    margin = _Z * float(np.std(drawn, ddof=1))
    return SetScore(value, value - margin, value + margin, len(outputs), len(names))


def frechet_distance(first: Features, second: Features) -> float:
    """Fréchet distance between the normal distributions fitted to two sets ``(n, D)`` and ``(m, D)``.

    ``|mean1 - mean2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``. The trace of the root is the sum of singular values of the
    product of the centred sets' triangular factors, which is exact with fewer clips than dimensions as well.

    Raises:
        NotApplicable: a set has fewer than 2 clips.
    """
    if min(len(first), len(second)) < 2:
        raise NotApplicable(
            "a Fréchet distance needs at least 2 videos on either side", ErrorKind.NOT_APPLICABLE, "videos"
        )
    apart = first.mean(axis=0) - second.mean(axis=0)
    spread = [(part - part.mean(axis=0)) / np.sqrt(len(part) - 1) for part in (first, second)]
    factors: list[Any] = [np.linalg.qr(part, mode="r") for part in spread]
    shared = np.linalg.svd(factors[0] @ factors[1].T, full_matrices=False, compute_uv=False).sum()
    distance = apart @ apart + np.square(spread[0]).sum() + np.square(spread[1]).sum() - 2 * shared
    return max(0.0, float(distance))
