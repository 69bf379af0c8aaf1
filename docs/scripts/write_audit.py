"""Write the audit of every column without weights of its own, on the mini suite: data, pictures and tables.

    python docs/scripts/write_audit.py
    python docs/scripts/write_audit.py camera_agreement

Writes docs/reference/audit.csv, leaderboard/audits/mini.csv, docs/pictures/audit.svg and .png, and puts the tables
into docs/reference/audit.md and docs/guides/which-columns.md, and a sentence into each column's page. Some minutes on
one processor. One case of each condition that training saw. With names, only these columns are measured, and the others
keep what audit.csv and the pages have.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from vapbench.running.plan import MetricSpec, columns
from vapbench.running.progress import progress
from vapbench.stats.intervals import Estimate
from vapbench.stats.paired import PairedDifference
from vapbench.validation.audit.edits import EDITS
from vapbench.validation.audit.measure import Audit, Effect, Scores, audit, concordance, measure
from vapbench.validation.audit.tables import FIELDS, as_csv, as_records, draw
from vapbench.validation.audit.who import subjects_of, without_weights

DOCS = Path(__file__).resolve().parents[1]
BOARD = DOCS.parent / "leaderboard"
CATEGORIES = ("concept", "style", "motion", "camera")
AGAINST = "semantic_alignment[embedding]"
ASKED = ("wrong-reference", "other-condition", "copy-reference", "reversed", "frozen", "shuffled")
"""Faults that the guide shows for each category."""


def main(named: Sequence[str]) -> None:
    """Measure once, and write everything."""
    torch.set_num_threads(1)
    subjects = subjects_of("mini", None, "all", None, 27)
    wanted = columns(without_weights())
    anew = [column for column in wanted if not named or column.label in named]
    compared = [column for column in wanted if column in anew or column.label == AGAINST]
    scores = measure(subjects, compared, torch.device("cpu"), progress(quiet=False))
    by_category = {"all": scores} | {
        name: {label: [row for row in rows if row.category == name] for label, rows in scores.items()}
        for name in CATEGORIES
    }
    audits = {
        name: [audit(column, rows[column.label]) if column in anew else kept(column, name) for column in wanted]
        for name, rows in by_category.items()
    }
    records = [{"category": name, **record} for name, found in audits.items() for record in as_records(found)]
    (DOCS / "reference" / "audit.csv").write_text(as_csv(records, ("category", *FIELDS)), encoding="utf-8")
    (BOARD / "audits" / "mini.csv").write_text(as_csv(as_records(audits["all"])), encoding="utf-8")
    for suffix in ("svg", "png"):
        draw(audits["all"], DOCS / "pictures" / f"audit.{suffix}")
    put(DOCS / "reference" / "audit.md", "matrix", matrix(audits["all"]))
    put(DOCS / "reference" / "audit.md", "concordance", concordances(wanted, anew, by_category))
    for found in audits["all"]:
        page = found.metric.name.replace("[", "-").rstrip("]")
        put(DOCS / "reference" / "metrics" / f"{page}.md", "audit", in_words(records, found.column))
    for name in CATEGORIES:
        put(DOCS / "guides" / "which-columns.md", name, category(audits[name]))


def kept(column: MetricSpec, category: str) -> Audit:
    """A column's audit as audit.csv has it."""
    with (DOCS / "reference" / "audit.csv").open(encoding="utf-8", newline="") as file:
        ours = {"category": category, "column": column.label}
        records: list[dict[str, Any]] = [record for record in csv.DictReader(file) if ours.items() <= record.items()]
    effects = [Effect(r["edit"], _change(r), float(r["original_better"]), r["verdict"], 0.0) for r in records]
    original = Estimate(float(records[0]["original"]), None, None, int(records[0]["n"]), 0, None)
    return Audit(column.label, column.metric, original, tuple(effects), ())


def _change(record: Mapping[str, Any]) -> PairedDifference:
    low, high = (float(record[end]) if record[end] else None for end in ("low", "high"))
    mean, n = float(record["change"]), int(record["n"])
    return PairedDifference(mean, low, high, 1.0, 1.0, False, mean, 0, 0, n, 0)


