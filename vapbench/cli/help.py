"""Commands whose modules are imported only when they are asked for, and whose help stands under headings.

Help is plain text: rich's own panels would cost more to import than the rest of the help takes.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from vapbench.errors import ErrorKind, UsageError

WHAT, FOLDER, WHERE = "What", "A folder of videos", "Where"
DEVICES, FAILURES, OUTPUT = "Devices", "Failures", "Output"
LAYOUT = "The table"
"""Headings of options."""
_ORDER = ("Arguments", WHAT, FOLDER, WHERE, LAYOUT, DEVICES, FAILURES, OUTPUT)


@dataclass(frozen=True)
class HelpEntry:
    """A command of the first screen."""

    module: str
    """Module of :mod:`vapbench.cli` that registers it."""
    heading: str
    summary: str
    """The first sentence of its help."""


class OneTask(TyperCommand):
    """A command that refuses a second ``--task``; the parser by itself would keep the last and drop the others."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as every command does.

        Raises:
            UsageError: ``--task`` is there twice.
        """
        if not ctx.resilient_parsing:
            given, _, order = self.make_parser(ctx).parse_args(list(args))
            if [parameter.name for parameter in order].count("task") > 1:
                raise UsageError(
                    f"One task a command; run it again with --task {given['task']}.", ErrorKind.CONFLICT, "task"
                )
        return super().parse_args(ctx, args)


class Command(OneTask):
    """A command whose options stand under the headings that they name (``rich_help_panel``)."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section per heading; what names none, such as ``--help``, is about the output."""
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in _ORDER}
        for parameter in self.get_params(ctx):
            usual = "Arguments" if parameter.param_type_name == "argument" else OUTPUT
            if record := parameter.get_help_record(ctx):
                sections[getattr(parameter, "rich_help_panel", None) or usual].append(record)
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


class FirstScreen(TyperGroup):
    """The commands by what people do with them; each is imported when it is looked up, not when it is listed."""

    entries: ClassVar[dict[str, HelpEntry]] = {}

    def __init__(self, **attributes: Any) -> None:
        """Take Typer's attributes; the commands come from :attr:`entries`."""
        super().__init__(**attributes)
        self.commands = _Imported(self.entries)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands before the few options."""
        self.format_commands(ctx, formatter)
        with formatter.section("Options"):
            formatter.write_dl([record for each in self.get_params(ctx) if (record := each.get_help_record(ctx))])

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section per heading, without importing a command."""
        width = max(map(len, self.entries))
        for heading in dict.fromkeys(entry.heading for entry in self.entries.values()):
            rows = [(f"{name:{width}}", e.summary) for name, e in self.entries.items() if e.heading == heading]
            with formatter.section(heading):
                formatter.write_dl(rows)


class _Imported(MutableMapping[str, Any]):
    """Name -> command, imported on first use."""

    def __init__(self, entries: dict[str, HelpEntry]) -> None:
        self._entries = entries
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made.update(_commands_of(self._entries[name].module))
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]


def _commands_of(module: str) -> dict[str, Any]:
    """What a module of :mod:`vapbench.cli` registers."""
    part = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
    # A callback keeps one command from standing for the whole group.
    part.callback()(lambda: None)
    importlib.import_module(f"vapbench.cli.{module}").register(part)
    return dict(typer.main.get_command(part).commands)  # type: ignore[attr-defined]
