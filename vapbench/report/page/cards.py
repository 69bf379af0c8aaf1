"""The cases of a run as a page shows them: pictures, captions, scores, and what went wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vapbench.core.video import VideoInfo, probe
from vapbench.errors import DataError
from vapbench.files.atomic import expand
from vapbench.files.text import counted
from vapbench.report.page.media import Panel, image_panel, output_panel, video_panel
from vapbench.report.page.parts import Part, parts_of
from vapbench.report.read.case_notes import texts_of
from vapbench.report.read.columns import Column
from vapbench.report.read.remarks import remarks_on
from vapbench.report.read.run_summary import CaseOutcome, ColumnKey, RunSummary, State, explain
from vapbench.results.manifest import FileRole, PlannedCase
from vapbench.results.rows import GenerationRow

_GIVEN: dict[FileRole, str] = {"reference": "Reference", "image": "First frame"}


@dataclass(frozen=True)
class Strip:
    """Where the cases of a run lie in one column."""

    low: str
    """The least value, as printed."""
    high: str
    ticks: str
    """SVG path of one tick per case in a 100 x 10 box; empty if all cases are equal."""


@dataclass(frozen=True)
class SeedScore:
    """A score of one seed and what it is made of."""

    seed: int
    state: State
    text: str
    note: str
    parts: tuple[Part, ...]
    detail: str
    """Traceback of a failure."""


@dataclass(frozen=True)
class CaseScore:
    """A score of one case in one column."""

    column: Column
    state: State
    value: float | None
    text: str
    """The value as printed; empty if there is none."""
    note: str
    position: float | None
    """Where it lies on the column's strip, 0 to 100."""
    seeds: tuple[SeedScore, ...]

    @property
    def scored_seeds(self) -> int:
        """Number of seeds with a score."""
        return sum(seed.state == "scored" for seed in self.seeds)


@dataclass(frozen=True)
class CaseCard:
    """One case on the page."""

    id: str
    condition: str
    category: str
    tasks: tuple[str, ...]
    caption: str
    reference_caption: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]
    """What the suite knows of the case beside its content."""
    scores: tuple[CaseScore, ...]
    generation: tuple[str, ...]
    """One line per seed: what it cost, and whether it was tried again."""
    remarks: tuple[str, ...] = ()
    """What a reader of its scores must know: a clip of another size, one that was turned."""

    @property
    def states(self) -> tuple[State, ...]:
        """States that occur among the scores; one of a case without metrics is ``missing``."""
        return tuple(dict.fromkeys(score.state for score in self.scores)) or ("missing",)

    @property
    def verdict(self) -> str:
        """The one reason why no metric has a score, if it is one: a failed generation fails them all."""
        reasons = {(score.state, score.note) for score in self.scores}
        if len(self.scores) < 2 or len(reasons) > 1 or self.scores[0].state == "scored":
            return ""
        return "" if any(seed.parts or seed.detail for s in self.scores for seed in s.seeds) else self.scores[0].note


def cards_of(run: RunSummary, columns: Sequence[Column], keys: Sequence[ColumnKey], only: str | None) -> list[CaseCard]:
    """Lay out the cases of a run, or the one case ``only``; strips always show the whole run."""
    outcomes = {key: {case: run.outcome(key, case) for case in run.cases()} for key in keys}
    chosen = [case for case in run.cases() if only in (None, case)]
    # Decoding and encoding leave the interpreter free, so threads are enough.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        pictures = list(pool.map(lambda case: _panels(run, case), chosen))
    return [
        _card(
            run,
            case,
            panels,
            [_score(run, c, k, case, outcomes[k]) for c, k in zip(columns, keys, strict=True)],
        )
        for case, panels in zip(chosen, pictures, strict=True)
    ]


def strips_of(run: RunSummary, columns: Sequence[Column], keys: Sequence[ColumnKey]) -> list[Strip]:
    """The strip of each column."""
    strips = []
    for column, key in zip(columns, keys, strict=True):
        values = _values(run.outcome(key, case) for case in run.cases())
        if not values:
            strips.append(Strip("", "", ""))
            continue
        low, high = min(values), max(values)
        places = sorted({_position(value, low, high) for value in values}) if high > low else []
        strips.append(Strip(column.text(low), column.text(high), "".join(f"M{place:g} 2v6" for place in places)))
    return strips


