"""The training loop of every stage: seeded, resumable, averaged.

All randomness of a step comes from the seed and the step's number, so a resumed run draws what an
uninterrupted one would have drawn, and ends with the same weights. Nothing waits for the device in a step: losses
stay there, and are fetched many at a time.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import nn

from vapbench.errors import ErrorKind, IdentityError
from vapbench.files.atomic import atomic_path, digest
from vapbench.models.arithmetic import has_bfloat16
from vapbench.running.context import Progress
from vapbench.training.curves import draw_curve
from vapbench.training.optimiser import Optimiser
from vapbench.training.plan import Plan

STATE = "state.pt"
HISTORY = "loss.jsonl"
CURVE = "loss.png"
_SMOOTHING = 0.98  # of the loss that is shown while training
_FETCHED = 25  # steps whose losses are fetched from the device at once

Losses = dict[str, torch.Tensor]
"""Named scalars; ``loss`` is the one that is minimised."""
Objective = Callable[[int, torch.Generator], Losses]
"""The losses of a step: its number, and a generator on the CPU seeded for it."""


class Run(NamedTuple):
    """Where a stage runs, and who watches."""

    folder: Path
    """Working folder: state, history and curve."""
    device: torch.device
    watcher: Progress
    save_every: float = 60.0
    """Seconds between saved states."""
    built_on: Mapping[str, str] = MappingProxyType({})
    """Identities of the trained parts that this stage builds on, by name; others make another result."""
    stopping: Callable[[], bool] = lambda: False
    """Asked after every step whether to leave with the state saved, to go on another time."""
    accelerator: Any = None
    """accelerate's ``Accelerator``, where it rules mixed precision and the backward pass; None for torch's own."""


class Averaged:
    """An exponential moving average of trained parameters."""

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.values = [parameter.detach().clone().float() for parameter in parameters]

    @torch.no_grad()
    def update(self, parameters: Sequence[nn.Parameter], step: int) -> None:
        """Move towards the parameters; early steps move more, so that the start is forgotten."""
        share = 1 - min(self.decay, (step + 1) / (step + 10))
        torch._foreach_lerp_(self.values, [parameter.detach().float() for parameter in parameters], share)

    @torch.no_grad()
    def swap(self, parameters: Sequence[nn.Parameter]) -> None:
        """Exchange the average and the parameters' own values."""
        for parameter, value in zip(parameters, self.values, strict=True):
            own = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(own)


