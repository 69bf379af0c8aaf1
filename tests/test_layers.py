"""The map's promise: imports flow downwards, and what must stay light stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vapbench"

# From the top of the map to its foundation; a room imports itself and what stands below it.
ROOMS = [
    "cli",
    "checks",
    "training",
    "study",
    "leaderboard",
    "report",
    "judging",
    "workflow",
    "costs",
    "estimate",
    "set_scores",
    "set_results",
    "execution",
    "ray_executor",
    "ray_workers",
    "merge",
    "status",
    "runner",
    "scorer",
    "isolated",
    "attempt",
    "pending",
    "plan",
    "ray_pool",
    "shards",
    "executors",
    "metrics",
    "methods",
    "models",
    "suites",
    "stats",
    "store",
    "rows",
    "shapes",
    "lock",
    "journal",
    "provenance",
    "cases",
    "weights",
    "downloads",
    "control",
    "video",
    "streams",
    "images",
    "clip",
    "containers",
    "limits",
    "registry",
    "resources",
    "parsing",
    "files",
    "errors",
]


def test_the_page_of_the_map_has_every_room_once() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)(?:/|\.py)`", " ".join(cells))) == sorted(ROOMS)


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "vapbench":
                names = [f"vapbench.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("vapbench.")}
    return rooms & set(ROOMS)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_flow_downwards(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    assert room in ROOMS, f"{room} has no place on the map"
    above = ROOMS[: ROOMS.index(room)]
    assert not imported_rooms(path) & set(above)


@pytest.mark.parametrize(
    "path", sorted((PACKAGE.parent / "baselines").rglob("*.py")), ids=lambda path: path.parent.name
)
def test_baselines_use_only_the_public_api(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert not node.module.startswith("vapbench."), f"{path} reaches into {node.module}"


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
        "[entry.cls for entry in methods()]\ncolumns([entry.name for entry in REGISTRY])\n"
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