def _card(run: RunSummary, case: str, panels: tuple[Panel, ...], scores: list[CaseScore]) -> CaseCard:
    planned = run.cases()[case]
    return CaseCard(
        id=case,
        condition=planned.condition or "",
        category=planned.category or "",
        tasks=tuple(planned.tasks),
        caption=planned.caption or "",
        reference_caption=planned.reference_caption or "",
        panels=panels,
        notes=tuple(texts_of(planned)),
        scores=tuple(scores),
        generation=tuple(_cost(row) for row in run.generations.get(case, ())),
        remarks=remarks_on(run, case),
    )


def _panels(run: RunSummary, case: str) -> tuple[Panel, ...]:
    planned = run.cases()[case]
    rows = run.generations.get(case, ())
    outputs = [_output(run, row, len(rows) > 1) for row in rows]
    outputs = outputs or [Panel("missing", "Output", message="Not generated yet.")]
    size = _size(run, rows)
    # A suite of videos alone gives its cases neither, and says so.
    shown = [(role, label) for role, label in _GIVEN.items() if planned.file(role) is not None]
    panels = [*(_from_manifest(planned, role, label, size) for role, label in shown), *outputs]
    if planned.target:
        panels.append(_from_manifest(planned, "target", "Ground truth", size))
    return tuple(panels)


def _output(run: RunSummary, row: GenerationRow, several: bool) -> Panel:
    label = f"Output, seed {row.seed}" if several else "Output"
    if row.status == "failed":
        failure = row.attempts[-1] if row.attempts else None
        message = f"Failed. {failure.type}: {failure.message}" if failure else "Failed without a message."
        return Panel("missing", label, message=message, detail=failure.traceback if failure else "")
    if row.status == "unscored":
        return Panel("missing", label, message=f"Not generated. {row.note or 'The method does not apply.'}")
    video = run.folder.video_of(row)
    if video is None:
        where = run.folder.videos / (row.video or "")
        changed = "is not the file that was generated" if where.is_file() else "is not there"
        return Panel("missing", label, message=f"{where} {changed}; copy it back, or generate it again.")
    return output_panel(video, label)


def _from_manifest(planned: PlannedCase, role: FileRole, label: str, fits: VideoInfo | None) -> Panel:
    given = planned.file(role)
    if not given:
        return Panel("missing", label, message="The manifest names no file.")
    path = expand(planned.media or "") / given
    if not path.is_file():
        return Panel("missing", label, message=f"{path} is not there; the data has moved, or was never fetched.")
    return image_panel(path, label, fits) if role == "image" else video_panel(path, label, fits)


def _size(run: RunSummary, rows: Iterable[GenerationRow]) -> VideoInfo | None:
    for row in rows:
        if row.status == "ok" and row.video:
            try:
                return probe(run.folder.videos / row.video)
            except DataError:
                continue
    # Without an output, 480p keeps a page of failures from weighing more than one of results.
    return VideoInfo(0, 0.0, 720, 480)


def _score(
    run: RunSummary, column: Column, key: ColumnKey, case: str, outcomes: Mapping[str, CaseOutcome]
) -> CaseScore:
    outcome, values = outcomes[case], _values(outcomes.values())
    rows = run.generations.get(case, ())
    seeds = tuple(_seed(column, row.seed, each) for row, each in zip(rows, run.outcomes(key, case), strict=True))
    low, high = min(values, default=0.0), max(values, default=0.0)
    return CaseScore(
        column,
        outcome.state,
        outcome.value,
        column.text(outcome.value) if outcome.value is not None else "",
        outcome.reason,
        _position(outcome.value, low, high) if outcome.value is not None and high > low else None,
        seeds,
    )


def _seed(column: Column, seed: int, outcome: CaseOutcome) -> SeedScore:
    row = outcome.row
    failure = row.failure if row else None
    return SeedScore(
        seed,
        outcome.state,
        column.text(outcome.value) if outcome.value is not None else "",
        outcome.reason,
        parts_of(row.parts) if row else (),
        failure.traceback if failure else "",
    )


def _cost(row: GenerationRow) -> str:
    facts = [f"seed {row.seed}"]
    if row.seconds is not None:
        facts.append(f"{row.seconds:,.1f} s")
    if row.peak_mb is not None:
        facts.append(f"{row.peak_mb:,.0f} MB peak")
    retried = len(row.attempts) - (row.status == "failed")
    if retried > 0:
        facts.append(f"tried {counted(retried + 1, 'time')}, first: {explain(row.attempts[0])}")
    return ", ".join(facts)


def _position(value: float, low: float, high: float) -> float:
    return round(2 + 96 * (value - low) / (high - low), 1)


def _values(outcomes: Iterable[CaseOutcome]) -> list[float]:
    return [outcome.value for outcome in outcomes if outcome.value is not None]
