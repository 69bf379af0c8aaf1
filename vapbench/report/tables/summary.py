"""Tables from run folders: methods by metrics, from rows alone.

It is a pure function of the run folders: no clock, no video, no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vapbench.errors import ErrorKind, UsageError, did_you_mean
from vapbench.report.model import CONFIDENCE, Cell, Footer, TableModel, places_of
from vapbench.report.ranking import Units, against, rank_spans, units_of
from vapbench.report.read.columns import Column, Row, columns_of, labels_by_name, rows_of
from vapbench.report.read.other_cases import cases_apart, line_of, seen_by
from vapbench.report.read.read_runs import read_all, split_by_files
from vapbench.report.read.remarks import remarks_of
from vapbench.report.read.run_summary import ColumnKey, RunSummary, chosen
from vapbench.report.tables.effects import with_probes
from vapbench.report.tables.footers import cases_of, footers_of
from vapbench.report.tables.layout import Layout
from vapbench.report.tables.sets import with_sets
from vapbench.results.run import RunFolder
from vapbench.stats.intervals import clustered_mean, clustered_share

PLAIN = Layout()


def summarise(
    folders: Sequence[RunFolder],
    task: str | None = None,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
    order: Sequence[str] = (),
    layout: Layout = PLAIN,
) -> list[TableModel]:
    """Tables of the run folders: one per suite and task.

    Args:
        folders: run folders, in the order of the rows; ceilings go to the top and floors to the bottom.
        task: the task to tabulate; None for every task that the manifests name.
        metrics: columns to show, in this order, as :func:`~vapbench.report.read.run_summary.chosen` takes them;
            None for every one that any of the table's cases was scored with.
        reference: label of the row that the others are tested against; None: no tests.
        order: metrics whose columns come first, in this order.
        layout: labels of rows, titles and decimals of columns, and whether columns are split by category.

    Returns:
        Suites in order of first appearance; of each the table of most cases, then its categories.

    Raises:
        UsageError: no run has a case of ``task``, or is called ``reference`` (with a suggestion).
        DataError: a folder is no run folder, or is damaged.
    """
    suites: dict[str, list[RunSummary]] = {}
    for run in split_by_files(read_all(folders)):
        if metrics is not None:
            run = replace(run, scores={key: run.scores[key] for key in chosen(run.scores, metrics)})
        suites.setdefault(run.suite, []).append(run)
    keys = sorted({key for runs in suites.values() for run in runs for key in run.scores})
    order = [key.metric for name in metrics or () for key in keys if key in chosen(keys, [name])] or order
    with_task = {suite: runs for suite, runs in suites.items() if task is None or any(run.cases(task) for run in runs)}
    tables = []
    for suite, runs in with_task.items():
        *parts, whole = task_names(runs) if task is None else [task]
        made = tables_of(suite, runs, [whole, *parts], reference, order, layout)
        if layout.by_category:
            tables += [by_category(table, runs, reference, order, layout) for table in made]
        else:
            tables += [with_probes(with_sets(table, runs, metrics), runs, metrics) for table in made]
    if task is not None and not tables and suites:
        known = {name for runs in suites.values() for name in _tasks(runs)}
        raise UsageError(f"No run has a case of task {task!r}.{did_you_mean(task, known)}", ErrorKind.UNKNOWN, "task")
    return tables


def by_category(
    model: TableModel, runs: Sequence[RunSummary], reference: str | None, order: Sequence[str], layout: Layout
) -> TableModel:
    """The table with a column per category in place of each of its columns, and one of all its cases.

    Args:
        model: a table of the runs.
        runs: the runs.
        reference: as in :func:`summarise`.
        order: as in :func:`summarise`.
        layout: as in :func:`summarise`.
    """
    names = sorted(set(model.categories.values()))
    parts = {
        name: tables_of(model.suite, _within(runs, model, name), [None], reference, order, layout)[0] for name in names
    }
    columns: list[Column] = []
    cells: list[list[Cell]] = [[] for _ in model.rows]
    scores: list[list[Mapping[str, float]]] = [[] for _ in model.rows]
    for column in model.columns:
        for name, part in [*parts.items(), ("all", model)]:
            place = part.columns.index(column) if column in part.columns else None
            title = name if len(model.columns) == 1 else f"{column.title}, {name}"
            columns.append(replace(column, title=title))
            total = sum(category == name for category in model.categories.values())
            known = {row.label: number for number, row in enumerate(part.rows)}
            for number, row in enumerate(model.rows):
                there = known.get(row.label)
                lacking = Cell(None, None, None, 0, total, reason="no case of the category was planned or scored")
                cells[number].append(lacking if there is None or place is None else part.cells[there][place])
                scores[number].append({} if there is None or place is None else part.scores[there][place])
    told = f"{model.columns[0].title} by category" if len(model.columns) == 1 else "by category"
    own = [
        Footer(footer.kind, f"Of {name}: {footer}")
        for name, part in parts.items()
        for footer in part.footers
        if footer.kind in ("conditions", "power") and footer not in model.footers
    ]
    return replace(
        model,
        title=f"{model.title} · {told}" if model.columns else model.title,
        columns=tuple(columns),
        cells=tuple(map(tuple, cells)),
        scores=tuple(map(tuple, scores)),
        footers=(*model.footers, *own),
    )


def _within(runs: Sequence[RunSummary], model: TableModel, category: str) -> list[RunSummary]:
    """The runs with the table's cases of one category alone."""
    return [
        replace(
            run,
            manifest=run.manifest.model_copy(
                update={"cases": {n: c for n, c in run.manifest.cases.items() if model.categories.get(n) == category}}
            ),
        )
        for run in runs
    ]


