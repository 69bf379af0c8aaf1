"""What ``table`` and ``report`` let an author say of a table: options, and the file that holds them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vapbench.cli import options as opt
from vapbench.cli.help import LAYOUT
from vapbench.errors import ErrorKind, UsageError

if TYPE_CHECKING:
    from vapbench.report.tables.layout import Layout
    from vapbench.results.run import RunFolder


@dataclass(frozen=True)
class TableLayout:
    """Which table, of which columns and rows."""

    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="table.yaml",
            help="File with any of these options; vapbench table --help shows one.",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None
    task: opt.OnlyTask = None
    suite: opt.OnlySuite = None
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="Column, repeatable, in this order: a metric's name, with :key=value where columns differ in "
            "parameters. +METRIC adds one to the usual columns.",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="RUN=TEXT",
            help='What a row is called, repeatable: --label vap="VAP (ours)".',
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group",
            metavar="TITLE=RUN,RUN",
            help="Rows under a title, repeatable.",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="METRIC",
            help="Rows by this column, or as given. [default: as named, else by the first column]",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None
    by_category: Annotated[
        bool,
        typer.Option("--by-category", help="A column per category, and one of all cases.", rich_help_panel=LAYOUT),
    ] = False
    decimals: Annotated[
        int | None,
        typer.Option(
            "--decimals",
            min=0,
            max=6,
            help="Of every column. [default: each metric's own]",
            show_default=False,
            rich_help_panel=LAYOUT,
        ),
    ] = None
    caption: Annotated[
        str | None,
        typer.Option("--caption", help="Title of the table.", show_default=False, rich_help_panel=LAYOUT),
    ] = None

    def read(self, **more: Any) -> Layout:
        """The file's layout with these options, and ``more`` fields of it; None leaves a field as it is.

        Raises:
            UsageError: a label or group is not of its form.
            DataError: the file is none, or a field has a value that it cannot have.
        """
        from vapbench.report.tables.layout import read_layout

        groups = [{"title": title, "rows": rows.split(",")} for title, rows in _pairs("--group", self.group)]
        return read_layout(
            self.config,
            **{"task": self.task, "suite": self.suite, "columns": self.metric or None, "sort": self.sort},
            **{"labels": dict(_pairs("--label", self.label)) or None, "groups": groups or None},
            **{"by_category": self.by_category or None, "decimals": self.decimals, "caption": self.caption},
            **more,
        )


def runs_of(layout: Layout, results: Path | None) -> list[RunFolder]:
    """The runs a layout names, or all there are; none is enough where it asks for published rows."""
    return runs_named(layout.runs, results, layout.suite, or_none=layout.published)


def runs_named(
    runs: Sequence[str] | None, results: Path | None, suite: str | None, or_none: bool = False
) -> list[RunFolder]:
    """The runs a user names, or all there are.

    Raises:
        UsageError: there are none, and that is not enough.
    """
    from vapbench.report.naming import run_folders, where

    folders = run_folders(runs, results, suite)
    if folders or or_none:
        return folders
    of_suite = f" of suite {suite}" if suite else ""
    raise UsageError(
        f"No runs in {where(results)}{of_suite}; make one: vapbench run --help", ErrorKind.MISSING, "results"
    )


def _pairs(option: str, texts: list[str] | None) -> list[tuple[str, str]]:
    found = []
    for text in texts or ():
        # A run may be called vap:reference=shuffled, so the last equals sign parts a label; the first, a group.
        name, sign, value = text.rpartition("=") if option == "--label" else text.partition("=")
        if not (sign and name and value):
            raise UsageError(
                f"{option} {text!r} is not of the form {option} NAME=VALUE.",
                ErrorKind.INVALID,
                option.removeprefix("--"),
            )
        found.append((name, value))
    return found
