"""One self-contained page of a run: every case side by side and in step, and why each score is what it is.

The page needs no network and no server. Its content-security policy names the hashes of its one style sheet
and its one script, and lets images and videos come from data URIs alone: whatever a caption holds, nothing
else runs or loads.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from vapbench.errors import UsageError, did_you_mean
from vapbench.files.atomic import canonical_json, write_text
from vapbench.files.text import for_page
from vapbench.report.model import TableModel
from vapbench.report.page.cards import CaseCard, cards_of, strips_of
from vapbench.report.read.evidence import Evidence, read_evidence
from vapbench.report.read.facts import facts_of
from vapbench.report.tables.summary import summarise_run
from vapbench.results.run import RunFolder

_TEMPLATES = Path(__file__).parent / "templates"


def write_page(folder: RunFolder, output: Path, case: str | None = None) -> Path:
    """Write the page of a run.

    Outputs are embedded byte for byte. References, first frames and ground truths larger than the output are
    embedded as previews (kept in the cache folder, so a second page is quick), and the page says so. What
    cannot be shown (a file that has moved, a failed generation) is a panel that says why.

    Args:
        folder: the run.
        output: where the page goes; replaced as a whole.
        case: show this case alone; None for all planned cases.

    Returns:
        ``output``.

    Raises:
        DataError: ``folder`` is no run folder, or is damaged.
        UsageError: the run has no case of that name (with a suggestion).
    """
    run = read_evidence(folder)
    if case is not None and case not in run.cases():
        raise UsageError(f"{folder.path} has no case {case!r}.{did_you_mean(case, run.cases())}")
    write_text(output, render_page(run, case))
    return output


def render_page(run: Evidence, case: str | None = None) -> str:
    """The page as HTML."""
    table = summarise_run(run)
    # The table's own: a column whose every row is of a case that is not planned has no place in it.
    spelled = {(c.metric, c.version, canonical_json(c.params)) for c in table.columns}
    keys = [key for key in sorted(run.scores) if (key.metric, key.version, key.params) in spelled]
    cards = cards_of(run, table.columns, keys, case)
    style, script = _asset("show.css").replace("/*ratio*/", _ratio(cards)), _asset("show.js")
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
            policy=_policy(style, script),
        )
    )


def render_static(name: str, **values: Any) -> str:
    """A page of files beside it: the template ``name.html`` with its style sheet and script, and no other of either."""
    style, script = _asset(f"{name}.css"), _asset(f"{name}.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; media-src 'self' file:; "
        "base-uri 'none'; form-action 'none'"
    )
    return str(_template(f"{name}.html").render(style=style, script=script, policy=policy, **values))


def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=for_page,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


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
                "unit": column.unit,
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


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "media-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
