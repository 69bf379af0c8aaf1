"""Figures from the same tables: forest plot, dots by condition, pairwise matrix, metric against people.

Colours are Okabe and Ito's, which colour-blind readers can tell apart, and every method has a marker shape of its own.
Fonts are embedded as outlines that editors can still edit (type 42); text in SVG stays text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vapbench.errors import UsageError, did_you_mean
from vapbench.files.atomic import atomic_path
from vapbench.files.text import in_a_row
from vapbench.report.model import TableModel
from vapbench.report.tables.breakdown import breakdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vapbench.report.read.columns import Column
    from vapbench.report.tables.agreement import MetricAgreement

KINDS = ("forest", "conditions", "matrix", "human")
SUFFIXES = (".pdf", ".svg", ".png")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_GREY = "#8C8C8C"
_TITLE = 8
_ACROSS = 3
"""Panels in a row: three columns are still legible across a page."""
_SETTINGS: Any = {
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "vapbench",
    "font.size": 8,
    # As the text of a paper is set: STIX stands beside Times, and comes with matplotlib.
    "font.family": "serif",
    "font.serif": ["STIXGeneral"],
    "mathtext.fontset": "stix",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def kind_of(path: Path) -> str:
    """The figure a file name asks for: ``forest.pdf``, ``conditions-style.svg``.

    Raises:
        UsageError: the name begins with no kind of figure, or ends with no format (with a suggestion).
    """
    kind = next((kind for kind in KINDS if path.stem.startswith(kind)), None)
    if kind is None:
        raise UsageError(f"{path.name} names no figure.{did_you_mean(path.stem, KINDS)} Its name begins with the kind.")
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path.name}: figures are written as {', '.join(SUFFIXES)}.")
    return kind


def write_figure(path: Path, model: TableModel, agreements: Sequence[MetricAgreement] = ()) -> None:
    """Draw the figure that the file's name asks for.

    Args:
        path: the file; see :func:`kind_of`.
        model: the table.
        agreements: for ``human``: :func:`vapbench.report.tables.agreement.metric_agreement`.

    Raises:
        UsageError: the table has nothing to draw, or more methods than eight for dots by condition.
    """
    kind = kind_of(path)
    if kind == "human" and not agreements:
        raise UsageError("A figure of metrics against people needs votes: add --votes votes.csv of a study's export.")
    if kind != "human" and not any(cell.mean is not None for line in model.cells for cell in line):
        raise UsageError(f"{model.title} has no scores to draw; see: vapbench score --help")
    drawn = {"forest": forest, "conditions": conditions, "matrix": matrix}
    save_figure(path, lambda: human(agreements) if kind == "human" else drawn[kind](model))


def save_figure(path: Path, draw: Callable[[], Figure]) -> None:
    """Draw a figure in the settings of all, and write it as ``.pdf``, ``.svg`` or ``.png``, by the file's name."""
    import matplotlib as mpl

    with mpl.rc_context(_SETTINGS):
        figure = draw()
        with atomic_path(path) as temporary:
            suffix = path.suffix.lower()
            # Without a date, equal rows give equal files.
            dated: dict[str, Any] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(suffix, {})
            figure.savefig(temporary, format=suffix[1:], dpi=200, bbox_inches="tight", metadata=dated)


