"""The map's promise: imports flow downwards, no two files import each other, and what must stay light stays light.

Rooms are read from the tree. An import counts wherever it stands: at the top, in a function, or for type checking.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "vapbench"

# From the top of the map to its foundation; rooms of one line do not form a circle.
FLOORS = [
    {"cli"},
    {"api", "leaderboard", "study", "validation"},
    {"running", "report", "training"},
    {"methods", "metrics"},
    {"models", "suites"},
    {"results", "checkpoints", "core"},
    {"files"},
    {"errors", "stats"},
]
MOST_ROOMS = 22
FACE = {"__init__", "__main__"}


def module_name(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__")


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py") if "baselines" not in path.parts}
ROOMS = {name.split("/")[0] for name in MODULES} - FACE


def module_of(dotted: str) -> str | None:
    """The module that a dotted name lies in: ``vapbench.core.clip.Clip`` in ``core/clip``."""
    parts = dotted.split(".")[1:]
    while parts and "/".join(parts) not in MODULES:
        parts.pop()
    return "/".join(parts) or None


def imports_of(name: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "vapbench":
            found |= {module_of(f"{node.module}.{alias.name}") for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {module_of(alias.name) for alias in node.names if alias.name.startswith("vapbench.")}
    return {module for module in found if module and module != name}


@cache
def imports() -> dict[str, set[str]]:
    """Module -> what it imports of the package. Not read while tests are collected, which every worker does."""
    return {name: imports_of(name) for name in MODULES if name not in FACE}


def circle_of(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_room_has_its_floor_and_they_are_few() -> None:
    assert ROOMS <= set.union(*FLOORS)
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    loose = {path.stem for path in PACKAGE.glob("*.py")}
    assert len(folders | loose) <= MOST_ROOMS


def test_the_page_of_the_map_has_every_room_once() -> None:
    page = (ROOT / "docs" / "design" / "architecture.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)(?:/|\.py)`", " ".join(cells))) == sorted(ROOMS)


def test_imports_flow_downwards() -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

    def floor_of(module: str) -> int:
        return floor[module.split("/")[0]]

    climbs = {
        name: up for name, others in imports().items() if (up := {o for o in others if floor_of(o) < floor_of(name)})
    }
    assert climbs == {}


def test_no_circle_of_files() -> None:
    assert not circle_of(imports())


def test_no_circle_of_rooms() -> None:
    rooms: dict[str, set[str]] = {room: set() for room in ROOMS}
    for name, others in imports().items():
        rooms[name.split("/")[0]] |= {other.split("/")[0] for other in others} - {name.split("/")[0]}
    assert not circle_of(rooms)


@pytest.mark.parametrize("path", sorted((ROOT / "baselines").glob("*/method.py")), ids=lambda path: path.parent.name)
def test_baselines_use_only_the_public_api(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert not node.module.startswith("vapbench."), f"{path} reaches into {node.module}"


def test_the_package_does_not_import_the_mini_recipe() -> None:
    recipe = re.compile(r"\bmini_recipe\b")
    assert [name for name, path in MODULES.items() if recipe.search(path.read_text(encoding="utf-8"))] == ["cli/train"]


def loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"torch", "diffusers", "transformers", "pandas", "scipy", "cv2", "open_clip", "torchmetrics"}


def test_help_imports_nothing_heavy() -> None:
    code = "from typer.testing import CliRunner\nfrom vapbench.cli import app\nCliRunner().invoke(app, ['--help'])"
    assert not loaded(code) & (HEAVY | {"pydantic", "numpy", "av"})


def test_planning_imports_no_torch() -> None:
    code = (
        "from vapbench.methods import methods, resolve\nfrom vapbench.running.plan import columns\n"
        "from vapbench.metrics import REGISTRY\n"
        "[entry.load() for entry in methods()]\ncolumns([entry.name for entry in REGISTRY])\n"
        "import vapbench.running.run"
    )
    assert not loaded(code) & {
        "torch",
        "diffusers",
        "transformers",
        "open_clip",
        "torchmetrics",
        "torchvision",
    }
