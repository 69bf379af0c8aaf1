"""Pages of the site as data: numbers are formatted here, once, and templates only lay them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vapbench.files.text import counted
from vapbench.leaderboard.addresses import method_page
from vapbench.leaderboard.boards import Attested, Board, Entry, headline
from vapbench.leaderboard.studies import Compared, Study
from vapbench.report.model import Cell, TableModel, scored_of
from vapbench.report.read.columns import Column
from vapbench.report.read.facts import Fact, facts_of
from vapbench.report.read.probes import Probe, ProbeInterval
from vapbench.report.read.run_summary import explain
from vapbench.report.render.terminal import rank_text
from vapbench.report.tables.breakdown import breakdown
from vapbench.report.tables.summary import tables_of

ABSENT = "\N{EN DASH}"


@dataclass(frozen=True)
class Number:
    """One cell of a board."""

    text: str
    interval: str
    rank: str
    """``#1-3``; empty where there is none."""
    value: str
    """Unrounded, for sorting; empty where there is none."""
    best: bool
    why: str
    """Where the cases without a score went; empty if all have one."""


@dataclass(frozen=True)
class Line:
    """One method of a board."""

    label: str
    title: str
    page: str
    """Link, relative to the site's root; empty for published rows."""
    kind: str
    badges: tuple[str, ...]
    count: str
    complete: bool
    date: str
    """Of its last session, ``YYYY-MM-DD``; empty if unknown."""
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Group:
    """Methods that are ranked among each other, or not at all."""

    name: str
    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Gone:
    """A case without a score, and why."""

    case: str
    page: str
    what: str
    why: str


@dataclass(frozen=True)
class Preference:
    """One method on one question of a study."""

    label: str
    page: str
    """Link, relative to the site's root; empty if the run that was judged is not on the board."""
    share: str
    interval: str
    rank: str
    votes: str


def preferences_of(board: Board, study: Study) -> list[tuple[str, list[Preference]]]:
    """Each question of a study with its methods, the most preferred first."""
    return [
        (
            question.replace("_", " "),
            [
                Preference(
                    row.method,
                    _page_of(board, study.methods[row.method]),
                    _percent(row.value),
                    f"[{_percent(row.low)}, {_percent(row.high)}]" if None not in (row.low, row.high) else "",
                    f"#{row.rank}" if row.rank else "",
                    f"{row.votes:,}",
                )
                for row in rows
            ],
        )
        for question, rows in study.questions()
    ]


def _page_of(board: Board, method: Compared) -> str:
    for entry in board.entries:
        if method.shows(entry.run.folder.path, entry.run.manifest.document["identity"]):
            return method_page(board, entry)
    return ""


def _percent(share: float | None) -> str:
    return ABSENT if share is None else f"{100 * share:.1f}"


def groups_of(board: Board, table: TableModel) -> list[Group]:
    """A board's rows: those that compete, floors and ceilings, published ones; by the headline column."""
    entries = {entry.label: entry for entry in board.entries}
    lead = headline(table.columns)
    order = sorted(range(len(table.rows)), key=lambda row: _order(table.cells[row], lead))
    lines = [(table.rows[row], _line(board, table, row, entries.get(table.rows[row].label))) for row in order]
    reported = {label for label, entry in entries.items() if entry.badge == "self-reported"}
    checked = [(row, line) for row, line in lines if row.label not in reported]
    groups = [
        Group("measured", "", tuple(line for row, line in checked if row.competes)),
        Group(
            "bounds",
            "Floors and ceilings: what the metrics say of no method at all",
            tuple(line for row, line in checked if not row.competes and not row.published),
        ),
        Group(
            "reported",
            "Self-reported: rows of their submitters, not confirmed here, not ranked",
            tuple(line for row, line in lines if row.label in reported),
        ),
    ]
    for source in dict.fromkeys(row.published for row in table.rows if row.published):
        chosen = tuple(line for row, line in lines if row.published == source)
        groups.append(Group("published", f"As published ({source}): measured by its authors, not ranked here", chosen))
    return [group for group in groups if group.lines]


