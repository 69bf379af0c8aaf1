"""One self-contained page of a run: every case side by side and in step, and why each score is what it is.

The page needs no network and no server. Its content-security policy names the hashes of its one style sheet
and its one script, and lets images and videos come from data URIs alone: whatever a caption holds, nothing
else runs or loads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from vapbench.errors import DataError, ErrorKind, UsageError, did_you_mean
from vapbench.files.atomic import canonical_json, write_text
from vapbench.files.text import for_page
from vapbench.report.model import Cell, TableModel
from vapbench.report.page.cards import CaseCard, cards_of, strips_of
from vapbench.report.page.rendering import asset, environment, policy
from vapbench.report.page.together import orders, shared_cases
from vapbench.report.read.columns import Column, rows_of
from vapbench.report.read.facts import facts_of
from vapbench.report.read.read_runs import read_summary
from vapbench.report.read.run_summary import RunSummary
from vapbench.report.render.terminal import interval_text
from vapbench.report.tables.grid import ABSENT
from vapbench.report.tables.layout import key_of
from vapbench.report.tables.summary import summarise_run, tables_of
from vapbench.results.run import RunFolder

_TEMPLATES = Path(__file__).parent / "templates"


def write_page(folders: Sequence[RunFolder], output: Path, case: str | None = None) -> Path:
    """Write the page of a run, or of several with the same case side by side.

    Outputs are embedded byte for byte. References, first frames and ground truths larger than the output are
    embedded as previews (kept in the cache folder, so a second page is quick), and the page says so. What
    cannot be shown (a file that has moved, a failed generation) is a panel that says why.

    Args:
        folders: the runs, all of one suite.
        output: where the page goes; replaced as a whole.
        case: show this case alone; None for all planned cases.

    Returns:
        ``output``.

    Raises:
        DataError: a folder is no run folder, or is damaged, or the runs are of several suites.
        UsageError: no run has a case of that name (with a suggestion).
    """
    runs = [read_summary(folder) for folder in folders]
    if len({run.suite for run in runs}) > 1:
        named = ", ".join(f"{run.folder.path} is of {run.suite}" for run in runs)
        raise DataError(f"Runs of several suites share no case: {named}.", ErrorKind.CONFLICT, "suite")
    cases = {name for run in runs for name in run.cases()}
    if case is not None and case not in cases:
        raise UsageError(
            f"{' and '.join(str(f.path) for f in folders)} has no case {case!r}.{did_you_mean(case, cases)}",
            ErrorKind.UNKNOWN,
            "case",
        )
    write_text(output, render_page(runs[0], case) if len(runs) == 1 else render_together(runs, case))
    return output


def render_together(runs: Sequence[RunSummary], case: str | None = None) -> str:
    """The page of several runs as HTML."""
    labelled = {row.label: run for row, run in zip(rows_of(runs), runs, strict=True)}
    table = tables_of(runs[0].suite, runs, [None])[0]
    keys = [key_of(column) for column in table.columns]
    shared = shared_cases(labelled, table.columns, keys, case)
    cards = [item.card for item in shared]
    style, script = asset(_TEMPLATES / "show.css").replace("/*ratio*/", _ratio(cards)), asset(_TEMPLATES / "show.js")
    means = {
        row.label: [_mean(column, cell) for column, cell in zip(table.columns, cells, strict=True)]
        for row, cells in zip(table.rows, table.cells, strict=True)
    }
    return str(
        _template("together.html").render(
            title=f"{', '.join(labelled)} on {runs[0].suite}",
            labels=list(labelled),
            table=table,
            means=means,
            accounts=list(dict.fromkeys(c.account() for line in table.cells for c in line if not c.complete)),
            shared=shared,
            cards=cards,
            orders=orders(table, list(labelled)),
            only=case,
            filters=_filters(cards),
            style=style,
            script=script,
            policy=policy(style, script, media="data:"),
        )
    )


def _mean(column: Column, cell: Cell) -> tuple[str, str, str]:
    """Mean, interval and count as printed."""
    mean = column.text(cell.mean) if cell.mean is not None else ABSENT
    return mean, interval_text(column, cell), f"{cell.n}/{cell.total}"


def render_page(run: RunSummary, case: str | None = None) -> str:
    """The page as HTML."""
    table = summarise_run(run)
    # The table's own: a column whose every row is of a case that is not planned has no place in it.
    spelled = {(c.metric, c.version, canonical_json(c.params)) for c in table.columns}
    keys = [key for key in sorted(run.scores) if (key.metric, key.version, key.params) in spelled]
    cards = cards_of(run, table.columns, keys, case)
    style, script = asset(_TEMPLATES / "show.css").replace("/*ratio*/", _ratio(cards)), asset(_TEMPLATES / "show.js")
    return str(
        _template("show.html").render(
            title=f"{run.label} on {run.suite}",
            table=table,
            summary=_summary(table),
            facts=facts_of(run),
            accounts=list(dict.fromkeys(c.account() for line in table.cells for c in line if not c.complete)),
            cards=cards,
            strips=strips_of(run, table.columns, keys),
            only=case,
            filters=_filters(cards),
            style=style,
            script=script,
            policy=policy(style, script, media="data:"),
        )
    )


def render_static(name: str, **values: Any) -> str:
    """A page of files beside it: the template ``name.html`` with its style sheet and script, and no other of either."""
    style, script = asset(_TEMPLATES / f"{name}.css"), asset(_TEMPLATES / f"{name}.js")
    return str(_template(f"{name}.html").render(style=style, script=script, policy=policy(style, script), **values))


def _template(name: str) -> Any:
    return _environment().get_template(name)


@cache
def _environment() -> Any:
    """The templates, compiled once."""
    return environment(_TEMPLATES, for_page)


def _summary(table: TableModel) -> list[dict[str, str]]:
    """Aggregates of the run, ready to print."""
    summary = []
    for column, cell in zip(table.columns, table.cells[0], strict=True):
        interval = ""
        if cell.low is not None and cell.high is not None:
            interval = f"{column.text(cell.low)} to {column.text(cell.high)}"
        summary.append(
            {
                "title": column.header,
                "mean": column.text(cell.mean) if cell.mean is not None else "",
                "interval": interval,
                "n": f"n = {cell.n}/{cell.total}",
                "gone": ", ".join(cell.gone),
                "definition": column.definition,
                "unit": column.shown_unit,
            }
        )
    return summary


def _filters(cards: list[CaseCard]) -> list[tuple[str, str, list[str]]]:
    """Attribute, label and options of every filter that would tell cases apart."""
    filters: list[tuple[str, str, list[str]]] = [
        ("tasks", "Task", sorted({task for card in cards for task in card.tasks})),
        ("category", "Category", sorted({card.category for card in cards if card.category})),
        ("condition", "Condition", sorted({card.condition for card in cards if card.condition})),
        ("states", "Scores", sorted({state for card in cards for state in card.states})),
    ]
    return [(name, label, options) for name, label, options in filters if len(options) > 1]


def _ratio(cards: list[CaseCard]) -> str:
    """Width and height of the pictures' frames: the first output's, which a suite's outputs share."""
    panels = [panel for card in cards for panel in card.panels if panel.width]
    panels.sort(key=lambda panel: not panel.label.startswith("Output"))
    return f"{panels[0].width} / {panels[0].height}" if panels else "3 / 2"
