"""The tables and comparisons of runs, for commands and notebooks: data frames, markup, text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vapbench.results.rows import uncollected
from vapbench.results.run import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from vapbench.report.model import TableModel
    from vapbench.report.render.formats import Format
    from vapbench.report.tables.comparison import Comparison as ComparisonModel
    from vapbench.report.tables.layout import Layout


@dataclass(frozen=True)
class Table:
    """Methods by metrics: means with intervals, ranks and counts, one table per suite and task."""

    models: tuple[TableModel, ...]
    layout: Layout

    def to_dataframe(self) -> pd.DataFrame:
        """A row per task, method and metric.

        Columns: suite, task, method, metric, title, mean, low, high (in the metric's own unit; missing where there is
        none), n, total, best_rank, worst_rank.
        """
        import pandas as pd

        rows = [
            {
                **{"suite": model.suite, "task": model.task, "method": row.label},
                **{"metric": column.metric, "title": column.title},
                **{"mean": cell.mean, "low": cell.low, "high": cell.high, "n": cell.n, "total": cell.total},
                **dict(zip(("best_rank", "worst_rank"), cell.ranks or (None, None), strict=True)),
            }
            for model in self.models
            for row, cells in zip(model.rows, model.cells, strict=True)
            for column, cell in zip(model.columns, cells, strict=True)
        ]
        numbers = {"mean": "Float64", "low": "Float64", "high": "Float64", "best_rank": "Int64", "worst_rank": "Int64"}
        names = ["suite", "task", "method", "metric", "title", *("mean", "low", "high"), "n", "total"]
        return pd.DataFrame(rows, columns=[*names, "best_rank", "worst_rank"]).astype(numbers)

    def to_latex(self, *, standalone: bool = False) -> str:
        """LaTeX with booktabs; ``standalone`` makes a document that compiles by itself."""
        return self.render("latex", standalone)

    def to_markdown(self) -> str:
        """Markdown, with the footers below."""
        return self.render("markdown")

    def to_html(self) -> str:
        """An HTML fragment per table."""
        return self.render("html")

    def _repr_html_(self) -> str:
        return self.to_html()

    def __str__(self) -> str:
        """As the terminal prints it, without a limit to its width."""
        from vapbench.report.render.terminal import lines

        return "\n\n".join("\n".join(map(str, lines(model))).rstrip() for model in self.models)

    def render(self, format_: Format, standalone: bool = False) -> str:
        """Every table as one text of the format."""
        from vapbench.report.render.formats import render_all

        return render_all(self.models, self.layout, format_, standalone)


@dataclass(frozen=True)
class Comparison:
    """Two runs, case by case, in every column both have; one comparison per task."""

    models: tuple[ComparisonModel, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """A row per task and metric.

        Columns: task, a, b, metric, title, mean_a, mean_b, difference, low, high (of a minus b, in the metric's own
        unit), p (adjusted over the columns), n, total, better (the label of the better run, empty if the test does not
        say), reason (why there is no difference).
        """
        import pandas as pd

        rows = []
        for model in self.models:
            labels = {"A": model.a, "B": model.b}
            for column in model.columns:
                found = column.difference
                rows.append(
                    {
                        **{"task": model.task, "a": model.a, "b": model.b},
                        **{"metric": column.column.metric, "title": column.column.title},
                        **{"mean_a": column.mean_a, "mean_b": column.mean_b},
                        **{name: getattr(found, key, None) for name, key in _DIFFERENCE.items()},
                        **{"n": column.n, "total": column.total},
                        **{"better": labels.get(column.verdict, ""), "reason": column.reason},
                    }
                )
        numbers = dict.fromkeys(("mean_a", "mean_b", "difference", "low", "high", "p"), "Float64")
        names = ["task", "a", "b", "metric", "title", *numbers, "n", "total", "better", "reason"]
        return pd.DataFrame(rows, columns=names).astype(numbers)

    def __str__(self) -> str:
        """As the terminal prints it, without a limit to its width."""
        return self.text()

    def text(self, width: int | None = None) -> str:
        """As a terminal of so many columns prints it."""
        from vapbench.report.render.comparison import lines, without_shared, wrapped

        parts, shared = without_shared(self.models)
        notes = [line for note in shared for line in wrapped(note, width)]
        blocks = [list(lines(part, width)) for part in parts] + ([notes] if notes else [])
        return "\n\n".join("\n".join(block) for block in blocks)

    def _repr_html_(self) -> str:
        return str(self.to_dataframe().to_html())


_DIFFERENCE = {"difference": "mean", "low": "low", "high": "high", "p": "adjusted"}


def table_of(folders: Sequence[RunFolder], layout: Layout, order: Sequence[str] = (), check: bool = True) -> Table:
    """Tabulate runs as a layout asks.

    Args:
        folders: runs, in the order of the rows; none is enough for the published rows alone.
        layout: which table, of which columns and rows.
        order: metrics whose columns come first where the layout names none.
        check: whether a column or row that no run has is refused.

    Raises:
        UsageError: no run has a case of the task, or a name is of no row or column.
        DataError: a run is damaged, or no vote is on these runs.
    """
    from vapbench.report.tables.arrange import arranged, check_names, tabulate

    if not folders and layout.published:
        from vapbench.report.tables.published import beside_published, publications

        return Table(tuple(arranged(model, layout) for model in beside_published([], publications())), layout)
    with uncollected():
        models = tabulate(folders, layout, order)
    if check:
        check_names(models, layout, folders)
    return Table(tuple(models), layout)
