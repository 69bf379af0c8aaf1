"""Columns of reference effects: what probes that are kept with the results say of a table's methods."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from vapbench.files.text import counted
from vapbench.report.model import Cell, Footer, TableModel
from vapbench.report.read.columns import rows_of
from vapbench.report.read.probes import EFFECT, Probe, ProbeInterval, read_probes
from vapbench.report.read.run_summary import RunSummary

NOT_PROBED = Cell(None, None, None, 0, 0, reason="not probed: vapbench probe")


def with_probes(model: TableModel, runs: Sequence[RunSummary], metrics: Collection[str] | None = None) -> TableModel:
    """A table with the reference effects that probes beside its runs found: of its own task, or of parts of it.

    A run that was probed itself has the column already, as a set metric that holds for its very videos.

    Args:
        model: a table of these runs, its set metrics included.
        runs: the runs, in any order.
        metrics: names of the columns to show; None for all.
    """
    if metrics is not None and EFFECT not in metrics:
        return model
    by_name = {row.label: run for row, run in zip(rows_of(runs), runs, strict=True)}
    by_label = {row.label: run for row in model.rows if (run := by_name.get(row.named or row.label))}
    places = {label: run.folder.path.absolute().parent.parent for label, run in by_label.items()}
    probes = {place: read_probes([place]) for place in dict.fromkeys(places.values())}
    fitting = {
        label: [probe for probe in probes[places[label]] if probe.suite == run.suite and _fits(probe, model, run)]
        for label, run in by_label.items()
    }
    return with_effects(model, by_label, fitting)


def with_effects(
    table: TableModel, runs: Mapping[str, RunSummary], probes: Mapping[str, Sequence[Probe]]
) -> TableModel:
    """The table with a column for each effect that its probes know of any of its rows.

    The column ranks nobody: who was not probed is not behind who was.

    Args:
        table: a table of measured rows.
        runs: label -> the run.
        probes: label -> probes of the table's task, or of a part of it.
    """
    found: dict[tuple[str, ...], tuple[Probe, dict[str, ProbeInterval]]] = {}
    for label, run in runs.items():
        for probe in probes.get(label, ()):
            if (probed := probe.of(run)) and (difference := probed.effect("reference")):
                found.setdefault(probe.definition, (probe, {}))[1][label] = difference
    for probe, differences in found.values():
        table = _with_effect(table, probe, differences)
    return table


def _fits(probe: Probe, model: TableModel, run: RunSummary) -> bool:
    """Whether a probe is of the table's task, or of a task whose cases are some of the table's."""
    cases = set(run.cases(probe.task))
    return probe.task == model.task or (bool(cases) and cases < set(model.conditions))


def _with_effect(table: TableModel, probe: Probe, differences: Mapping[str, ProbeInterval]) -> TableModel:
    part = "" if probe.task == table.task else probe.task
    column = probe.effect_column
    column = replace(column, title=f"{column.title}, {part}" if part else column.title)
    cells = [_cell(differences.get(row.label)) for row in table.rows]
    if not part and (place := _same(table, probe)) is not None:
        # What a run's own probe said stays; the kept one speaks for the others.
        own = [line[place] for line in table.cells]
        cells = [mine if mine.mean is not None else cell for mine, cell in zip(own, cells, strict=True)]
        if cells == own:
            return table
        lines = [(*line[:place], cell, *line[place + 1 :]) for line, cell in zip(table.cells, cells, strict=True)]
        column = table.columns[place]
        table = replace(table, cells=tuple(lines))
    else:
        table = replace(
            table,
            columns=(*table.columns, column),
            cells=tuple((*line, cell) for line, cell in zip(table.cells, cells, strict=True)),
            scores=tuple((*line, {}) for line in table.scores),
        )
    footer = (
        f"Columns: {column.title} is {column.definition}: what a reference of another condition takes from "
        f"{probe.title}, of a probe of {counted(probe.cases, 'case')}{f' of the task {part}' if part else ''}. Its "
        "videos are its own, of the same method, parameters and weights. It ranks nobody."
    )
    return replace(table, footers=(*table.footers, Footer("columns", footer)))


def _same(table: TableModel, probe: Probe) -> int | None:
    """The table's column of the same effect, from runs that were probed themselves."""
    ours = probe.effect_column
    for place, column in enumerate(table.columns):
        if (column.metric, column.version) == (
            ours.metric,
            ours.version,
        ) and ours.params.items() <= column.params.items():
            return place
    return None


def _cell(found: ProbeInterval | None) -> Cell:
    if found is None:
        return NOT_PROBED
    return Cell(found.mean, found.low, found.high, found.n, found.n, conditions=found.clusters)
