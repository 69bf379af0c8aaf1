"""What a probe writes: page, figure and rows in ``RESULTS/probe/<suite>-<task>``, and columns of the ordinary runs."""

from __future__ import annotations

from pathlib import Path

from vapbench.files.atomic import write_json
from vapbench.report.render.effects import write_effects
from vapbench.report.tables.layout import WIDTHS
from vapbench.validation.probe.figure import figure_of
from vapbench.validation.probe.page import write_page
from vapbench.validation.probe.plans import Setting
from vapbench.validation.probe.report import Report, to_json, write_columns


def write_files(setting: Setting, report: Report) -> list[Path]:
    """Write them, and return page, figure and rows.

    Raises:
        UsageError: there are more methods than a figure can tell apart.
        DataError: a video cannot be read.
    """
    write_columns(setting, report)
    folder = setting.root / f"{report.suite}-{report.task}"
    folder.mkdir(parents=True, exist_ok=True)
    page, rows = folder / "index.html", folder / "probe.json"
    write_json(rows, to_json(report))
    figures = {folder / f"probe{suffix}": WIDTHS["page"] for suffix in (".svg", ".pdf", ".png")}
    figures[folder / "probe-column.pdf"] = WIDTHS["column"]
    for path, width in figures.items():
        write_effects(path, figure_of(report), width)
    write_page(page, setting, report)
    return [page, *figures, rows]
