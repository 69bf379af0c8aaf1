"""Print the tables of docs/start/mini.md as Markdown, from the committed rows.

python docs/scripts/mini_tables.py results/mini
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from vapbench.report.model import Cell
from vapbench.report.tables.comparison import compare
from vapbench.report.tables.summary import summarise
from vapbench.results.run import RunFolder

ROWS = {
    "ground-truth": "ground truth",
    "copy-reference": "copy of the reference",
    "i2v captions=plain": "`i2v:captions=plain`: the base, told in words",
    "lora": "`lora`: one per condition",
    "vap": "**`vap`**",
    "vap reference_rope=shared": "`vap:reference_rope=shared`",
    "vace-original": "`vace-original`: the reference's own frames as control",
    "vace-depth": "`vace-depth`: its depth",
    "vace-flow": "`vace-flow`: its optical flow",
    "vap reference=shuffled": "`vap:reference=shuffled`: a wrong condition's",
    "i2v": "`i2v`: the base, untold",
    "frozen": "frozen first frame",
    "noise": "noise",
}
"""Methods by the label of their row, and what the table calls them."""
TASKS = {
    "concept": "concept",
    "style": "style",
    "motion": "motion",
    "camera": "camera",
    "all": "all 54",
    "zero-shot": "zero-shot 12",
}
METRIC = "semantic_alignment[embedding]"


def main(results: Path) -> None:
    """Print alignment by method and task, then VAP minus its base by task."""
    print("\n\n".join(tables(results)))


def tables(results: Path) -> tuple[str, str]:
    """Both tables of the page."""
    folders = [RunFolder(path) for path in sorted(results.iterdir()) if (path / "manifest.json").is_file()]
    cells = {task: column(folders, task) for task in TASKS}
    rows = [line(name, *(text(cells[task].get(label)) for task in TASKS)) for label, name in ROWS.items()]
    alignment = [line("method", *TASKS.values()), line(*["---"] * (len(TASKS) + 1)), *rows]
    vap, base = (RunFolder(results / name) for name in ("vap", "i2v"))
    gain = [line(*TASKS.values()), line(*["---"] * len(TASKS)), line(*differences(vap, base))]
    return "\n".join(alignment), "\n".join(gain)


def column(folders: list[RunFolder], task: str) -> dict[str, Cell]:
    """Cells of the metric in a task's table, by label."""
    (table,) = summarise(folders, task, metrics=[METRIC])
    return {row.label: cells[0] for row, cells in zip(table.rows, table.cells, strict=True)}


def text(cell: Cell | None) -> str:
    """Mean and interval in per cent."""
    if cell is None or cell.mean is None:
        return "not scored"
    interval = f" [{cell.low:.1f}, {cell.high:.1f}]" if cell.low is not None and cell.high is not None else ""
    return f"{cell.mean:.1f}{interval}"


def differences(a: RunFolder, b: RunFolder) -> Iterator[str]:
    """A minus B in every task, with its interval, in points."""
    for task in TASKS:
        (comparison,) = compare(a, b, task)
        found = next(item.difference for item in comparison.columns if item.column.metric == METRIC)
        assert found is not None
        yield f"{found.mean:+.1f} [{found.low:.1f}, {found.high:.1f}]"


def line(*fields: str) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(fields)} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