def fit(
    model: nn.Module,
    objective: Objective,
    plan: Plan,
    run: Run,
    *,
    stop_after: int | None = None,
    inspect: Callable[[int], None] | None = None,
    inspect_every: int = 0,
) -> bool:
    """Train the parameters of ``model`` that require gradients, from the last saved state on.

    Args:
        model: on ``run.device``; on return it holds the averaged weights.
        objective: the losses of a step.
        plan: how.
        run: where.
        stop_after: leave after this step with the state saved, as an interruption would.
        inspect: called with the averaged weights in place, e.g. to draw samples.
        inspect_every: steps between two such calls; 0 is never.

    Returns:
        Whether training is complete.

    Raises:
        IdentityError: the folder holds the state of another plan or model.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    parameters = [parameter for _, parameter in named]
    optimiser, averaged = Optimiser(named, plan), Averaged(parameters, plan.ema)
    shapes = {name: list(parameter.shape) for name, parameter in named}
    identity = digest({"plan": plan.as_dict(), "shapes": shapes, "built_on": dict(run.built_on)})
    step = _resume(run, identity, parameters, optimiser, averaged)
    history, saved = _History(run.folder / HISTORY, step), time.monotonic()
    last = plan.steps if stop_after is None else min(plan.steps, stop_after)
    run.watcher.begin(run.folder.name, plan.steps, step)
    model.train()
    while step < last:
        generator = step_generator(plan.seed, step)
        with _autocast(run, plan):
            losses = objective(step, generator)
        _backward(run, losses["loss"])
        norm = nn.utils.clip_grad_norm_(parameters, plan.clip)
        optimiser.step(plan.rate(step), usable=torch.isfinite(norm))
        averaged.update(parameters, step)
        step += 1
        history.add(step, losses | {"gradient": norm})
        run.watcher.step(run.folder.name, note="" if history.smooth is None else f"loss {history.smooth:.4f}")
        if run.stopping():
            break
        if time.monotonic() - saved > run.save_every:
            history.fetch()
            _save(run, identity, step, parameters, optimiser, averaged)
            saved = time.monotonic()
        if inspect is not None and inspect_every and step % inspect_every == 0 and step < plan.steps:
            _inspect(model, parameters, averaged, inspect, step)
    history.close()
    run.watcher.end()
    _save(run, identity, step, parameters, optimiser, averaged)
    draw_curve(run.folder / HISTORY, run.folder / CURVE)
    averaged.swap(parameters)
    model.eval()
    return step >= plan.steps


def _autocast(run: Run, plan: Plan) -> AbstractContextManager[Any]:
    if run.accelerator is None:
        return torch.autocast(
            run.device.type, torch.bfloat16, enabled=plan.precision == "bfloat16" and has_bfloat16(run.device)
        )
    accelerated: AbstractContextManager[Any] = run.accelerator.autocast()
    return accelerated


def _backward(run: Run, loss: torch.Tensor) -> None:
    if run.accelerator is None:
        loss.backward()
    else:
        run.accelerator.backward(loss)


def _inspect(
    model: nn.Module,
    parameters: Sequence[nn.Parameter],
    averaged: Averaged,
    inspect: Callable[[int], None],
    step: int,
) -> None:
    averaged.swap(parameters)
    model.eval()
    try:
        with torch.no_grad():
            inspect(step)
    finally:
        averaged.swap(parameters)
        model.train()


def step_generator(seed: int, step: int) -> torch.Generator:
    """The generator, on the CPU, from which a step draws everything that is random in it."""
    return torch.Generator().manual_seed(int(digest([seed, step])[:15], 16))


def _save(
    run: Run,
    identity: str,
    step: int,
    parameters: Sequence[nn.Parameter],
    optimiser: Optimiser,
    averaged: Averaged,
) -> None:
    state = {
        "identity": identity,
        "step": step,
        "parameters": [parameter.detach() for parameter in parameters],
        "averaged": averaged.values,
        "optimiser": optimiser.state_dict(),
    }
    with atomic_path(run.folder / STATE) as temporary:
        torch.save(state, temporary)


def _resume(
    run: Run,
    identity: str,
    parameters: Sequence[nn.Parameter],
    optimiser: Optimiser,
    averaged: Averaged,
) -> int:
    path = run.folder / STATE
    if not path.is_file():
        return 0
    state = torch.load(path, map_location=run.device, weights_only=True)
    if state["identity"] != identity:
        raise IdentityError(
            f"{path} was saved by another plan or model; delete {run.folder} to begin anew, or choose another output.",
            ErrorKind.CONFLICT,
            "out",
        )
    with torch.no_grad():
        for parameter, value in zip(parameters, state["parameters"], strict=True):
            parameter.copy_(value)
        for own, value in zip(averaged.values, state["averaged"], strict=True):
            own.copy_(value)
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


class _History:
    """Losses as JSON lines; what an interrupted run wrote after its last state is dropped."""

    def __init__(self, path: Path, step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_lines(path) if line["step"] <= step]
        with atomic_path(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        self._waiting: list[tuple[int, Losses]] = []
        self.smooth: float | None = None

    def add(self, step: int, losses: Losses) -> None:
        self._waiting.append((step, {name: value.detach() for name, value in losses.items()}))
        if len(self._waiting) >= _FETCHED:
            self.fetch()

    def fetch(self) -> None:
        """Fetch what is still on the device, in one go, and write it."""
        if not self._waiting:
            return
        values = torch.stack([value.float() for _, losses in self._waiting for value in losses.values()]).tolist()
        fetched = iter(values)
        for step, losses in self._waiting:
            self._write(step, {name: next(fetched) for name in losses})
        self._waiting.clear()
        self._file.flush()

    def close(self) -> None:
        self.fetch()
        self._file.close()

    def _write(self, step: int, values: dict[str, float]) -> None:
        loss = values["loss"]
        self.smooth = loss if self.smooth is None else _SMOOTHING * self.smooth + (1 - _SMOOTHING) * loss
        rounded = {name: float(f"{value:.5g}") if math.isfinite(value) else None for name, value in values.items()}
        self._file.write(json.dumps({"step": step, **rounded}) + "\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of a history; a torn last line is left out."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return
