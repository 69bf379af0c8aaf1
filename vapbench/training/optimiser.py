"""Optimisers: AdamW, with Muon for the hidden weights where a plan asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from vapbench.models.arithmetic import has_bfloat16
from vapbench.training.plan import Plan

_ITERATION = (3.4445, -4.7750, 2.0315)
"""Coefficients of Muon's quintic Newton-Schulz iteration."""
_MOMENTUM = 0.95
_OUTER = (
    *("embed", "time_embedding", "norm", "proj_out", "conv_in", "conv_out", "conv_y", "conv_b"),
    *("lora", "shared", "head", "prototypes", "scale_shift"),
)
"""Words in names of inputs, outputs, embeddings and modulations, which stay with AdamW."""


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised (Jordan et al. 2024), for matrices and for kernels, flattened to matrices.

    ``torch.optim.Muon`` takes matrices alone. Updates are scaled to the size of AdamW's (Liu et al. 2025,
    arXiv 2502.16982), so one learning rate serves shapes of all kinds.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; none where ``found_inf``, if it is set, is 1."""
        unusable = getattr(self, "found_inf", None)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                momentum = state.setdefault("momentum", torch.zeros_like(parameter))
                gradient = parameter.grad if unusable is None else torch.where(unusable > 0, momentum, parameter.grad)
                momentum.lerp_(gradient, 1 - _MOMENTUM)
                update = gradient.lerp(momentum, _MOMENTUM).flatten(1)  # Nesterov's
                size = 0.2 * max(update.shape) ** 0.5
                change = orthogonalise(update).reshape(parameter.shape)
                if unusable is not None:
                    change = change * (1 - unusable)
                parameter.add_(change, alpha=-group["lr"] * size)


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """Bring all singular values of a matrix near 1."""
    a, b, c = _ITERATION
    tall = matrix.shape[0] > matrix.shape[1]
    dtype = torch.bfloat16 if has_bfloat16(matrix.device) else torch.float32
    x = (matrix.T if tall else matrix).to(dtype)
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    flat: torch.Tensor = (x.T if tall else x).float()
    return flat


class Optimiser:
    """AdamW; with ``matrix_learning_rate`` Muon for the hidden weights, AdamW for the rest."""

    def __init__(self, named: Sequence[tuple[str, nn.Parameter]], plan: Plan) -> None:
        """Distribute the parameters; embeddings, inputs and outputs of the network stay with AdamW."""
        hidden = [p for name, p in named if plan.matrix_learning_rate and _is_hidden(name, p)]
        chosen = {id(parameter) for parameter in hidden}
        rest = [parameter for _, parameter in named if id(parameter) not in chosen]
        groups = [
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": plan.weight_decay},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.98), fused=True)
        ]
        if hidden:
            self.parts.append(Muon(hidden, plan.matrix_learning_rate or 0.0))
        self.rates = [[float(group["lr"]) for group in part.param_groups] for part in self.parts]

    def step(self, rate: float, usable: torch.Tensor) -> None:
        """Take one step at a share of the full learning rate, then clear the gradients.

        Args:
            rate: the share.
            usable: whether the gradients are; a step whose are not changes nothing. It stays on its device.
        """
        unusable = 1 - usable.float()
        for part, rates in zip(self.parts, self.rates, strict=True):
            for group, full in zip(part.param_groups, rates, strict=True):
                group["lr"] = full * rate
            part.found_inf = unusable  # type: ignore[attr-defined]  # Where fused AdamW looks, as gradient scalers do.
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the states of the parts."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Set the states of the parts."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def _is_hidden(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim >= 2 and not any(word in name for word in _OUTER)
