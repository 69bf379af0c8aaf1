"""What a reader of the numbers must know of runs, from their rows and manifests: one line of each kind and method.

A remark comes from typed data: sizes of clips, kinds of notes, states of cases. Free text is repeated, never read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

from vapbench.core.case import clip_difference
from vapbench.files.text import counted
from vapbench.report.read.run_summary import ColumnKey, RunSummary, Why
from vapbench.results.manifest import PlannedCase
from vapbench.results.rows import GenerationRow

Kind = Literal["cases", "clip", "note", "score"]
"""Cases without a score; clips of another size, length or rate; what was noted of clips; what a metric noted of its
scores."""

_SHOWN = 3
"""Reasons, sizes or notes that a line spells out."""


@dataclass(frozen=True)
class Remark:
    """One line under a table."""

    kind: Kind
    methods: tuple[str, ...]
    """Labels of the rows it is true of."""
    columns: tuple[str, ...]
    """Titles of the columns it is true of; empty: of all."""
    text: str
    count: int
    """Cases or clips that it is true of."""
    total: int
    """Of so many."""

    @property
    def line(self) -> str:
        """The remark as a sentence: whose it is, and the text."""
        about = " · ".join(", ".join(names) for names in (self.methods, self.columns) if names)
        return f"{about}: {self.text}."

    def to_json(self) -> dict[str, Any]:
        """The remark as plain data, its sentence included."""
        return {**asdict(self), "line": self.line}


class Size(NamedTuple):
    """Of a clip."""

    frames: int | None
    height: int
    width: int
    fps: float

    def text(self, other: Size, units: bool = True) -> str:
        """What of it differs from another, height before width; without ``units`` as in ``against 13 at 8``."""
        words = []
        if self.frames is not None and other.frames is not None and self.frames != other.frames:
            words.append(counted(self.frames, "frame") if units else f"{self.frames}")
        if (self.height, self.width) != (other.height, other.width):
            words.append(f"{'of ' * bool(words)}{self.height}x{self.width}")
        if self.fps != other.fps:
            words.append(f"{'at ' * bool(words)}{self.fps:g}{' fps' * (units or not words)}")
        return " ".join(words)


def remarks_of(
    labelled: Mapping[str, RunSummary], titled: Mapping[ColumnKey, str], task: str | None, every_reason: bool = False
) -> tuple[Remark, ...]:
    """What there is to say of the runs of a table.

    Args:
        labelled: label of its row -> run.
        titled: column -> title.
        task: the table's task; None for every planned case.
        every_reason: whether to say why cases have no score also where there is one reason, as a table's footnotes do.
    """
    asked = _asked(labelled.values(), task)
    found = []
    for label, run in labelled.items():
        found += list(_cases(label, run, titled, task, every_reason))
        found += _clips(label, run, asked, task)
        found += _notes(label, run, task)
        found += _scores(label, run, titled, task)
    return tuple(_merged(found))


def remarks_on(run: RunSummary, case: str) -> tuple[str, ...]:
    """What there is to say of one case of a run, beside its scores."""
    planned, lines = run.cases()[case], []
    asked = _planned_size(planned)
    rows = run.generations.get(case, ())
    for row in rows:
        before = f"Seed {row.seed}: " if len(rows) > 1 else ""
        size = _size(row)
        if size and asked and (text := size.text(asked)):
            lines.append(f"{before}{text} against the suite's {asked.text(size, units=False)}")
        lines += [f"{before}{note.kind}{f' ({note.text})' if note.text else ''}" for note in row.notes]
        if told := _told(row, planned):
            lines.append(f"{before}{told}")
    return tuple(lines)


def _merged(remarks: Iterable[Remark]) -> Iterator[Remark]:
    """Remarks that say the same of several methods as one."""
    together: dict[Remark, list[str]] = {}
    for remark in remarks:
        together.setdefault(replace(remark, methods=()), []).extend(remark.methods)
    for remark, methods in together.items():
        yield replace(remark, methods=tuple(methods))


def _cases(
    label: str, run: RunSummary, titled: Mapping[ColumnKey, str], task: str | None, every_reason: bool
) -> Iterator[Remark]:
    """Fewer cases scored than planned, and why."""
    total = len(run.cases(task))
    columns: dict[tuple[Why, ...], list[str]] = {}
    for key, title in titled.items():
        why = run.why(key, task)
        # A column that the run was never scored with is no news.
        if key in run.scores or all(each.state != "missing" for each in why):
            columns.setdefault(why, []).append(title)
    for why, titles in columns.items():
        if not why or (len(why) == 1 and not every_reason):
            continue
        scored = total - sum(each.count for each in why)
        states = dict.fromkeys(each.state for each in why)
        parts = [_reasons(state, [each for each in why if each.state == state]) for state in states]
        text = f"{scored} of {counted(total, 'case')} scored; {'; '.join(parts)}"
        yield Remark("cases", (label,), tuple(titles) if len(columns) > 1 else (), text, scored, total)


def _reasons(state: str, why: Sequence[Why]) -> str:
    """``2 failed: OutOfMemoryError: no room (2)``."""
    shown = [f"{each.reason} ({each.count})" for each in why[:_SHOWN]]
    if rest := why[_SHOWN:]:
        shown.append(f"{counted(len(rest), 'other reason')} ({sum(each.count for each in rest)})")
    return f"{sum(each.count for each in why)} {state}: {', '.join(shown)}"


def _clips(label: str, run: RunSummary, asked: Mapping[str, Size], task: str | None) -> list[Remark]:
    """Clips of another size, length or rate than the suite asks for."""
    known = [(row, size) for row in _made(run, task) if (size := _size(row))]
    differing = Counter(
        (text, suite.text(size, units=False))
        for row, size in known
        if (suite := asked.get(row.case)) and (text := size.text(suite))
    )
    if not differing:
        return []
    parts = [
        f"{got} against the suite's {wanted} ({count} of {counted(len(known), 'clip')})"
        for (got, wanted), count in differing.most_common()
    ]
    return [Remark("clip", (label,), (), _first(parts, "other sizes"), differing.total(), len(known))]


def _notes(label: str, run: RunSummary, task: str | None) -> list[Remark]:
    """What was noted of clips, by kind; free text where there is no kind."""
    made, planned = list(_made(run, task)), run.cases()
    kinds = Counter(kind for row in made for kind in dict.fromkeys(note.kind for note in row.notes))
    found = [
        Remark("note", (label,), (), f"{kind} ({count} of {counted(len(made), 'clip')})", count, len(made))
        for kind, count in kinds.most_common()
    ]
    texts = Counter(text for row in made if (text := _told(row, planned[row.case])))
    if texts:
        parts = [f"{text} ({count} of {counted(len(made), 'clip')})" for text, count in texts.most_common()]
        found.append(Remark("note", (label,), (), _first(parts, "other notes"), texts.total(), len(made)))
    return found


def _scores(label: str, run: RunSummary, titled: Mapping[ColumnKey, str], task: str | None) -> Iterator[Remark]:
    """What a metric noted of its scores, by kind."""
    cases = run.cases(task)
    for key, title in titled.items():
        scores = run.scores.get(key)
        if scores is None or not (kinds := scores.kinds()):
            continue
        total = len(cases.keys() & {case for case, _ in scores.numbers})
        for kind, noted in kinds.items():
            if count := len(cases.keys() & noted):
                text = f"{kind} ({count} of {counted(total, 'case')})"
                yield Remark("score", (label,), (title,), text, count, total)


def _first(parts: Sequence[str], others: str) -> str:
    more = f"; {len(parts) - _SHOWN} {others}" if len(parts) > _SHOWN else ""
    return "; ".join(parts[:_SHOWN]) + more


def _asked(runs: Iterable[RunSummary], task: str | None) -> dict[str, Size]:
    """What the suite asks for each case; a method that needs another clip spec does not speak for the suite."""
    found: dict[str, Size] = {}
    for run in sorted(runs, key=lambda run: bool(run.identity.clip)):
        for case, planned in run.cases(task).items():
            if case not in found and (size := _planned_size(planned)):
                found[case] = size
    return found


def _made(run: RunSummary, task: str | None) -> Iterator[GenerationRow]:
    for case in run.cases(task):
        yield from (row for row in run.generations.get(case, ()) if row.status == "ok")


def _size(row: GenerationRow) -> Size | None:
    if row.height is None or row.width is None or row.fps is None:
        return None
    return Size(row.frames, row.height, row.width, round(row.fps, 2))


def _planned_size(planned: PlannedCase) -> Size | None:
    clip = planned.clip
    return Size(clip.frames, clip.height, clip.width, round(clip.fps, 2)) if clip else None


def _told(row: GenerationRow, planned: PlannedCase) -> str:
    """The free text of a clip that was made, without what the row's size says."""
    if row.status != "ok" or not row.note:
        return ""
    size = clip_difference(row, planned.clip) if planned.clip else ""
    return row.note.removeprefix(size).removeprefix("; ")