def summarise_run(run: RunSummary) -> TableModel:
    """The one-row table of a run over all its planned cases."""
    return tables_of(run.suite, [run], [None])[0]


def task_names(runs: Sequence[RunSummary]) -> list[str | None]:
    """Tasks worth a table: small ones first, and of tasks with the very same cases only the most specific.

    ``[None]`` (every planned case) if no case belongs to a task.
    """
    sizes = {task: frozenset(cases_of(runs, task)) for task in _tasks(runs)}
    categories = {str(case.category) for run in runs for case in run.cases().values()}
    # A run of one category is that category's table, whatever wider task it may also belong to.
    ordered = sorted(sizes, key=lambda task: (len(sizes[task]), task not in categories, task))
    names: list[str | None] = []
    for task in ordered:
        if sizes[task] not in (sizes[str(seen)] for seen in names):
            names.append(task)
    return names or [None]


def tables_of(
    suite: str,
    runs: Sequence[RunSummary],
    tasks: Sequence[str | None],
    reference: str | None = None,
    order: Sequence[str] = (),
    layout: Layout = PLAIN,
) -> list[TableModel]:
    """Tables of one suite. Rows and columns are titled once, so that they read alike in every table."""
    first = {name: place for place, name in enumerate(order)}
    keys = sorted({key for run in runs for key in run.scores}, key=lambda key: (first.get(key.metric, len(first)), key))
    shown = {name: item for run in runs for name, item in run.manifest.metrics.items()}
    titled = dict(zip(keys, map(layout.restyled, columns_of(keys, shown)), strict=True))
    rows = layout.relabelled(rows_of(runs))
    reference = labels_by_name(rows).get(reference, reference) if reference else None
    labelled = sorted(
        zip(rows, runs, strict=True),
        key=lambda pair: {"ceiling": 0, "floor": 2}.get(pair[0].kind, 1),
    )
    labels = [row.label for row, _ in labelled]
    if reference is not None and reference not in labels:
        raise UsageError(f"No row is called {reference!r}.{did_you_mean(reference, labels)}", ErrorKind.UNKNOWN, "row")
    return [
        _table(suite, task, titled, [(row, run) for row, run in labelled if run.cases(task) or task is None], reference)
        for task in tasks
    ]


def _table(
    suite: str,
    task: str | None,
    titled: Mapping[ColumnKey, Column],
    labelled: Sequence[tuple[Row, RunSummary]],
    reference: str | None,
) -> TableModel:
    rows, runs = tuple(row for row, _ in labelled), [run for _, run in labelled]
    keys = [
        key for key in titled if any(case in run.cases(task) for run in runs for case, _ in run.scores.get(key, ()))
    ]
    columns = tuple(titled[key] for key in keys)
    cells, comparable, base = [], _comparable(rows, runs, task), _reference(rows, reference)
    conditions = {case: condition for run in runs for case, condition in run.conditions(task).items()}
    units = units_of(conditions)
    scored = [[run.case_means(key, task) for key in keys] for run in runs]
    kinds = [
        _Kind(titled[key], units.fixed, titled[key].range == (0, 1) and all(run.yes_or_no(key) for run in runs))
        for key in keys
    ]
    for run, values in zip(runs, scored, strict=True):
        found = zip(keys, kinds, values, strict=True)
        cells.append([_cell(run, key, kind, task, scores) for key, kind, scores in found])
    apart = cases_apart(runs, task)
    untested = {index for index, key in enumerate(keys) if seen_by(key, runs, apart)}
    for index, column in enumerate(columns):
        if index in untested:
            continue
        _rank(column, index, cells, comparable, [values[index] for values in scored], units)
        if base is not None:
            total = len(cases_of([run for row, run in labelled if row.competes] or runs, task))
            versus = against([values[index] for values in scored], base, units, total)
            for line, difference in zip(cells, versus, strict=True):
                line[index] = replace(line[index], versus=difference)
    footers = footers_of(columns, rows, runs, cells, comparable, task, base, conditions, [kind.share for kind in kinds])
    if apart:
        named = ", ".join(columns[index].title for index in sorted(untested))
        footers.append(Footer("cases", line_of(apart, f"; {named}: neither ranked nor tested" if named else "")))
    return TableModel(
        " · ".join([suite, *([task] if task else []), _extent(runs, task)]),
        suite,
        task,
        columns,
        rows,
        tuple(tuple(line) for line in cells),
        tuple(footers),
        base,
        tuple(map(tuple, scored)),
        conditions,
        remarks_of({row.label: run for row, run in labelled}, {key: titled[key].title for key in keys}, task),
        {case: plan.category or "none" for run in runs for case, plan in run.cases(task).items()},
    )


