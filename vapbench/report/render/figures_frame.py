"""What every figure shares: the width of a venue's column, letters of 8 pt at that width, panels, and the file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from vapbench.files.atomic import atomic_path
from vapbench.files.text import in_a_row
from vapbench.report.read.columns import Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

SUFFIXES = (".pdf", ".svg", ".png")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GREY = "#8C8C8C"
POINTS = 8
"""Size of every letter, at the width the figure is printed with."""
LINE = POINTS * 1.25 / 72
"""Inches from a line of text to the next."""
LETTER = POINTS * 0.5 / 72
"""Inches that a letter takes, roughly."""
PAGE = 9.0
"""Inches of a page that figures may take: more columns than it holds are left for another figure."""
_SETTINGS: Any = {
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "vapbench",
    "font.size": POINTS,
    **dict.fromkeys(
        [f"{part}.{size}" for part, size in (("axes", "titlesize"), ("axes", "labelsize"), ("xtick", "labelsize"))]
        + ["ytick.labelsize", "legend.fontsize", "figure.titlesize", "figure.labelsize"],
        POINTS,
    ),
    # As the text of a paper is set: STIX stands beside Times, and comes with matplotlib.
    "font.family": "serif",
    "font.serif": ["STIXGeneral"],
    "mathtext.fontset": "stix",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlepad": 3,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
}


def save_figure(path: Path, draw: Callable[[], Figure]) -> None:
    """Draw a figure in the settings of all, and write it as ``.pdf``, ``.svg`` or ``.png``, by the file's name.

    The file is as wide as the figure: LaTeX includes it without scaling, so letters keep their size.
    """
    save_figures(path, lambda: [draw()])


def save_figures(path: Path, draw: Callable[[], Iterable[Figure]]) -> None:
    """The same of a figure that may take several pages: the second of ``NAME.pdf`` is ``NAME-2.pdf``."""
    import matplotlib as mpl

    suffix = path.suffix.lower()
    # Without a date, equal rows give equal files.
    dated: dict[str, Any] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(suffix, {})
    names = []
    with mpl.rc_context(_SETTINGS):
        for number, figure in enumerate(draw(), start=1):
            names.append(path.name if number == 1 else f"{path.stem}-{number}{path.suffix}")
            with atomic_path(path.with_name(names[-1])) as temporary:
                figure.savefig(temporary, format=suffix[1:], dpi=300, metadata=dated)
    if len(names) > 1:
        log.warning("A page does not hold every column: %s goes on in %s.", names[0], ", ".join(names[1:]))


@dataclass(frozen=True)
class Frame:
    """Panels of one figure, side by side where the width holds them, and how many fit a page."""

    width: float
    """Inches, of the whole figure."""
    names: Sequence[str]
    """What stands at the left of panels, once in a row of them."""
    height: float
    """Inches of one panel, without title and axis."""
    least: float = 1.15
    """Inches that a panel needs at least."""
    below: float = 0.0
    """Inches below the last row of panels: names that stand upright, a legend."""
    wide: bool = True
    """Whether panels take all the width there is; otherwise each takes the least."""
    own_axis: float = 2.2 * LINE
    """Inches below each panel for its own axis."""

    @property
    def left(self) -> float:
        """Inches that the names take."""
        return max((len(name) for name in self.names), default=0) * LETTER + 0.25

    @property
    def across(self) -> int:
        """Panels in a row."""
        return max(1, int((self.width - self.left) / (self.least + 0.1)))

    def title(self, text: str, count: int) -> str:
        """A title, broken to the width of its panel."""
        room = (self.width - self.left) / min(count, self.across)
        return "\n".join(wrap(flat(text), max(8, int(room / LETTER))))

    def fitting(self, titles: Sequence[str]) -> int:
        """How many panels a page holds, in their order; at least one row of them."""
        return min(len(titles), self.across * max(1, int((PAGE - self.below - 2 * LINE) / self._row(titles))))

    def panels(self, titles: Sequence[str], share_y: bool = True) -> tuple[Figure, list[Axes]]:
        """A figure with a titled panel for each title."""
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        wide = min(len(titles), self.across)
        rows = -(-len(titles) // wide)
        height = rows * self._row(titles) + self.below + 2 * LINE
        layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, hspace=0.02, wspace=0.02)
        figure = Figure(figsize=(self.width, height), layout=layout)
        panels = list(figure.subplots(rows, wide, sharey=share_y, squeeze=False).flat)
        for unused in panels[len(titles) :]:
            unused.set_axis_off()
        for axes, title in zip(panels, titles, strict=False):
            axes.set_title(self.title(title, len(titles)))
        return figure, panels[: len(titles)]

    def _row(self, titles: Sequence[str]) -> float:
        lines = max(self.title(title, len(titles)).count("\n") + 1 for title in titles)
        return self.height + lines * LINE + self.own_axis + 0.1


def chosen(frame: Frame, columns: Sequence[int], titles: Mapping[int, str]) -> list[int]:
    """The columns that a page holds; what is left out is said."""
    kept = list(columns[: frame.fitting([titles[index] for index in columns])])
    if len(kept) < len(columns):
        log.warning(
            "The figure shows %d of %d columns, as many as a page holds; choose others with --metric.",
            len(kept),
            len(columns),
        )
    return kept


def pages(frame: Frame, columns: Sequence[int], titles: Mapping[int, str]) -> list[list[int]]:
    """All columns, as many together as a page holds; the last pages of equal length where that takes no more."""
    count = -(-len(columns) // frame.fitting([titles[index] for index in columns]))
    rows = -(-len(columns) // count)
    each = -(-rows // frame.across) * frame.across
    return [list(columns[first : first + each]) for first in range(0, len(columns), each)]


def short(names: Sequence[str], width: float) -> list[str]:
    """Names that leave at least half of the width to the panels; long ones lose their middle."""
    most = int(0.46 * width / LETTER)
    return [flat(name) if len(name) <= most else flat(f"{name[: most - 9]}…{name[-8:]}") for name in names]


def legend(figure: Figure, source: Axes, note: str = "", columns: int = 0) -> None:
    """What the marks are, below a note and the panels, in so many columns, or as many as the width holds."""
    handles, labels = source.get_legend_handles_labels()
    width = figure.get_figwidth()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns or legend_columns(labels, width), frameon=False,
        title=broken(note, width), title_fontproperties={"size": POINTS}, handletextpad=0.3, columnspacing=1.0,
        borderpad=0.1, labelspacing=0.2,
    )  # fmt: skip


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Entries in a row of a legend."""
    return max(1, min(len(labels), int(width / (max(map(len, labels)) * LETTER + 0.4))))


def legend_height(labels: Sequence[str], width: float, note: str = "") -> float:
    """Inches of a legend."""
    lines = -(-len(labels) // legend_columns(labels, width)) + (broken(note, width).count("\n") + 1) * bool(note)
    return lines * LINE * 1.1 + 0.1


def entitle(figure: Figure, text: str, note: str = "") -> None:
    """The figure's title, and a note below it, broken to its width."""
    figure.suptitle(broken(flat(text), figure.get_figwidth()))
    if note:
        figure.supxlabel(broken(note, figure.get_figwidth()))


def unit_of(column: Column) -> str:
    """Unit of the numbers as they are drawn."""
    return flat(column.shown_unit)


def flat(text: str) -> str:
    """Printable text in which ``$`` starts no formula."""
    return in_a_row(text).replace("$", r"\$")


def broken(text: str, width: float) -> str:
    """Text in lines that so many inches hold."""
    return "\n".join(wrap(text, int(width / LETTER)))