def matrix(audits: Sequence[Audit]) -> str:
    """Edits by columns: the verdict, and how often the original scores better."""
    lines = [row("edit", *(f"`{found.column}`" for found in audits)), row(*["---"] * (len(audits) + 1))]
    for edit in EDITS:
        cells = (said(effect_of(found, edit)) for found in audits)
        lines.append(row(f"`{edit}`", *cells))
    originals = (shown(found) for found in audits)
    return "\n".join([*lines, row("*the originals have*", *originals)])


def in_words(records: Sequence[Mapping[str, Any]], column: str) -> str:
    """What a column sees, is blind to and is fooled by, over all categories, as an item of its page."""
    found: dict[str, list[str]] = {}
    for record in records:
        if record["category"] == "all" and record["column"] == column:
            found.setdefault(record["verdict"], []).append(f"`{record['edit']}`")
    words = {"sees": "sees", "blind": "is blind to", "fooled": "is fooled by", "disturbed": "is disturbed by"}
    parts = [f"{words[verdict]} {', '.join(found[verdict])}" for verdict in words if verdict in found]
    return f"- **[The audit](../audit.md)** on the mini suite: it {'; '.join(parts)}."


def category(audits: Sequence[Audit]) -> str:
    """Columns by the faults that matter for one category, the best at a wrong reference first."""

    def skill(found: Audit) -> float:
        effect = effect_of(found, "wrong-reference")
        return -(effect.share if effect else 0)

    lines = [row("column", *(f"`{edit}`" for edit in ASKED)), row(*["---"] * (len(ASKED) + 1))]
    for found in sorted(audits, key=skill):
        lines.append(row(f"`{found.column}`", *(said(effect_of(found, edit)) for edit in ASKED)))
    return "\n".join(lines)


def concordances(
    wanted: Sequence[MetricSpec], anew: Sequence[MetricSpec], by_category: Mapping[str, Mapping[str, Sequence[Scores]]]
) -> str:
    """How often each column orders two versions of a video as the mini suite's own reader does."""
    sign = {column.label: 1 if column.metric.higher_is_better else -1 for column in wanted}
    before = (DOCS / "reference" / "audit.md").read_text(encoding="utf-8").partition("<!-- concordance -->")[2]
    lines = [row("column", *by_category), row(*["---"] * (len(by_category) + 1))]
    measured = {column.label for column in anew}
    for label in sign:
        if label == AGAINST:
            continue
        if label not in measured:
            lines.append(next(line for line in before.splitlines() if line.startswith(f"| `{label}` |")))
        else:
            found = (concordance(s[label], s[AGAINST], (sign[label], sign[AGAINST])) for s in by_category.values())
            lines.append(row(f"`{label}`", *(percent(estimate) for estimate in found)))
    return "\n".join(lines)


def effect_of(found: Audit, edit: str) -> Effect | None:
    """The effect of an edit on a column, if it could be made."""
    return next((effect for effect in found.effects if effect.edit == edit), None)


def said(effect: Effect | None) -> str:
    """Verdict, and how often the original scores better."""
    return f"{effect.verdict} {100 * effect.share:.0f} %" if effect else "-"


def shown(found: Audit) -> str:
    """Mean score of the originals."""
    metric = found.metric
    return f"{found.original.mean * metric.scale:.{metric.digits}f}" if found.original else "-"


def percent(estimate: Estimate | None) -> str:
    """A share with its interval."""
    if estimate is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.mean:.0f}"
    return f"{100 * estimate.mean:.0f} [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]"


def row(*cells: str) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between a page's marks of a name."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
    before = page.read_text(encoding="utf-8")
    if not marks.search(before):
        raise SystemExit(f"{page} has no marks <!-- {name} --> and <!-- /{name} -->.")
    page.write_text(marks.sub(lambda found: found.group(1) + text + found.group(2), before), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