def _reference(rows: Sequence[Row], label: str | None) -> int | None:
    labels = [row.label for row in rows]
    return labels.index(label) if label in labels else None


def _rank(
    column: Column,
    index: int,
    cells: Sequence[list[Cell]],
    comparable: Sequence[bool],
    scored: Sequence[Mapping[str, float]],
    units: Units,
) -> None:
    """Fill in places and rank intervals of one column."""
    ranked = [can and line[index].complete for line, can in zip(cells, comparable, strict=True)]
    places = places_of(column, [line[index].mean if can else None for line, can in zip(cells, ranked, strict=True)])
    scores = [values if can else None for values, can in zip(scored, ranked, strict=True)]
    spans = rank_spans(scores, units, column.higher_is_better)
    for line, place, span in zip(cells, places, spans, strict=True):
        line[index] = replace(line[index], place=place, ranks=span)


@dataclass(frozen=True)
class _Kind:
    """Which interval the means of a column get."""

    column: Column
    fixed: bool
    """Whether conditions are taken as they are."""
    share: bool
    """Whether every score is yes (1) or no (0)."""


def _cell(run: RunSummary, key: ColumnKey, kind: _Kind, task: str | None, scored: Mapping[str, float]) -> Cell:
    conditions = run.conditions(task)
    if len(scored) == len(conditions):
        # The usual case, without asking each row again what became of it.
        return _with_interval(Cell(None, None, None, len(scored), len(conditions)), kind, scored, conditions)
    why = run.why(key, task)
    states = {state: sum(each.count for each in why if each.state == state) for state in ("failed", "unscored")}
    # What is not scored yet needs no reason beside what failed or does not apply.
    reasons = [each for each in why if each.state != "missing" or key not in run.scores] or why
    cell = Cell(
        mean=None,
        low=None,
        high=None,
        n=len(scored),
        total=len(conditions),
        failed=states["failed"],
        unscored=states["unscored"],
        reason=max(reasons, key=lambda each: each.count).reason if reasons else "",
        reasons=max(1, len(reasons)),
        why=why,
    )
    return _with_interval(cell, kind, scored, conditions)


def _with_interval(cell: Cell, kind: _Kind, scored: Mapping[str, float], condition: Mapping[str, str]) -> Cell:
    if not scored:
        return cell
    conditions = [condition[case] for case in scored]
    values, clusters = list(scored.values()), list(scored) if kind.fixed else conditions
    if kind.share:
        estimate = clustered_share(values, clusters, CONFIDENCE)
    else:
        estimate = clustered_mean(values, clusters, CONFIDENCE, kind.column.range)
    return replace(
        cell,
        mean=estimate.mean,
        low=estimate.low,
        high=estimate.high,
        conditions=len(set(conditions)),
        no_interval=estimate.reason,
    )


def _comparable(rows: Sequence[Row], runs: Sequence[RunSummary], task: str | None) -> list[bool]:
    """Which rows can be ranked against each other: competitors that planned all of the table's cases."""
    competitors = [run for row, run in zip(rows, runs, strict=True) if row.competes]
    everything = set(cases_of(competitors, task))
    return [row.competes and set(run.cases(task)) == everything for row, run in zip(rows, runs, strict=True)]


def _extent(runs: Sequence[RunSummary], task: str | None) -> str:
    cases = {len(run.cases(task)) for run in runs}
    seeds = {count for run in runs for count in run.seeds(task)}
    text = f"{_span(cases)} case{'' if cases == {1} else 's'}"
    return f"{text} x {_span(seeds)} seed{'' if seeds == {1} else 's'}" if seeds else text


def _span(numbers: set[int]) -> str:
    low, high = min(numbers, default=0), max(numbers, default=0)
    return str(low) if low == high else f"{low} to {high}"


def _tasks(runs: Sequence[RunSummary]) -> list[str]:
    return list(dict.fromkeys(task for run in runs for task in run.tasks))