def forest(model: TableModel) -> Figure:
    """Means with their intervals, one panel per column; floors and ceilings grey, published rows hollow."""
    columns = [i for i in range(len(model.columns)) if any(line[i].mean is not None for line in model.cells)]
    figure, panels = _panels(len(columns), width=3.0, height=0.7 + 0.24 * len(model.rows), share_y=True)
    for axes, index in zip(panels, columns, strict=True):
        column = model.columns[index]
        for place, (row, line) in enumerate(zip(model.rows, model.cells, strict=True)):
            cell = line[index]
            if cell.mean is None:
                axes.text(
                    0.02,
                    place,
                    "not published" if cell.published else f"no score ({cell.n}/{cell.total})",
                    transform=axes.get_yaxis_transform(),
                    color=_GREY,
                    va="center",
                )
                continue
            colour = COLOURS[0] if row.competes else COLOURS[1] if row.published else _GREY
            if cell.low is not None and cell.high is not None:
                axes.plot(
                    [cell.low * column.scale, cell.high * column.scale], [place, place], color=colour, linewidth=1.2
                )
            marker = "D" if row.published else "o" if row.competes else "s"
            # An incomplete cell is hollow as well: it is not ranked.
            face = colour if cell.complete else "white"
            axes.plot(cell.mean * column.scale, place, marker, color=colour, markerfacecolor=face, markersize=4.5)
        _head(axes, column)
        axes.grid(axis="x", color="#E5E5E5", linewidth=0.6)
        axes.set_axisbelow(True)
    panels[0].set_yticks(
        range(len(model.rows)), [_flat(f"{r.label} ({r.published})" if r.published else r.label) for r in model.rows]
    )
    panels[0].set_ylim(len(model.rows) - 0.5, -0.5)
    figure.suptitle(_flat(model.title), fontsize=9)
    figure.supxlabel(_legend(model, columns), fontsize=7)
    return figure


def conditions(model: TableModel) -> Figure:
    """One row per condition, one dot per method, one panel per column."""
    items = breakdown(model)
    methods = items[0].methods
    if len(methods) > len(MARKERS):
        raise UsageError(
            f"Dots of {len(methods)} methods cannot be told apart; name at most {len(MARKERS)} of the runs: "
            "vapbench report vap i2v lora --figure conditions.pdf"
        )
    names = items[0].conditions
    figure, panels = _panels(len(items), width=3.0, height=0.9 + 0.2 * len(names), share_y=True)
    for axes, item in zip(panels, items, strict=True):
        for number, method in enumerate(methods):
            dots = [(part[number].mean, place) for place, part in enumerate(item.parts)]
            known = [(mean * item.column.scale, place) for mean, place in dots if mean is not None]
            axes.plot(
                [x for x, _ in known],
                [y for _, y in known],
                MARKERS[number],
                color=COLOURS[number],
                markersize=4.5,
                alpha=0.85,
                label=_flat(method),
            )
        _head(axes, item.column)
        axes.grid(color="#E5E5E5", linewidth=0.6)
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(names)), list(map(_flat, names)))
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, frameon=False)
    figure.suptitle(_flat(model.title), fontsize=9)
    return figure


def matrix(model: TableModel) -> Figure:
    """Share of common cases in which the row's method scores better than the column's, with n; ties count half."""
    rows = [i for i, row in enumerate(model.rows) if not row.published]
    columns = [i for i, c in enumerate(model.columns) if c.higher_is_better is not None]
    if len(rows) < 2 or not columns:
        raise UsageError("A matrix needs two methods, and a metric with a direction.")
    labels = [_flat(model.rows[row].label) for row in rows]
    side, names = 0.5 * len(rows), 0.07 * max(map(len, labels))
    figure, panels = _panels(len(columns), side + 0.4, side + names + 0.5, share_y=True, layout="compressed")
    for axes, index in zip(panels, columns, strict=True):
        shares, counts = _wins(model, rows, index)
        axes.imshow(shares, vmin=0, vmax=1, cmap="PuOr_r")
        for y, line in enumerate(shares):
            for x, share in enumerate(line):
                if counts[y][x]:
                    colour = "white" if abs(share - 0.5) > 0.35 else "black"
                    text = f"{share:.2f}\nn={counts[y][x]}"
                    axes.text(x, y, text, ha="center", va="center", fontsize=6, color=colour)
        axes.set_xticks(range(len(rows)), labels, rotation=90)
        axes.set_title(_flat(model.columns[index].header), fontsize=_TITLE)
    panels[0].set_yticks(range(len(rows)), labels)
    panels[0].set_ylabel("better in this share of cases")
    figure.suptitle(_flat(model.title), fontsize=9)
    return figure


