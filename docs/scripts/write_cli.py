"""Write docs/reference/cli.md: every command, from the Typer app itself.

    python docs/scripts/write_cli.py [FILE]

The page is no part of the repository: `make docs` writes it.
"""

from __future__ import annotations

import html
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from vapbench.cli import app

PAGE = Path(__file__).resolve().parents[1] / "reference" / "cli.md"
HEAD = """# Commands

Every command and option, as `vapbench COMMAND --help` prints them. Written by `docs/scripts/write_cli.py`.
"""


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command below a group, with its full name, in the order of the help."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for key, item in inner.items():
        yield from commands(item, f"{name} {key}")


def section(name: str, command: Any) -> str:
    """A command's part of the page."""
    context = typer.Context(command, info_name=name)
    text = inspect.cleandoc(command.help or "")
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [row for item in command.get_params(context) if (row := item.get_help_record(context))]
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    lines = [f"## {name}", "", *paragraphs(text), f"```\n{name} {usage}\n```"]
    lines += [f"* `{item.name.upper()}`: {item.help or ''}" for item in arguments]
    if rows:
        lines += ["", "| option | meaning |", "|---|---|"]
        lines += [f"| {code(option)} | {cell(meaning)} |" for option, meaning in rows if option.startswith("-")]
    return "\n".join(lines) + "\n"


def paragraphs(text: str) -> Iterator[str]:
    """The help's paragraphs; those that are commands, as code."""
    for part in text.replace("\b\n", "").split("\n\n"):
        if part.lstrip().startswith("vapbench "):
            yield f"```\n{part.strip()}\n```\n"
        else:
            yield f"{' '.join(part.split())}\n"


def code(text: str) -> str:
    """An option, as code in a table."""
    return f"<code>{html.escape(' '.join(text.split()), quote=False).replace('|', '&#124;')}</code>"


def cell(text: str) -> str:
    """A help text in a table."""
    text = " ".join(text.split()).replace("<", "&lt;")
    # A bracket would begin a link: "[default: mini]" names no page.
    return re.sub(r"([|\[\]*_])", r"\\\1", text)


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(name, command) for name, command in commands(get_command(app), "vapbench"))])


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else PAGE).write_text(page(), encoding="utf-8")
