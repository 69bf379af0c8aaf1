"""Write docs/tables/: the paper-style tables of the committed rows, as Markdown and LaTeX.

    python docs/scripts/write_tables.py [FOLDER]

FOLDER is docs/tables by default. The same rows give the same bytes; a test holds that the committed files are theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from vapbench.files.atomic import write_text
from vapbench.report.model import TableModel
from vapbench.report.render.formats import render
from vapbench.report.tables.arrange import tabulate
from vapbench.report.tables.layout import WIDTHS, Layout
from vapbench.report.tables.published import as_table, publications
from vapbench.results.run import RunFolder

ROOT = Path(__file__).resolve().parents[2]
SUITE = "mini"
LAYOUT = Layout(style="paper", mark="significant", reference="i2v", width=WIDTHS["page"])
TASKS = {"mini-all": "all", "mini-zero-shot": "zero-shot"}
"""File name -> task of the suite: conditions that were trained on, and those that were not."""


def main(out: Path) -> None:
    """Write every table."""
    for name, model in tables().items():
        write_text(out / f"{name}.md", render(model, LAYOUT, "markdown"))
        write_text(out / f"{name}.tex", render(model, LAYOUT, "latex"))
    for paper in publications():
        write_text(out / f"published-{paper.id}.md", render(as_table(paper), Layout(), "markdown"))
        write_text(out / f"published-{paper.id}.tex", render(as_table(paper), Layout(width=WIDTHS["page"]), "latex"))


def tables() -> Mapping[str, TableModel]:
    """Tables of the committed runs, by file name."""
    runs: Sequence[Path] = sorted(path.parent for path in (ROOT / "results" / SUITE).glob("*/manifest.json"))
    found = {}
    for name, task in TASKS.items():
        (found[name],) = tabulate([RunFolder(run) for run in runs], LAYOUT.model_copy(update={"task": task}))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "tables")
