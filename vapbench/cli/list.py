"""``list``: what there is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted

if TYPE_CHECKING:
    from vapbench.methods import MethodEntry
    from vapbench.suites import Suite

What = Literal["methods", "metrics", "tasks", "suites", "runs"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list")(list_)


def list_(
    what: Annotated[What, typer.Argument(help="methods, metrics, tasks, suites or runs.", show_default=False)],
    results: opt.ReadResults = None,
    json: opt.Json = False,
) -> None:
    """List methods, metrics, tasks, suites or runs.

    A line each, the runs being those of the results folder. For all there is to say of one:

    \b
    vapbench describe vap
    """
    from vapbench.core.console import configure_logging, errors, print_json

    configure_logging(verbose=None, quiet=False)
    rows = _runs(results) if what == "runs" else _LISTERS[what]()
    if json:
        print_json(rows)
    elif rows:
        _print(what, rows)
    else:
        errors().print(f"No {what} here.")


def _print(what: What, rows: list[dict[str, Any]]) -> None:
    """Print a line each, under a heading per group: what does not fit a terminal is cut, a file gets whole lines."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from vapbench.core.console import output
    from vapbench.files.text import visible

    lines: list[tuple[str, ...]] = []
    group = None
    for row in rows:
        if row.get("group") != group:
            group = row.get("group")
            lines.append((f"{group}", "", ""))
        lines.append((row["name"], *_SHOWN[what](row)))
    console = output() if output().is_terminal else Console(highlight=False, width=_WHOLE)
    name, title, _ = (max(len(line[column]) for line in lines) for column in range(3))
    # Names are whole, titles as far as they are short; the summary takes the room that is left.
    widths = (name, min(title, _TITLE), max(1, console.width - name - min(title, _TITLE) - 2 * _GAP))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    for width, style in zip(widths, ("cyan", "", "dim"), strict=True):
        table.add_column(style=style, no_wrap=True, overflow="ellipsis", max_width=width)
    for line in lines:
        heading = "bold" if not line[1] + line[2] else ""
        table.add_row(*(Text(visible(" ".join(text.split())), heading) for text in line))
    console.print(table)


_GAP = 2
_TITLE = 34
_WHOLE = 10_000
"""Characters of a line that is read by a program, and must not be cut."""


def _of_title(row: dict[str, Any]) -> tuple[str, str]:
    return row["title"], row["summary"]


def _of_metric(row: dict[str, Any]) -> tuple[str, str]:
    return {"higher": "higher is better", "lower": "lower is better"}.get(row.get("better", ""), ""), row["title"]


def _of_run(row: dict[str, Any]) -> tuple[str, str]:
    counts = [f"{row[key]} {key}" for key in ("videos", "failed", "no video") if row[key]]
    return row["title"], ", ".join([*counts, counted(len(row["scored"]), "column")])


_SHOWN = {"methods": _of_title, "metrics": _of_metric, "tasks": _of_title, "suites": _of_title, "runs": _of_run}


def _methods() -> list[dict[str, Any]]:
    from vapbench.errors import VapbenchError
    from vapbench.methods import methods

    rows = []
    for entry in methods():
        problem = ""
        # Packages bring no card: importing the class is the only way to know that it is there.
        if entry.point is not None:
            try:
                _ = entry.load()
            except VapbenchError as error:
                problem = f"broken: {error}"
        card = entry.card
        rows.append(
            {
                "group": _CONTROLS[card.kind] if card else "From installed packages",
                "name": entry.name,
                "title": card.title if card else problem or entry.origin,
                "summary": card.summary if card else "",
                "paper row": card.paper if card else "",
                "backbone": card.backbone if card else "",
                "weights": card.weights if card else "",
                "licence": card.licence if card else "",
                "needs": card.needs if card else "",
                "parameters": _parameters(entry) if not problem else [],
                "from": "" if entry.origin == "built in" else entry.origin,
            }
        )
    order = [*_CONTROLS.values(), "From installed packages"]
    return sorted(rows, key=lambda row: order.index(row["group"]))


def _parameters(entry: MethodEntry) -> list[str]:
    """``name=default`` of each, as ``--method name:…`` takes them."""
    from vapbench.core.registry import defaults, plain

    fixed = dict(entry.card.parameters) if entry.card else {}
    return [
        f"{name}={value}"
        for name, value in plain(defaults(entry.load(), fixed, entry.name)).items()
        if name != "weights" and value is not None
    ]