def human(agreements: Sequence[MetricAgreement]) -> Figure:
    """Methods' means against their shares of votes, one panel per column and question."""
    figure, panels = _panels(len(agreements), width=2.8, height=2.6, share_y=False)
    for axes, item in zip(panels, agreements, strict=True):
        scale = item.column.scale
        for number, (mean, share) in enumerate(zip(item.means, item.shares, strict=True)):
            axes.plot(mean * scale, 100 * share, MARKERS[number % 8], color=COLOURS[number % 8], markersize=5)
            axes.annotate(
                _flat(item.methods[number]),
                (mean * scale, 100 * share),
                xytext=(4, 3),
                textcoords="offset points",
                fontsize=6,
            )
        interval = item.accuracy
        ends = "" if interval.low is None or interval.high is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
        rho = "" if item.spearman is None else f", Spearman {item.spearman:.2f}"
        axes.set_title(f"{_flat(item.question)}: agrees {interval.estimate:.2f}{ends}{rho}", fontsize=7)
        axes.set_xlabel(_flat(f"{item.column.header} ({_unit(item.column)})"), fontsize=7)
        axes.set_ylabel("votes won, %")
        axes.margins(0.15)
    return figure


def _wins(model: TableModel, rows: Sequence[int], index: int) -> tuple[list[list[float]], list[list[int]]]:
    better = model.columns[index].higher_is_better
    shares, counts = [], []
    for a in rows:
        line, ns = [], []
        for b in rows:
            first, second = model.scores[a][index], model.scores[b][index]
            common = [case for case in first if case in second] if a != b else []
            won = sum(0.5 if first[c] == second[c] else float((first[c] > second[c]) == better) for c in common)
            line.append(won / len(common) if common else float("nan"))
            ns.append(len(common))
        shares.append(line)
        counts.append(ns)
    return shares, counts


def _panels(
    count: int,
    width: float,
    height: float,
    share_y: bool,
    layout: Literal["constrained", "compressed"] = "constrained",
) -> tuple[Figure, list[Axes]]:
    """Panels of so many inches; ``compressed`` closes the gaps that square panels would leave."""
    from matplotlib.figure import Figure

    wide = min(count, _ACROSS)
    rows = -(-count // wide)
    figure = Figure(figsize=(width * wide + 1.2, height * rows), layout=layout)
    panels = list(figure.subplots(rows, wide, sharey=share_y, squeeze=False).flat)
    for unused in panels[count:]:
        unused.set_axis_off()
    return figure, panels[:count]


def _head(axes: Axes, column: Column) -> None:
    """Title above a panel, unit below it: side by side, long ones would run into the next panel."""
    axes.set_title(_flat(column.header), fontsize=_TITLE)
    axes.set_xlabel(_flat(_unit(column)), fontsize=7)


def _unit(column: Column) -> str:
    """Unit of the numbers as they are drawn."""
    return f"{column.unit} x {column.scale:g}" if column.unit and column.scale != 1 else column.unit


def _legend(model: TableModel, columns: Sequence[int]) -> str:
    """What the marks of a forest plot are."""
    cells = [line[index] for line in model.cells for index in columns]
    parts = ["bars: 95 % intervals, clustered by condition"] if any(cell.low is not None for cell in cells) else []
    kinds = [(row.competes, bool(row.published)) for row in model.rows]
    parts += ["grey squares: floors and ceilings"] * ((False, False) in kinds)
    parts += ["hollow: incomplete"] * any(0 < cell.n < cell.total for cell in cells)
    parts += ["diamonds: as published"] * ((False, True) in kinds)
    return " · ".join(parts)


def _flat(text: str) -> str:
    """Printable text in which ``$`` starts no formula."""
    return in_a_row(text).replace("$", r"\$")
