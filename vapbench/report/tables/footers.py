"""What must be said below a table: what numbers are, what they rest on, and what each row's reader must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vapbench.files.text import counted
from vapbench.report.model import CONFIDENCE, MEAN, Cell, Footer, FooterKind
from vapbench.report.ranking import SHORTFALL, fixed_note, out_of_reach, units_of
from vapbench.report.read.case_notes import lines_of
from vapbench.report.read.columns import Column, Row
from vapbench.report.read.facts import made_with
from vapbench.report.read.run_summary import RunSummary
from vapbench.report.read.versions import version_lines
from vapbench.stats import STATISTICS_VERSION


def footers_of(
    columns: Sequence[Column],
    rows: Sequence[Row],
    runs: Sequence[RunSummary],
    cells: Sequence[Sequence[Cell]],
    comparable: Sequence[bool],
    task: str | None,
    reference: int | None,
    conditions: Mapping[str, str],
    shares: Sequence[bool],
) -> list[Footer]:
    """What must be said below a table, in order; ``shares`` tells of each column whether it is one of yes or no."""
    units = units_of(conditions)
    filled = [cell for line in cells for cell in line if cell.mean is not None]
    footers: list[Footer] = []

    def say(kind: FooterKind, text: str) -> None:
        footers.append(Footer(kind, text))

    if not columns:
        lost = [
            f"{row.label}: {said}." for row, run in zip(rows, runs, strict=True) if (said := run.without_video(task))
        ]
        for text in lost or ["No scores yet; see: vapbench score --help"]:
            say("cases", text)
    lacking = "; ".join(dict.fromkeys(cell.no_interval for cell in filled if cell.no_interval))
    if any(cell.low is not None for cell in filled):
        shown = [
            (column.title, share)
            for column, share, filling in zip(columns, shares, zip(*cells, strict=True), strict=True)
            if any(cell.low is not None for cell in filling)
        ]
        say(
            "mean",
            f"{MEAN}; brackets: {CONFIDENCE:.0%} interval, {_interval_kinds(shown)}, "
            f"{'by case within conditions' if units.fixed else 'clustered by condition'} "
            f"(statistics {STATISTICS_VERSION})" + (f"; some have none: {lacking}." if lacking else "."),
        )
    elif filled:
        say("mean", f"{MEAN}; no interval: {lacking}.")
    if units.fixed and filled:
        say("conditions", fixed_note(conditions))
    if any(cell.ranks for cell in filled):
        say(
            "ranks",
            f"#: ranks a method may have, all of a column at once with {CONFIDENCE:.0%} (sign-flip max-t over all "
            f"pairs; signs of {units.how} are flipped).",
        )
    if reference is not None:
        say(
            "tests",
            f"Tests against {rows[reference].label}: sign-flip of {units.how} on common cases, adjusted for the "
            f"methods of a column (max-t); none with less than {1 - SHORTFALL:.0%} of the cases.",
        )
    if reference is not None or sum(row.competes for row in rows) > 1:
        flipped = max((cell.n if units.fixed else cell.conditions for cell in filled), default=0)
        if reason := out_of_reach(flipped, units.name):
            say("power", reason) if reference is not None else say("ranks", f"#: no ranks. {reason}")
    if columns:
        say("columns", "Columns: " + "; ".join(f"{c.title} is {c.definition}" for c in columns) + ".")
    everything = len(cases_of(runs, task))
    for row, run, can in zip(rows, runs, comparable, strict=True):
        planned = len(run.cases(task))
        if planned < everything:
            ranked = "" if can or not row.competes else " and is not ranked"
            say("cases", f"{row.label} planned {planned} of the {counted(everything, 'case')} of this table{ranked}.")
        footers += [Footer("rows", f"{row.label}: {note}") for note in row.notes]
    planned_cases = {case: planned for run in runs for case, planned in run.cases(task).items()}
    footers += [Footer("suite", text) for text in lines_of(planned_cases)]
    labelled = {row.label: run for row, run in zip(rows, runs, strict=True)}
    footers += [Footer("versions", text) for text in version_lines(labelled)]
    if made := made_with(runs):
        say("made", made)
    return footers


def _interval_kinds(columns: Sequence[tuple[str, bool]]) -> str:
    """How the intervals of a table's columns are made."""
    wide = "score interval with t or bootstrap-t"
    shares = [title for title, share in columns if share]
    if not shares:
        return wide
    alone = f"score interval for {' and '.join(shares)}"
    return alone if len(shares) == len(columns) else f"{alone}, else {wide}"


def cases_of(runs: Sequence[RunSummary], task: str | None) -> list[str]:
    """Cases that any of the runs planned, each once."""
    return list(dict.fromkeys(case for run in runs for case in run.cases(task)))