@dataclass(frozen=True)
class Apart:
    """A self-reported number of a column that the board's table lacks."""

    label: str
    page: str
    column: str
    """Its definition."""
    number: Number
    why: str


def apart_of(board: Board, table: TableModel) -> list[Apart]:
    """Numbers of self-reported rows that no measured row can be compared with, such as those of an older version."""
    here = {column.definition for column in table.columns}
    found = []
    for entry in board.entries:
        if entry.badge != "self-reported" or entry.label not in [row.label for row in table.rows]:
            continue
        alone = tables_of(table.suite, [entry.run], [table.task])[0]
        for column, cell in zip(alone.columns, alone.cells[0], strict=True):
            if column.definition not in here:
                versions = [other.version for other in table.columns if other.metric == column.metric]
                newer = [version for version in versions if version > column.version]
                why = f"the board's is version {max(newer)}" if newer else "no measured row has it"
                number = _number(column, replace(cell, place=None, ranks=None))
                found.append(Apart(entry.label, method_page(board, entry), column.definition, number, why))
    return found


def summary_of(table: TableModel, label: str) -> list[tuple[Column, Number]]:
    """One method's aggregates."""
    cells = table.cells[_row(table, label)]
    return [(column, _number(column, cell)) for column, cell in zip(table.columns, cells, strict=True)]


def conditions_of(table: TableModel, label: str) -> list[tuple[str, list[str]]]:
    """One method's means by condition: (condition, one text per column)."""
    row, empty = _row(table, label), (ABSENT, "")
    found: dict[str, dict[str, tuple[str, str]]] = {}
    alone = _only(table, row)
    for item in breakdown(alone):
        for condition, parts in zip(item.conditions, item.parts, strict=True):
            part = parts[0]
            if part.mean is not None:
                count = "" if part.n == part.total else f" ({part.n}/{part.total})"
                found.setdefault(condition, {})[item.column.definition] = (item.column.text(part.mean), count)
    conditions = sorted(set(table.conditions.values()))
    return [
        (name, ["".join(found.get(name, {}).get(column.definition, empty)) for column in table.columns])
        for name in conditions
    ]


@dataclass(frozen=True)
class ProbeView:
    """A probe of one method, as its page shows it."""

    probe: Probe
    effects: tuple[tuple[str, str, str, str, str], ...]
    """Effect, difference, interval, what it says, formula."""
    cells: tuple[tuple[str, str, str, str], ...]
    """What was shown, mean, interval, outputs that did not change."""


def probes_of(board: Board, entry: Entry) -> list[ProbeView]:
    """The probes of a run's method; none of a submission, whose weights nobody here has run."""
    found = []
    for probe in board.probes if entry.submission is None else ():
        if probed := probe.of(entry.run):
            column = probe.effect_column
            effects = tuple(
                (it.title, *_mean_and_ends(column, it.difference), it.said, it.formula) for it in probed.effects
            )
            cells = tuple(
                (it.title, *_mean_and_ends(column, it.score), f"{it.unchanged}/{it.compared}" if it.compared else "")
                for it in probed.cells
                if it.score
            )
            found.append(ProbeView(probe, effects, cells))
    return found


def _mean_and_ends(column: Column, found: ProbeInterval | None) -> tuple[str, str]:
    if found is None:
        return ABSENT, ""
    ends = "" if found.low is None or found.high is None else f"{column.text(found.low)} to {column.text(found.high)}"
    return column.text(found.mean), ends


def gone_of(entry: Entry, pages: Mapping[str, str]) -> list[Gone]:
    """Every case of a run that has no video or lacks a score, with the reason that was recorded."""
    found = []
    for case in entry.run.cases():
        for made in entry.run.generations.get(case, ()):
            if made.status == "failed":
                why = explain(made.attempts[-1] if made.attempts else None)
                found.append(Gone(case, pages[case], f"seed {made.seed}: generation failed", why))
            elif made.status == "unscored":
                found.append(Gone(case, pages[case], f"seed {made.seed}: not generated", made.note))
        if case not in entry.run.generations:
            found.append(Gone(case, pages[case], "not generated yet", ""))
    for key in sorted(entry.run.scores):
        for (case, seed), score in sorted(entry.run.scores[key].items()):
            if score.status != "ok" and case in pages:
                why = explain(score.failure) if score.status == "failed" else score.note
                found.append(Gone(case, pages[case], f"seed {seed}: {score.metric} {score.status}", why))
    return found