_CONTROLS = {
    "structure": "Structure-controlled",
    "text": "Text and first frame only",
    "per-condition": "One model per condition",
    "outputs": "Videos made elsewhere",
    "unified": "Unified semantic control",
    "ceiling": "Ceiling",
    "floor": "Floors",
}


def _metrics() -> list[dict[str, Any]]:
    import inspect

    from vapbench.errors import VapbenchError
    from vapbench.metrics import REGISTRY
    from vapbench.metrics.sets import REGISTRY as SETS

    rows: list[dict[str, Any]] = []
    for entry in REGISTRY:
        origin = "" if entry.origin == "built in" else entry.origin
        try:
            metric = entry.load()
        except VapbenchError as error:
            rows.append({"name": entry.name, "title": f"broken: {error}", "summary": "", "from": origin})
            continue
        rows.append(
            {
                "name": entry.name,
                "title": (inspect.getdoc(metric) or "").split("\n\n")[0].replace("\n", " "),
                "summary": "",
                "better": "higher" if metric.higher_is_better else "lower",
                "needs": sorted(metric.needs),
                "weights": weights_of(entry.name),
                "from": origin,
            }
        )
    others = {"torchmetrics:image.<Class>": "Any image metric of torchmetrics: PSNR, SSIM, LPIPS, …"}
    others |= {entry.name: f"Of a whole run: vapbench score RUN --metric {entry.name}:…" for entry in SETS}
    rows += [{"name": name, "title": title, "summary": ""} for name, title in others.items()]
    return rows


def weights_of(metric: str) -> list[str]:
    """Files of the catalogue that a metric loads, and whether they are here."""
    from vapbench.checkpoints.catalogue import CATALOGUE, locate

    used = [name for name, item in CATALOGUE.items() if metric in item.used_by.split(", ")]
    return [f"{name} ({'here' if locate(name) else 'not here'})" for name in used]


def _tasks() -> list[dict[str, Any]]:
    from vapbench.suites.tasks import conditions_of, load_tasks

    return [
        {
            "name": task.name,
            "title": task.title,
            "summary": task.description,
            "conditions": sorted(conditions_of(task)) if not task.includes else len(conditions_of(task)),
        }
        for task in load_tasks().values()
    ]


def clip_text(suite: Suite) -> str:
    """What a suite asks of every clip; empty where its cases say so."""
    spec = suite.clip
    return f"{counted(spec.frames, 'frame')} of {spec.height}x{spec.width} at {spec.fps:g} fps" if spec else ""


def _suites() -> list[dict[str, Any]]:
    from vapbench.suites import load_suites

    own = {
        "name": "FOLDER/cases.csv",
        "title": "Cases of your own",
        "summary": "One table beside its files, and no Python: docs/guides/own-cases.md",
    }
    declared = [
        {
            "name": suite.name,
            "title": suite.title,
            "summary": suite.description,
            "clip": clip_text(suite),
            "data": {"required": "--data DIR", "videos": f"vapbench score DIR --suite {suite.name}"}.get(
                suite.data, "none needed"
            ),
        }
        for suite in load_suites().values()
    ]
    return [*declared, own]


def _runs(results: Path | None) -> list[dict[str, Any]]:
    from vapbench.report.naming import run_folders
    from vapbench.report.read.columns import rows_of
    from vapbench.report.read.run_summary import RunSummary

    # Scores are not read: only what tells runs apart is asked for.
    folders = run_folders(None, results, None)
    found = [RunSummary(folder, folder.manifest(), {}, {}, {}) for folder in folders]
    rows = []
    for suite in dict.fromkeys(run.suite for run in found):
        runs = [run for run in found if run.suite == suite]
        for run, row in zip(runs, rows_of(runs), strict=True):
            status = Counter(made.status for made in run.folder.current())
            rows.append(
                {
                    "group": suite,
                    "name": str(run.folder.path),
                    "title": row.label,
                    "summary": "",
                    "videos": status["ok"],
                    "failed": status["failed"],
                    "no video": status["unscored"],
                    "scored": run.folder.columns(),
                }
            )
    return rows


_LISTERS = {"methods": _methods, "metrics": _metrics, "tasks": _tasks, "suites": _suites}
