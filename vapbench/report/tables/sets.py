"""Columns of set metrics: one number per run, kept by ``vapbench score``, set beside the means of a table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from vapbench.report.model import Cell, Footer, TableModel, places_of
from vapbench.report.read.columns import Column, rows_of
from vapbench.report.read.run_summary import RunSummary
from vapbench.results.sets import SetResult, read_results, videos_digest

_HASH_DIGITS = 12


def with_sets(model: TableModel, runs: Sequence[RunSummary], metrics: Collection[str] | None = None) -> TableModel:
    """A table with a column for every set metric that any of its runs was scored with on its task.

    Args:
        model: a table of these runs.
        runs: the runs, in any order.
        metrics: names of the metrics to show; None for all.

    Raises:
        DataError: a result file is damaged.
    """
    by_name = {row.label: run for row, run in zip(rows_of(runs), runs, strict=True)}
    by_label = {row.label: run for row in model.rows if (run := by_name.get(row.named or row.label))}
    results = [_results(by_label.get(row.label), model.task, metrics) for row in model.rows]
    # The last column of equal definition speaks for how it is shown.
    found = {result.definition: result for line in results for result in line}
    for definition, shown in sorted(found.items()):
        column = _column(shown)
        chosen = [next((r for r in line if r.definition == definition), None) for line in results]
        cells = [
            _cell(result, by_label[row.label], model.task) if row.label in by_label else Cell(None, None, None, 0, 0)
            for row, result in zip(model.rows, chosen, strict=True)
        ]
        model = _appended(model, column, _ranked(model, column, cells, chosen), shown, chosen)
    return model


def _results(run: RunSummary | None, task: str | None, metrics: Collection[str] | None) -> list[SetResult]:
    """The run's results for a task, or for another that has the same cases here; those of today's videos come first."""
    read = [result for result in read_results(run.folder) if metrics is None or result.metric in metrics] if run else []
    if run is None or not read:
        return []
    now, cases = _videos_now(run, task), set(run.cases(task))
    return sorted(
        (result for result in read if result.videos == now or set(run.cases(result.task)) == cases),
        key=lambda result: result.videos != now,
    )


def _column(result: SetResult) -> Column:
    params = {**result.params, **({"weights": result.weights[:_HASH_DIGITS]} if result.weights else {})}
    return Column(
        result.metric,
        result.version,
        params,
        title=result.title,
        higher_is_better=result.higher_is_better,
        unit=result.unit,
        digits=result.digits,
    )


def _cell(result: SetResult | None, run: RunSummary, task: str | None) -> Cell:
    total = len(run.cases(task))
    empty = Cell(None, None, None, 0, total)
    if result is None:
        return replace(empty, reason="not scored with this metric: vapbench score")
    if result.videos != _videos_now(run, task):
        return replace(empty, reason="its videos are others since: vapbench score")
    if result.value is None:
        return replace(empty, unscored=total, reason=result.note)
    return Cell(
        result.value,
        result.low,
        result.high,
        result.cases,
        total,
        unscored=total - result.cases,
        reason="" if result.cases == total else "no output or no ground-truth video",
        conditions=result.clusters,
        no_interval="" if result.low is not None else result.note or "there is one condition",
    )


def _videos_now(run: RunSummary, task: str | None) -> str:
    made = [row for case in run.cases(task) for row in run.generations.get(case, ())]
    return videos_digest(
        (row.case, row.seed, row.sha256)
        for row in made
        if row.status == "ok" and row.sha256 and run.cases()[row.case].target is not None
    )


def _ranked(
    model: TableModel, column: Column, cells: Sequence[Cell], results: Sequence[SetResult | None]
) -> list[Cell]:
    """The cells with places, where all that compete have as many videos: the value depends on their number."""
    ranked = [row.competes and cell.complete for row, cell in zip(model.rows, cells, strict=True)]
    sizes = {result.n for result, can in zip(results, ranked, strict=True) if can and result}
    if len(sizes) > 1:
        return list(cells)
    places = places_of(column, [cell.mean if can else None for cell, can in zip(cells, ranked, strict=True)])
    return [replace(cell, place=place) for cell, place in zip(cells, places, strict=True)]


def _appended(
    model: TableModel, column: Column, cells: Sequence[Cell], shown: SetResult, results: Sequence[SetResult | None]
) -> TableModel:
    sizes = sorted({result.n for result in results if result})
    span = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    footer = (
        f"Columns: {column.title} is {column.definition}, one number per run: its outputs ({span} "
        f"{'video' if span == '1' else 'videos'}) against "
        f"{shown.reference}; brackets: 95% over conditions. It depends on the number of videos."
    )
    return replace(
        model,
        columns=(*model.columns, column),
        cells=tuple((*line, cell) for line, cell in zip(model.cells, cells, strict=True)),
        scores=tuple((*line, {}) for line in model.scores),
        footers=(*model.footers, Footer("columns", footer)),
    )
