"""``list`` and ``describe``: what there is, and all there is to say of it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vapbench.cli import app
from vapbench.errors import UsageError
from vapbench.methods import methods
from vapbench.metrics import REGISTRY
from vapbench.metrics.sets import REGISTRY as SETS
from vapbench.suites import load_suites
from vapbench.suites.tasks import load_tasks


def shown(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def described(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(shown("describe", name, "--json"))
    return found


@pytest.mark.parametrize("what", ["methods", "metrics", "tasks", "suites"])
def test_a_list_has_a_line_for_each(what: str) -> None:
    rows = json.loads(shown("list", what, "--json"))
    lines = shown("list", what).splitlines()
    headings = {row["group"] for row in rows if "group" in row}
    assert len(lines) == len(rows) + len(headings)
    for row in rows:
        (line,) = [line for line in lines if line.split("  ")[0] == row["name"]]
        # A program that reads the list gets whole lines.
        assert " ".join((row["summary"] or row["title"]).split()) in line


@pytest.mark.parametrize("name", [entry.name for entry in methods()])
def test_every_parameter_of_a_method_has_a_type_and_a_meaning(name: str) -> None:
    (found,) = described(name)
    entry = next(entry for entry in methods() if entry.name == name)
    assert [each["name"] for each in found["parameters"]] == list(inspect.signature(entry.load()).parameters)
    assert all(each["type"] and each["meaning"] for each in found["parameters"]), found["parameters"]
    assert found["example"].startswith(f"vapbench run --method {name}")
    assert bool(found["protocol"]) == bool(entry.card and entry.card.protocol)


@pytest.mark.parametrize("name", [entry.name for entry in (*REGISTRY, *SETS)])
def test_every_parameter_of_a_metric_has_a_type_and_a_meaning(name: str) -> None:
    (found,) = described(name)
    assert all(each["type"] and each["meaning"] for each in found["parameters"]), found["parameters"]
    assert found["facts"]["better"] in ("higher", "lower")
    assert "Range: " in found["text"]
    assert shown("describe", name).startswith(f"{name}  ")


@pytest.mark.parametrize("name", [*load_tasks(), *load_suites()])
def test_tasks_and_suites_are_described(name: str) -> None:
    assert [found["name"] for found in described(name)] == [name]
    assert name in shown("describe", name)


def test_the_example_has_what_a_method_requires() -> None:
    (folder,) = described("folder")
    assert folder["example"] == "vapbench run --method folder:path=… --task camera"


def test_what_a_card_says_is_there() -> None:
    (vap,) = described("vap")
    parameters = {each["name"]: each for each in vap["parameters"]}
    assert (parameters["steps"]["type"], parameters["steps"]["default"]) == ("int, 1 or more, at most 1000", "50")
    assert parameters["reference"]["type"] == "own or shuffled"
    assert ["steps", "50"] in [row[:2] for row in vap["protocol"]]
    assert "steps=20" in vap["facts"]["on mini"]
    text = shown("describe", "vap")
    assert "Protocol at full size" in text and text.splitlines()[-1] == "vapbench run --method vap --task camera"


def test_a_metric_of_ones_own_is_described(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        '"""A metric."""\nimport vapbench as vb\n\n\nclass Mine(vb.Metric):\n    """How much it is mine.\n\n'
        '    Range: 0 or more.\n    """\n\n    def __init__(self, share: float = 0.5) -> None:\n        """Make it.\n\n'
        '        Args:\n            share: how much of it.\n        """\n        self.share = share\n'
    )
    (found,) = described(f"{path}:Mine")
    assert found["parameters"] == [{"name": "share", "type": "float", "default": "0.5", "meaning": "how much of it."}]
    assert found["example"].endswith(f"--metric {path}:Mine")


def test_a_misspelled_name_gets_a_suggestion() -> None:
    done = CliRunner().invoke(app, ["describe", "dynamc_degree"])
    assert isinstance(done.exception, UsageError)
    assert "Did you mean dynamic_degree" in str(done.exception)
