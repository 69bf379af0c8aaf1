"""What a stage of training is told: how long, how fast, on which device."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Plan:
    """How a model is optimised."""

    steps: int
    batch: int
    learning_rate: float
    warmup: int = 50
    """Steps over which the rate rises from zero."""
    cooldown: float = 0.5
    """Last share of the steps, over which the rate falls to zero along a half cosine."""
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.995
    """Decay of the moving average of the weights, which is what is kept; it averages less at the beginning."""
    matrix_learning_rate: float | None = None
    """Rate of Muon for the hidden matrices; None leaves everything to AdamW."""
    precision: str = "bfloat16"
    """Type of autocast: ``bfloat16``, where the device is known to have it, or ``float32`` (none)."""
    seed: int = 0

    def rate(self, step: int) -> float:
        """Multiplier of the learning rate at a step, 0..1."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        cooling = max(1.0, self.steps * self.cooldown)
        left = min(1.0, (self.steps - step) / cooling)
        return rise * (0.5 - 0.5 * math.cos(math.pi * left))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, as the card records them."""
        return asdict(self)
