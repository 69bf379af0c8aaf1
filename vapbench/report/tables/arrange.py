"""From runs and a layout to the tables an author asked for: which columns, which rows, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vapbench.errors import DataError, ErrorKind, UsageError, did_you_mean
from vapbench.report.model import Footer, TableModel
from vapbench.report.read.columns import labels_by_name
from vapbench.report.read.probes import EFFECT, read_probes
from vapbench.report.read.read_runs import read_all
from vapbench.report.read.run_summary import chosen
from vapbench.report.tables.layout import GIVEN, SCORE, Layout
from vapbench.report.tables.summary import summarise
from vapbench.results.run import RunFolder
from vapbench.results.sets import read_results

PAPER_COLUMNS = (
    "text_alignment",
    "motion_smoothness",
    "dynamic_degree",
    "aesthetic_quality",
    "semantic_alignment",
    "reference_effect",
    "reference_leakage",
    "preference_rate",
)
"""Metrics of the paper's table, in its order; of each, one variant.

Beside alignment stands how much of it the reference causes, where a probe was run, and how much of the reference's
content leaks, where that was scored."""

_BESIDE_ALIGNMENT = {
    EFFECT: "reference effect (vapbench probe)",
    "reference_leakage": "reference leakage (vapbench score RUN --metric 'reference_leakage[pixels]')",
}


def tabulate(folders: Sequence[RunFolder], layout: Layout, order: Sequence[str] = ()) -> list[TableModel]:
    """The tables of a layout; its ``runs`` and ``suite`` have chosen ``folders`` already.

    Args:
        folders: run folders, in the order of the rows.
        layout: what is wanted.
        order: metrics whose columns come first where the layout names none.

    Raises:
        UsageError: a row, column or task that nothing has (with a suggestion).
        DataError: a folder is damaged, or no vote is on these runs.
    """
    models = summarise(folders, layout.task, layout.only, layout.reference, order, layout)
    if layout.style == "ablation" and layout.reference is None and models:
        competing = [row.label for row in arranged(models[0], layout).rows if row.competes]
        first = competing[0] if competing else models[0].rows[0].label
        models = summarise(folders, layout.task, layout.only, first, order, layout)
    if layout.votes is not None:
        models = _with_votes(models, layout)
    if layout.published:
        from vapbench.report.tables.published import beside_published, publications

        models = beside_published(models, publications())
    return [arranged(model, layout) for model in models]


def arranged(model: TableModel, layout: Layout) -> TableModel:
    """A table with the layout's columns, labels, groups, order and caption."""
    model = _with_columns(model, layout)
    model = replace(model, rows=layout.relabelled(model.rows))
    return replace(_with_rows(model, layout), title=layout.caption or model.title)


def shown_columns(model: TableModel, layout: Layout) -> list[int]:
    """Columns that are printed: of the style ``paper`` the paper's, if it has any of them and the layout names none."""
    everything = list(range(len(model.columns)))
    if layout.style != "paper" or layout.only is not None:
        return everything
    wanted: list[int] = []
    for name in PAPER_COLUMNS:
        variants = [i for i in everything if model.columns[i].metric.partition("[")[0] == name]
        if layout.by_category:
            wanted += variants
        elif variants:
            # Of several variants, the one most methods have; the first of these.
            filled = {i: sum(line[i].mean is not None for line in model.cells) for i in variants}
            wanted.append(max(variants, key=lambda i: (filled[i], -i)))
    added = [c for c in layout.columns if c.name != c.metric]
    also = [i for i in everything if i not in wanted and any(c.fits(model.columns[i]) for c in added)]
    return [*wanted, *also] if wanted else everything


def lacking(model: TableModel, layout: Layout) -> Iterator[Footer]:
    """What the paper's table should show beside alignment and no row has: alignment alone says not what caused it."""
    names = {column.metric.partition("[")[0] for column in model.columns}
    absent = [text for name, text in _BESIDE_ALIGNMENT.items() if name not in names]
    if (
        absent
        and layout.style == "paper"
        and layout.only is None
        and model.conditions
        and "semantic_alignment" in names
    ):
        yield Footer("lacking", f"Not measured here, and missing beside alignment: {', '.join(absent)}.")


def only_columns(model: TableModel, chosen: Sequence[int]) -> TableModel:
    """The table with some of its columns, in this order, and without the lines below it that are about others."""
    if list(chosen) == list(range(len(model.columns))):
        return model
    columns = tuple(model.columns[index] for index in chosen)
    # Of a column that is split by category, notes have the title that it was split from.
    shown = {title for column in columns for title in (column.title, column.title.rpartition(", ")[0])}
    hidden = tuple(f"{column.title}: " for column in model.columns if column.title not in shown)
    footers = []
    for footer in model.footers:
        if footer.kind == "columns":
            head, _, rest = footer.partition(": ")
            parts = [part for part in rest.removesuffix(".").split("; ") if part.partition(" is ")[0] in shown]
            footers += [Footer("columns", f"{head}: {'; '.join(parts)}.")] if parts else []
        elif not (footer.kind in ("votes", "published") and footer.startswith(hidden)):
            footers.append(footer)
    about = [(r, tuple(c for c in r.columns if c in shown)) for r in model.remarks]
    return replace(
        model,
        columns=columns,
        cells=tuple(tuple(line[index] for index in chosen) for line in model.cells),
        scores=tuple(tuple(line[index] for index in chosen) for line in model.scores),
        footers=tuple(footers),
        remarks=tuple(replace(r, columns=kept) for r, kept in about if kept or not r.columns),
    )


