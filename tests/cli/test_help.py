"""Help that can be read and copied, at the width of a terminal."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import vapbench
from vapbench.cli import app
from vapbench.cli.help import FirstScreen


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_examples_stand_on_lines_of_their_own(path: tuple[str, ...]) -> None:
    text = inspect.getdoc(COMMANDS[path].callback) or ""
    examples = [line for line in text.splitlines() if re.match(r"(vapbench [a-z]|accelerate |    --)", line)]
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80"}, terminal_width=80).output
    for line in examples:
        assert f"  {line}" in shown.splitlines(), "mark the paragraph of examples with a line \\b"
    assert max(map(len, shown.splitlines())) <= 80
    # More than one on a line cannot be copied.
    assert not [line for line in shown.splitlines() if line.count("vapbench ") > 1 and line.strip() in examples]


def test_examples_are_commands_with_options_that_exist() -> None:
    for path, command in COMMANDS.items():
        text = re.sub(r" \\\n +", " ", inspect.getdoc(command.callback) or "")
        for example in re.findall(r"^vapbench (.*)$", text, re.MULTILINE):
            words = tuple(word for word in example.split("#")[0].split())
            named = next(words[:n] for n in (3, 2, 1) if words[:n] in COMMANDS)
            taken = COMMANDS[named].params
            known = {option for each in taken for option in (*each.opts, *each.secondary_opts)}
            unknown = [word for word in words if word.startswith("-") and word.split("=")[0] not in known]
            assert not unknown, f"the help of {' '.join(path)} shows {example}"


def test_the_first_screen_says_of_every_command_what_its_own_help_says() -> None:
    shown = CliRunner().invoke(app, [], env={"COLUMNS": "80"}, terminal_width=80).output
    for path, command in COMMANDS.items():
        if len(path) == 1:
            summary = (command.help or inspect.getdoc(command.callback) or "").split("\n\n")[0]
            assert re.search(rf"^  {path[0]} +{re.escape(summary)}$", shown, re.MULTILINE), path
    assert set(FirstScreen.entries) == {path[0] for path in COMMANDS}


@pytest.mark.parametrize("command", ["run", "generate", "score"])
def test_many_options_stand_under_headings(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"}, terminal_width=80).output
    headings = re.findall(r"^([A-Z][\w ]+):$", shown, re.MULTILINE)
    wanted = ["What", "A folder of videos", "Where", "Devices", "Failures", "Output"]
    assert [heading for heading in headings if heading != "Arguments"] == [
        heading for heading in wanted if heading != "A folder of videos" or command == "score"
    ]


def test_help_imports_no_command_and_a_command_imports_no_other() -> None:
    code = "import sys\nfrom typer.testing import CliRunner\nfrom vapbench.cli import app\nimport vapbench.cli.help\n"
    code += "assert CliRunner().invoke(app, sys.argv[1:]).exit_code == 0\n"
    code += "print(' '.join(sorted(name for name in sys.modules if name.startswith('vapbench.cli.'))))"
    loaded = {
        arguments: subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        ).stdout.split()
        for arguments in (("--help",), ("list", "--help"))
    }
    assert loaded["--help",] == ["vapbench.cli.help"]
    assert loaded["list", "--help"] == ["vapbench.cli.help", "vapbench.cli.list", "vapbench.cli.options"]


def test_the_version_is_told() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"vapbench {vapbench.__version__}\n")


@pytest.mark.parametrize("command", ["report", "table"])
def test_what_shapes_a_table_stands_under_a_heading_of_its_own(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"}, terminal_width=80).output
    assert "--label" in shown.split("\nThe table:\n")[1].split("\nOutput:\n")[0]
