"""Parity vectors: the selection in tests/data, and the full set beside the checkout where it exists."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
VECTORS = {
    "selected": ROOT / "tests/data/parity/vap",
    "all": ROOT.parent / "shared/data/parity/vap",
}
FIXTURES = {
    "cogvideox_case": "cogvideox/*",
    "wan_case": "wan/*",
    "cogvideox_pipeline_case": "cogvideox_pipeline/cases/*",
    "wan_pipeline_case": "wan_pipeline/cases/*",
    "rope_folder": "rope",
}


class Case:
    """A folder with ``case.json`` and tensors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec: dict[str, Any] = json.loads((folder / "case.json").read_text())
        self.inputs = load_file(folder / "inputs.safetensors")
        self.outputs = load_file(folder / "outputs.safetensors")

    def rotary(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inputs[f"{name}.cos"], self.inputs[f"{name}.sin"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture in set(FIXTURES) & set(metafunc.fixturenames):
        found = [
            pytest.param(folder, id=f"{name}-{folder.name}")
            for name, root in VECTORS.items()
            for folder in sorted(root.glob(FIXTURES[fixture]))
        ]
        metafunc.parametrize(fixture, found, indirect=fixture != "rope_folder")


@pytest.fixture(autouse=True, scope="session")
def _two_threads() -> None:
    torch.set_num_threads(2)


def _case(request: pytest.FixtureRequest) -> Case:
    if request.param.name == "ablation_single_branch":
        pytest.skip("a plain CogVideoX model with its own forward, not one of this package")
    return Case(request.param)


for _name in FIXTURES:
    if _name != "rope_folder":
        globals()[_name] = pytest.fixture(_case, name=_name)


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The selected vectors."""
    return VECTORS["selected"]


@pytest.fixture(scope="session")
def pipelines() -> Callable[[Path], Any]:
    """Load a pipeline folder in float32, once."""
    from vapbench.models import load_pipeline

    loaded: dict[Path, Any] = {}

    def load(folder: Path) -> Any:
        if folder not in loaded:
            loaded[folder] = load_pipeline(folder, torch.float32)
            loaded[folder].set_progress_bar_config(disable=True)
        return loaded[folder]

    return load


@pytest.fixture(scope="session")
def cogvideox(pipelines: Callable[[Path], Any], vectors: Path) -> Any:
    return pipelines(vectors / "cogvideox_pipeline/pipeline")


@pytest.fixture(scope="session")
def wan(pipelines: Callable[[Path], Any], vectors: Path) -> Any:
    return pipelines(vectors / "wan_pipeline/pipeline")