def _with_columns(model: TableModel, layout: Layout) -> TableModel:
    """Choose, order and title: what was added since the columns were read, such as votes, as well."""
    if layout.only is not None:
        found = [i for choice in layout.columns for i, column in enumerate(model.columns) if choice.fits(column)]
        model = only_columns(model, list(dict.fromkeys(found)))
    return model if layout.by_category else replace(model, columns=tuple(map(layout.restyled, model.columns)))


def _with_rows(model: TableModel, layout: Layout) -> TableModel:
    known = labels_by_name(model.rows)
    member = {known[name]: (number, place) for number, group in enumerate(layout.groups)
              for place, name in enumerate(group.rows) if name in known}  # fmt: skip
    order, column = layout.order, next(iter(shown_columns(model, layout)), 0)
    if order not in (GIVEN, SCORE):
        column = next((i for i, c in enumerate(model.columns) if _called(order, c.metric, c.title)), column)
    sign = -1 if model.columns and model.columns[column].higher_is_better is not False else 1

    def key(index: int) -> tuple[object, ...]:
        row = model.rows[index]
        group, place = member.get(row.label, (-1, index))
        if row.published or (group < 0 and not row.competes):
            # Bounds and papers' rows stay where they are: they are not sorted among what competes.
            return ({"ceiling": -3}.get(row.kind, len(layout.groups) + (1 if row.published else 0)), 0, 0, index)
        if order == GIVEN or not model.columns:
            return (group, 0, 0, place)
        mean = model.cells[index][column].mean
        return (group, mean is None, sign * (mean or 0.0), place)

    rows = sorted(range(len(model.rows)), key=key)
    grouped = {label: layout.groups[number].title for label, (number, _) in member.items()}
    return replace(
        model,
        rows=tuple(replace(model.rows[i], group=grouped.get(model.rows[i].label, "")) for i in rows),
        cells=tuple(model.cells[i] for i in rows),
        scores=tuple(model.scores[i] for i in rows) if model.scores else (),
        reference=None if model.reference is None else rows.index(model.reference),
    )


def _check_column(name: str, folders: Sequence[RunFolder]) -> None:
    """Refuse the name of a column that no run has.

    Raises:
        UsageError: with the columns there are.
    """
    columns = {key for run in read_all(folders) for key in run.scores}
    known = {key.metric for key in columns} | {found.metric for folder in folders for found in read_results(folder)}
    known |= {EFFECT for place in {folder.path.absolute().parent.parent for folder in folders} if read_probes([place])}
    if not chosen(columns, [name]) and name not in known:
        raise UsageError(f"No run has a column {name!r}.{did_you_mean(name, known)}", ErrorKind.UNKNOWN, "metric")


def _called(name: str, metric: str, title: str) -> bool:
    return name in (metric, metric.partition("[")[0], title)


def check_names(models: Sequence[TableModel], layout: Layout, folders: Sequence[RunFolder]) -> None:
    """Refuse names of rows and columns that no table has: a slip would go unnoticed.

    Args:
        models: the tables.
        layout: what they were asked to show.
        folders: the runs they are of, for the columns that the layout left out.

    Raises:
        UsageError: with the nearest name there is.
    """
    labels = {name for model in models for name in labels_by_name(model.rows)}
    named = {*layout.labels, *(name for group in layout.groups for name in group.rows)}
    for name in sorted(named - labels):
        raise UsageError(f"No row is called {name!r}.{did_you_mean(name, labels)}", ErrorKind.UNKNOWN, "row")
    columns = [column for model in models for column in model.columns]
    spelled = {column.metric for column in columns}
    for choice in layout.columns:
        if not any(choice.fits(column) for column in columns):
            if not (layout.votes or layout.published):
                _check_column(choice.name, folders)
            raise UsageError(
                f"No table has a column {choice.name!r}.{did_you_mean(choice.name, spelled)}",
                ErrorKind.UNKNOWN,
                "metric",
            )
    if layout.sort not in ("", GIVEN, SCORE) and not any(_called(layout.sort, c.metric, c.title) for c in columns):
        raise UsageError(
            f"No table has a column {layout.sort!r} to sort by.{did_you_mean(layout.sort, spelled)}",
            ErrorKind.UNKNOWN,
            "metric",
        )


def _with_votes(models: Sequence[TableModel], layout: Layout) -> list[TableModel]:
    from vapbench.report.tables.agreement import read_votes
    from vapbench.report.tables.preference import with_votes

    assert layout.votes is not None
    cast = read_votes(layout.votes)
    voted = [with_votes(model, cast) for model in models]
    if not any(len(after.columns) > len(before.columns) for before, after in zip(models, voted, strict=True)):
        raise DataError(
            f"{layout.votes}: no vote is on cases and methods of these runs; name the runs that were judged.",
            ErrorKind.CONFLICT,
            "votes",
        )
    return voted
