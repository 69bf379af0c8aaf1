"""``list``: what there is."""

from __future__ import annotations

from typing import Any, Literal

import typer

from vapbench.cli import options as opt

What = Literal["methods", "metrics", "tasks", "suites", "runs"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list")(list_)


def list_(
    what: What = typer.Argument(help="methods, metrics, tasks, suites or runs.", show_default=False),
    results: opt.Results = opt.RESULTS,
    json: opt.Json = False,
) -> None:
    """List methods, metrics, tasks, suites or runs."""
    import json as jsonlib

    from rich.table import Table

    from vapbench.cli.console import errors, output

    rows = _runs(results) if what == "runs" else _LISTERS[what]()
    if json:
        output().print_json(jsonlib.dumps(rows))
        return
    if not rows:
        errors().print(f"No {what} here.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    shown = [column for column in rows[0] if any(row[column] for row in rows)]
    for column in shown:
        table.add_column(column.replace("_", " "), no_wrap=column == "name", overflow="fold")
    for row in rows:
        table.add_row(*(_text(row[column]) for column in shown))
    output().print(table)


def _text(value: Any) -> str:
    from rich.markup import escape

    return escape(", ".join(map(str, value)) if isinstance(value, list) else str(value or ""))


def _methods() -> list[dict[str, Any]]:
    from vapbench.errors import VapbenchError
    from vapbench.methods import methods

    order = ["structure", "text", "per-condition", "outputs", "unified", "floor", "ceiling"]
    rows = []
    for entry in methods():
        problem = ""
        if entry.point is not None:
            try:
                _ = entry.cls
            except VapbenchError as error:
                problem = f"broken: {error}"
        card = entry.card
        rows.append(
            {
                "name": entry.name,
                "title": card.title if card else entry.name,
                "control": card.kind if card else "",
                "what it does": problem or (card.summary if card else ""),
                "weights": card.weights if card else "",
                "from": entry.origin,
            }
        )
    return sorted(rows, key=lambda row: order.index(row["control"]) if row["control"] in order else len(order))


def _metrics() -> list[dict[str, Any]]:
    import inspect

    from vapbench.errors import VapbenchError
    from vapbench.metrics import REGISTRY

    rows = []
    for entry in REGISTRY:
        try:
            metric = entry.load()
        except VapbenchError as error:
            rows.append({"name": entry.name, "better": "", "needs": [], "what it says": f"broken: {error}", "from": entry.origin})
            continue
        rows.append(
            {
                "name": entry.name,
                "better": "higher" if metric.higher_is_better else "lower",
                "needs": sorted(metric.needs),
                "what it says": (inspect.getdoc(metric) or "").split("\n\n")[0].replace("\n", " "),
                "from": entry.origin,
            }
        )
    return rows


def _tasks() -> list[dict[str, Any]]:
    from vapbench.suites.tasks import conditions_of, load_tasks

    return [
        {
            "name": task.name,
            "title": task.title,
            "conditions": len(conditions_of(task)),
            "what it asks": task.description,
        }
        for task in load_tasks().values()
    ]


def _suites() -> list[dict[str, Any]]:
    from vapbench.suites import load_suites

    return [
        {
            "name": suite.name,
            "title": suite.title,
            "clip": f"{suite.clip.frames}x{suite.clip.height}x{suite.clip.width} at {suite.clip.fps:g} fps",
            "data": "--data DIR" if suite.data == "required" else "none needed",
            "what it is": suite.description,
        }
        for suite in load_suites().values()
    ]


def _runs(results: Any) -> list[dict[str, Any]]:
    from vapbench.store import RunFolder

    rows = []
    for manifest in sorted(results.glob("*/*/manifest.json")):
        folder = RunFolder(manifest.parent)
        identity = folder.manifest()["identity"]
        current = folder.current()
        rows.append(
            {
                "name": str(folder.path),
                "suite": identity["suite"],
                "method": identity["name"],
                "videos": sum(row.status == "ok" for row in current),
                "failed": sum(row.status == "failed" for row in current),
                "scored": folder.columns(),
            }
        )
    return rows


_LISTERS = {"methods": _methods, "metrics": _metrics, "tasks": _tasks, "suites": _suites}
