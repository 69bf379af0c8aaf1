"""What versions we promise: bounds, their table, and the interpreters of the public workflow."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SHORT = ROOT / ".ci" / "short_form.py"
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def bounds() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    found = {}
    for requirement in [*project["dependencies"], *extras["official"], *extras["study"], *extras["ray"]]:
        parts = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement)
        assert parts, f"{requirement} is more than a lower bound"
        found[parts[1]] = parts[2]
    return found


def test_the_table_of_bounds_is_that_of_the_package() -> None:
    rows = re.findall(
        r"^\| ([\w-]+) \| ([\d.]+) \| ", (ROOT / "docs" / "design" / "versions.md").read_text("utf-8"), re.MULTILINE
    )
    assert dict(rows) == bounds()


def test_the_workflow_runs_every_python_with_newest_and_lowest() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert set(workflow["jobs"]) == {"newest", "lowest"}
    for job in workflow["jobs"].values():
        assert job["strategy"]["matrix"]["python"] == PYTHONS
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert "make run" in commands
        assert {"make test", "make tests"} & set(commands)


def test_the_short_form_names_tests_that_exist() -> None:
    named = re.findall(r'"(tests/[\w/.]+)"', SHORT.read_text("utf-8"))
    assert named
    assert all((ROOT / name).exists() for name in named)


def test_an_interpreter_that_is_not_here_is_said() -> None:
    done = subprocess.run([sys.executable, str(SHORT), "3.99"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Python 3.99, newest dependencies: NOT RUN: there is no such interpreter here." in done.stdout


@pytest.mark.slow
@pytest.mark.installs
def test_the_short_form_passes_at_the_lowest_bounds() -> None:
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, str(SHORT), running, "--lowest", "--minutes", "15"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if "NOT RUN" in done.stdout:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert "tests passed" in done.stdout
