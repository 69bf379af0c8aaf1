"""Submissions on a board: what the suite says of them, and rows below everybody's that move no number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from vapbench.files.atomic import canonical_json
from vapbench.files.text import counted
from vapbench.leaderboard.boards import Attested
from vapbench.leaderboard.roster import Roster
from vapbench.leaderboard.submission import Submission
from vapbench.leaderboard.texts import script_of
from vapbench.report.model import Cell, Footer, TableModel
from vapbench.report.read.columns import Column
from vapbench.report.read.probes import EFFECT
from vapbench.report.read.read_runs import read_all
from vapbench.report.read.run_summary import ColumnKey, RunSummary
from vapbench.report.tables.effects import NOT_PROBED
from vapbench.report.tables.summary import tables_of
from vapbench.results.manifest import Manifest
from vapbench.results.rows import GenerationRow
from vapbench.results.run import RunFolder

OWN = "Self-reported: its submitter's own rows, "


def admit(folder: RunFolder, said: Submission, roster: Roster) -> RunSummary:
    """A checked submission as the summary of a run.

    Cases, conditions, tasks, seeds and the display of columns are the suite's. Every case of a task it takes part in
    is planned, whatever it planned itself: what it lacks is missing.
    """
    (run,) = read_all([folder])
    tasks = {task for case in run.manifest.cases for task in roster.cases[case].tasks}
    cases = {name: case for name, case in roster.cases.items() if tasks & set(case.tasks)}
    script = script_of(said.title)
    identity, sessions = run.manifest.document["identity"], run.manifest.sessions[-1:]
    document = {
        "identity": {
            name: identity[name] for name in ("suite", "name", "version", "parameters", "weights") if name in identity
        },
        "cases": {name: {**case.model_dump(), "seeds": list(roster.seeds)} for name, case in cases.items()},
        "metrics": {
            key.metric: column.shown.model_dump(include=column.shown.model_fields_set)
            for key, column in roster.columns.items()
        },
        "card": {
            "title": said.title + (f" [in {script} letters]" if script else ""),
            "kind": run.manifest.card.kind or "outputs",
            "changed": {},
        },
        "sessions": [session.model_dump(include={"started", "ended"}) for session in sessions],
    }
    # Nobody here measured its times, and what it notes of its own clips would stand under everybody's table.
    made = {case: tuple(map(_without_claims, rows)) for case, rows in run.generations.items()}
    return replace(run, manifest=Manifest.of(document), generations=made)


def _without_claims(row: GenerationRow) -> GenerationRow:
    values = {each.name: getattr(row, each.name) for each in fields(GenerationRow)}
    return GenerationRow(**{**values, "notes": (), "seconds": None})


def table_of_reported(suite: str, task: str | None, runs: Mapping[str, RunSummary]) -> TableModel:
    """A table without rows, for a board on which nothing was measured: the columns of what was reported."""
    alone = [tables_of(suite, [run], [task])[0] for run in runs.values() if run.cases(task)]
    columns = {_key(column): column for table in alone for column in table.columns}
    conditions = {case: condition for table in alone for case, condition in table.conditions.items()}
    categories = {case: category for table in alone for case, category in table.categories.items()}
    footer = Footer("rows", "Nothing was measured here yet: every row is its submitter's own.")
    return TableModel(
        alone[0].title,
        suite,
        task,
        tuple(columns[key] for key in sorted(columns)),
        (),
        (),
        (footer,),
        conditions=conditions,
        categories=categories,
    )


def with_reported(table: TableModel, runs: Mapping[str, RunSummary], found: Mapping[str, Attested]) -> TableModel:
    """The table with self-reported rows below its own, which stay as they are.

    Each is computed by itself and has no place; columns that the table lacks are left out.

    Args:
        table: rows that were measured or computed again.
        runs: label -> the run.
        found: label -> what scoring its videos anew found, if somebody did.
    """
    keys = [_key(column) for column in table.columns]
    for label, run in runs.items():
        cases = run.cases(table.task)
        if not any(case in run.generations for case in cases):
            continue
        alone = tables_of(table.suite, [run], [table.task])[0]
        place = {_key(column): number for number, column in enumerate(alone.columns)}
        absent = Cell(None, None, None, 0, len(cases), reason="not scored with this metric")
        # An effect is no metric that a run could lack: it is of a probe.
        lacking = {key: NOT_PROBED if key.metric == EFFECT else absent for key in keys}
        cells = [alone.cells[0][place[key]] if key in place else lacking[key] for key in keys]
        scores = [alone.scores[0][place[key]] if key in place else {} for key in keys]
        table = replace(
            table,
            rows=(*table.rows, replace(alone.rows[0], label=label, notes=(OWN + _why_not_ranked(found.get(label)),))),
            cells=(*table.cells, tuple(replace(cell, place=None, ranks=None) for cell in cells)),
            scores=(*table.scores, tuple(scores)),
            conditions={**alone.conditions, **table.conditions},
            categories={**alone.categories, **table.categories},
        )
    return table


def labelled(runs: Sequence[RunSummary], taken: Sequence[str]) -> dict[str, RunSummary]:
    """Self-reported runs by a label that no other row has."""
    found: dict[str, RunSummary] = {}
    for run in runs:
        name = run.folder.path.name
        found[f"{name} (submitted)" if name in {*taken, *found} else name] = run
    return found


def _why_not_ranked(found: Attested | None) -> str:
    if found is None or not found.videos:
        return "which nobody has computed again; not ranked."
    wrong = [
        *([counted(found.copies, "is a copy", "are copies")] if found.copies else []),
        *([counted(found.differences, "value differs", "values differ")] if found.differences else []),
    ]
    said = ", and ".join(wrong) or "not every column could be confirmed"
    return f"not ranked: {found.videos} of its {counted(found.of, 'video')} scored anew, {said}."


def _key(column: Column) -> ColumnKey:
    return ColumnKey(column.metric, column.version, canonical_json(dict(column.params)))
