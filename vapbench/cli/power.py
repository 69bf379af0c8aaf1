"""``power``: what a task can tell apart, before anything is generated."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(power)


def power(
    suite: Annotated[str | None, typer.Option("--suite", "-s", help="Only this suite.", show_default=False)] = None,
    data: opt.Data = None,
    methods: Annotated[int, typer.Option(min=2, help="Methods that are ranked together.")] = 2,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each case.")] = 1,
    difference: Annotated[
        float | None,
        typer.Option(min=1e-9, help="Expected difference: say how many conditions find it.", show_default=False),
    ] = None,
    sd: Annotated[
        float, typer.Option(min=1e-9, help="SD of a difference over cases; differences are in its unit.")
    ] = 1.0,
    json: opt.Json = False,
) -> None:
    """Say what the smallest difference is that each task can show.

    With --difference also how many conditions that needs.

    \b
    vapbench power  # every suite's tasks, in SDs of a case's difference
    vapbench power --difference 0.5 --methods 7 --seeds 3
    vapbench power --suite vap-data --data DIR --sd 22

    80 % power, 5 % for all pairs of methods together. Assumed: 40 % of the variance of a difference is between
    conditions, 30 % is of the seed. docs/guides/power.md says where that comes from.
    """
    import json as jsonlib

    from vapbench.core.console import output, say, terminal_width
    from vapbench.stats.power import Spread, conditions_needed, smallest_difference

    spread, rows = Spread(sd), []
    for name, task, conditions, cases in _tasks(suite, data):
        each = max(1, round(cases / conditions))
        least = smallest_difference(conditions, each, methods, seeds, spread)
        rows.append({"suite": name, "task": task, "conditions": conditions, "cases": cases, "smallest": least})
    needed = {
        cases: conditions_needed(difference, cases, methods, seeds, spread) if difference else None
        for cases in (1, 2, 4, 8)
    }
    if json:
        found: dict[str, Any] = {"methods": methods, "seeds": seeds, "sd": sd, "tasks": rows}
        found |= {"difference": difference, "conditions_needed": needed} if difference else {}
        output().print_json(jsonlib.dumps(found))
        return
    lines = _lines(rows, needed if difference else {}, difference, methods, seeds, sd, terminal_width(output()))
    lines += [
        f"{row['suite']}'s categories are known from its data: vapbench power --suite {row['suite']} --data DIR"
        for row in rows
        if [other["task"] for other in rows if other["suite"] == row["suite"]] == ["all"]
    ]
    say(*lines)


def _tasks(wanted: str | None, data: Path | None) -> list[tuple[str, str, int, int]]:
    """Suite, task, conditions, cases; of a suite without its data what its protocol says of all."""
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.suites import find_suite, load_suites
    from vapbench.suites.tasks import load_tasks, select

    # A folder is of one suite, and may come from the environment.
    data = data if wanted else None
    found = []
    for suite in [find_suite(wanted)] if wanted else load_suites().values():
        if suite.data in ("required", "videos") and data is None:
            if suite.protocol:
                found.append((suite.name, "all", suite.protocol.conditions, suite.protocol.cases))
            continue
        cases = suite.cases(data)
        for task in load_tasks().values():
            if chosen := Counter(case.condition for case in select(cases, task)):
                found.append((suite.name, task.name, len(chosen), sum(chosen.values())))
    if not found:
        raise UsageError(
            "Without its data nothing is known of the suite's tasks; name its folder with --data DIR.",
            ErrorKind.MISSING,
            "data",
        )
    return found


def _lines(
    rows: list[dict[str, Any]],
    needed: dict[int, int | None],
    difference: float | None,
    methods: int,
    seeds: int,
    sd: float,
    width: int | None,
) -> list[str]:
    from vapbench.core.text_table import table_lines

    unit = "SD of a case's difference" if sd == 1 else f"the unit of SD {sd:g}"
    lines = [
        f"Smallest difference that ranks find, {counted(methods, 'method')}, {counted(seeds, 'seed')}, in {unit}:",
    ]
    found = [["suite", "task", "", "conditions", "cases", "smallest"]]
    for row in rows:
        least = "none" if row["smallest"] is None else f"{row['smallest']:.2f}"
        here = "of these conditions" if row["conditions"] < 6 else ""
        found.append([row["suite"], row["task"], here, str(row["conditions"]), str(row["cases"]), least])
    lines += table_lines(found, width, left=3)
    if needed:
        lines += ["", f"A difference of {difference:g} is found with:"]
        for cases, count in needed.items():
            enough = (
                "no number of conditions"
                if count is None
                else f"{counted(count, 'condition')}, {counted(count * cases, 'case')}"
            )
            lines.append(f"  {counted(cases, 'case')} a condition: {enough}")
    assumed = "40 % of the variance between conditions, 30 % of the seed"
    return [*lines, "", f"80 % power, 5 % for all pairs together; assumed: {assumed} (docs/guides/power.md)."]
