"""What ``pip install vapbench`` gives works without a clone."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = [sys.executable, "-m", "uv"]
NO_ANSWER = ("error sending request", "Failed to fetch", "dns error", "Could not connect", "timed out")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def ran(command: Sequence[str | Path], folder: Path) -> str:
    """What a command prints that knows nothing of the clone."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and "VAPBENCH" not in name}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(folder)]
    ran([sys.executable, "-m", "pip", "wheel", ROOT, *options], folder)
    (path,) = folder.glob("*.whl")
    return path


def first_command(program: Path) -> list[str | Path]:
    """The first command that the README gives, as a user of the wheel types it."""
    found = re.search(r"`(vapbench run [^`]+)`", README)
    assert found
    return [program, *shlex.split(found[1])[1:]]


def test_the_wheel_holds_every_file_that_the_package_reads(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("vapbench", "baselines", "tasks", "results/published"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.name != ".DS_Store":
                name = path.relative_to(ROOT).as_posix()
                assert (name if folder == "vapbench" else f"vapbench/{name}") in inside, f"{name} is not in the wheel"
    outside = {name for name in inside if not name.startswith(("vapbench/", "vapbench-"))}
    assert not outside, "a wheel installs nothing beside its package"


@pytest.mark.slow
def test_the_wheel_lists_and_runs_everything(wheel: Path, tmp_path: Path) -> None:
    # An environment of its own, which borrows what vapbench depends on from this one.
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    site = Path(ran([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], tmp_path).strip())
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    ran([sys.executable, "-m", "pip", "--python", python, *install], tmp_path)

    def vapbench(*arguments: str) -> str:
        return ran([python.with_name("vapbench"), *arguments], tmp_path)

    where = ran([python, "-c", "import vapbench; print(vapbench.__file__)"], tmp_path)
    assert where.startswith(str(site)), "the package under test is the installed one"
    assert "ground-truth" in vapbench("list", "methods")
    assert "zero-shot" in vapbench("list", "tasks")
    vapbench("check")
    assert ran([*first_command(python.with_name("vapbench")), "--limit", "1", "-q"], tmp_path).count("vap ")
    vapbench("show", "vap")
    assert "--smoke" in vapbench("train", "mini", "--help")
    recipe = "import sys; from vapbench.files.resources import resource; sys.path.insert(0, str(resource('baselines') /"
    ran([python, "-c", f"{recipe} 'mini')); import mini_recipe.parallel, mini_recipe.train"], tmp_path)


@pytest.mark.slow
@pytest.mark.installs
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_readmes_first_command_works_in_a_fresh_environment(wheel: Path, tmp_path: Path, version: str) -> None:
    finding = [*UV, "python", "find", "--no-python-downloads", "--no-project", version]
    found = subprocess.run(finding, cwd=tmp_path, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"there is no Python {version} here")
    python = tmp_path / "venv" / "bin" / "python"
    ran([*UV, "venv", "--quiet", "--python", found.stdout.strip(), python.parents[1]], tmp_path)
    install = [*UV, "pip", "install", "--quiet", "--no-build", "--python", str(python), str(wheel)]
    done = subprocess.run(install, cwd=tmp_path, capture_output=True, text=True, check=False)
    if any(word in done.stderr for word in NO_ANSWER):
        pytest.skip(f"the package index did not answer: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    assert "14/14" in ran(first_command(python.with_name("vapbench")), tmp_path)
