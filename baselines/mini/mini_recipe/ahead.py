"""Batches drawn ahead: other processes render what the next steps train on, while this one trains."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vapbench.training.loop import step_generator

Frames = npt.NDArray[np.uint8]
Draw = Callable[[int, torch.Generator], Frames]
"""What a step trains on, from its number and its generator, which it moves on; a function that can be pickled."""

_STEPS_AHEAD = 32


class Ahead:
    """Draws what ``draw`` draws, bit for bit, and leaves the step's generator where it would."""

    def __init__(self, draw: Draw, seed: int, steps: int, executor: Executor | None) -> None:
        """Begin with nothing drawn.

        Args:
            draw: what is drawn.
            seed: of the plan.
            steps: of the plan; nothing is drawn past them.
            executor: where to draw; None draws in the step itself.
        """
        self._draw, self._seed, self._steps, self._executor = draw, seed, steps, executor
        self._drawn: dict[int, Future[tuple[Frames, Any]]] = {}

    def __call__(self, step: int, generator: torch.Generator) -> Frames:
        """What ``step`` trains on; its generator goes on behind what was drawn."""
        if self._executor is None:
            return self._draw(step, generator)
        for later in range(step, min(step + _STEPS_AHEAD, self._steps)):
            if later not in self._drawn:
                self._drawn[later] = self._executor.submit(_draw_for, self._draw, self._seed, later)
        frames, state = self._drawn.pop(step).result()
        generator.set_state(torch.from_numpy(state))
        return frames


def _draw_for(draw: Draw, seed: int, step: int) -> tuple[Frames, Any]:
    generator = step_generator(seed, step)
    return draw(step, generator), generator.get_state().numpy()