def card_of(entry: Entry) -> list[Fact]:
    """What a method is and how it was run; of a submission, what its submitter says."""
    said = entry.submission
    facts = [Fact("Kind", entry.run.manifest.card.kind or "unknown")]
    if said is not None:
        code = f"{said.code.repository} at {said.code.commit[:12]}" if said.code else "closed"
        facts += [
            Fact("Submitted by", said.submitter),
            Fact("Contact", said.contact),
            Fact("Licence", said.licence),
            Fact("Code", code),
            *([Fact("Note", said.note)] if said.note else []),
            *([Fact("Scored anew", _scored_anew(entry.anew))] if entry.anew else []),
        ]
        # What a submission says of machines and paths is nobody's business on a public page.
        return facts + [fact for fact in facts_of(entry.run) if not fact.minor]
    return facts + [fact for fact in facts_of(entry.run) if fact.label not in ("Command",)]


def _scored_anew(found: Attested) -> str:
    return "; ".join(
        [
            f"{found.videos} of {counted(found.of, 'video')}",
            *([f"{counted(found.noted, 'comes', 'come')} near another video"] if found.noted else []),
            *(
                [f"{counted(found.equal, 'is a file', 'are files')} of our own run of this method"]
                if found.equal
                else []
            ),
        ]
    )


def case_lines(board: Board, case: str) -> Iterator[tuple[Entry, list[str]]]:
    """What every run scored on one case: one text per column of the whole table."""
    entries = {entry.label: entry for entry in board.entries}
    for row, scores in zip(board.whole.rows, board.whole.scores, strict=True):
        yield (
            entries[row.label],
            [
                column.text(values[case]) if case in values else ABSENT
                for column, values in zip(board.whole.columns, scores, strict=True)
            ],
        )


def _line(board: Board, table: TableModel, row: int, entry: Entry | None) -> Line:
    what, cells = table.rows[row], table.cells[row]
    count, scored = ABSENT, scored_of(cells)
    if scored is not None:
        low, high, total = scored
        count = f"{low if low == high else f'{low}{ABSENT}{high}'}/{total}"
    return Line(
        what.label,
        what.title if what.title != what.label else "",
        method_page(board, entry) if entry else "",
        "published" if what.published else what.kind or "unknown",
        entry.badges if entry else ("published",),
        count,
        not what.published and all(cell.complete for cell in cells if cell.total),
        entry.date if entry else "",
        tuple(_number(column, cell) for column, cell in zip(table.columns, cells, strict=True)),
    )


def _number(column: Column, cell: Cell) -> Number:
    # A column that plans no case of a row says nothing of it.
    why = "" if cell.complete or cell.published or not cell.total else cell.account()
    if cell.mean is None:
        return Number(ABSENT, "", "", "", False, why)
    interval = ""
    if cell.low is not None and cell.high is not None:
        interval = f"{column.text(cell.low)} to {column.text(cell.high)}"
    return Number(
        column.text(cell.mean),
        interval,
        rank_text(cell).replace("-", "\N{EN DASH}"),
        f"{cell.mean:.6g}",
        cell.place == 1 and not cell.published,
        why,
    )


def _order(cells: Sequence[Cell], lead: int) -> tuple[bool, int, float]:
    if not cells:
        return True, 0, 0.0
    cell = cells[lead]
    return cell.place is None, cell.place or 0, -(cell.mean or 0.0)


def _row(table: TableModel, label: str) -> int:
    return [row.label for row in table.rows].index(label)


def _only(table: TableModel, row: int) -> TableModel:
    return replace(table, rows=(table.rows[row],), cells=(table.cells[row],), scores=(table.scores[row],))
