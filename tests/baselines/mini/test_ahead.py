"""Batches that other processes draw ahead."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from mini_recipe.ahead import Ahead

from vapbench.training.loop import step_generator


def test_batches_drawn_ahead_are_those_a_step_would_draw() -> None:
    with ThreadPoolExecutor(2) as executor:
        ahead, here = (Ahead(_draw, 0, 12, where) for where in (executor, None))
        for step in (0, 1, 2, 11):
            first, second = step_generator(0, step), step_generator(0, step)
            assert np.array_equal(ahead(step, first), here(step, second))
            assert torch.equal(torch.randn(3, generator=first), torch.randn(3, generator=second))
        assert max(ahead._drawn, default=0) < 12


def _draw(step: int, generator: torch.Generator) -> npt.NDArray[np.uint8]:
    return torch.randint(0, 255, (4,), dtype=torch.uint8, generator=generator).numpy()
