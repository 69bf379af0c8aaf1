"""An audit as data, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vapbench.errors import ErrorKind, UsageError
from vapbench.files.atomic import atomic_path, write_text
from vapbench.files.text import csv_text
from vapbench.validation.audit.edits import EDITS
from vapbench.validation.audit.measure import MARGIN, Audit, Verdict

FIELDS = ("column", "edit", "verdict", "change", "low", "high", "original_better", "n", "original")


def as_records(audits: Sequence[Audit]) -> list[dict[str, Any]]:
    """A record for each column and edit, in the column's own unit; positive changes are for the better."""
    return [
        {
            "column": found.column,
            "edit": effect.edit,
            "verdict": effect.verdict,
            "change": effect.change.mean,
            "low": effect.change.low,
            "high": effect.change.high,
            "original_better": effect.share,
            "n": effect.change.n,
            "original": found.original.mean if found.original else None,
        }
        for found in audits
        for effect in found.effects
    ]


def as_csv(records: Sequence[dict[str, Any]], fields: Sequence[str] = FIELDS) -> str:
    """Records as CSV, six digits a number."""
    rows = ([f"{v:.6g}" if isinstance(v := record[name], float) else v for name in fields] for record in records)
    return csv_text(fields, rows)


def check_suffix(path: Path) -> None:
    """Say at once what :func:`write` cannot write.

    Raises:
        UsageError: it is none of ``.csv``, ``.svg`` and ``.png``.
    """
    if path.suffix not in (".csv", ".svg", ".png"):
        raise UsageError(f"{path}: write the audit as .csv, .svg or .png.", ErrorKind.INVALID, "path")


def write(audits: Sequence[Audit], path: Path) -> None:
    """Write the matrix: ``.csv``, or a heat map ``.svg`` or ``.png``."""
    if path.suffix == ".csv":
        write_text(path, as_csv(as_records(audits)))
    else:
        draw(audits, path)


_COLOURS: dict[Verdict, str] = {
    "sees": "#3a8f5c",
    "steady": "#dfe7e2",
    "blind": "#f0c75e",
    "fooled": "#c8443c",
    "disturbed": "#d98a4b",
    "unclear": "#f4f2ee",
}


def draw(audits: Sequence[Audit], path: Path) -> None:
    """Draw columns by edits: the colour is the verdict, the number the change as a share of the column's greatest."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle

    shown = [found for found in audits if found.effects]
    edits = [edit for edit in EDITS if any(effect.edit == edit for found in shown for effect in found.effects)]
    figure = Figure(figsize=(3.2 + 0.62 * len(edits), 2.2 + 0.4 * max(1, len(shown))), layout="constrained")
    axis = figure.subplots()
    for row, found in enumerate(shown):
        most = max((abs(effect.change.mean) for effect in found.effects), default=0) or 1.0
        for effect in found.effects:
            column = edits.index(effect.edit)
            axis.add_patch(Rectangle((column, row), 0.96, 0.94, color=_COLOURS[effect.verdict], linewidth=0))
            light = "white" if effect.verdict in ("sees", "fooled") else "#333333"
            text = f"{100 * effect.change.mean / most:+.0f}"
            axis.text(column + 0.48, row + 0.48, text, ha="center", va="center", fontsize=8, color=light)
    axis.set_xlim(0, len(edits))
    axis.set_ylim(len(shown), 0)
    axis.set_xticks([n + 0.48 for n in range(len(edits))], edits, rotation=40, ha="left", fontsize=9)
    axis.set_yticks([n + 0.48 for n in range(len(shown))], [found.column for found in shown], fontsize=9)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    handles = [Patch(color=colour, label=name) for name, colour in _COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=9)
    axis.set_xlabel(
        f"change as % of the column's greatest, + is better; from {100 * MARGIN:.0f} % on it counts", fontsize=9
    )
    with atomic_path(path) as temporary, mpl.rc_context({"svg.hashsalt": "vapbench", "svg.fonttype": "none"}):
        # Without a date, equal audits are equal files.
        fixed = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=fixed)
