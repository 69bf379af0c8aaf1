"""One smoke training, shared by the tests that look at its results."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mini_recipe import train_mini


@pytest.fixture(autouse=True, scope="session")
def _two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of every stage, a few steps each."""
    output = tmp_path_factory.mktemp("mini")
    train_mini(output, smoke=True, quiet=True)
    return output
