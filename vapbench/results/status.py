"""How far a run is, from its folder alone: while it runs, after it ended, and after it died.

Rows say what is done, the manifest what was planned, the lock who is at it. Nothing is loaded and no video is opened.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from vapbench.files.lock import Owner, holder
from vapbench.results.keys import column_slug
from vapbench.results.manifest import Manifest, Session
from vapbench.results.rows import Failure, GenerationRow, ScoreRow
from vapbench.results.run import RunFolder

State = Literal["running", "died", "finished", "stopped"]
GENERATE = "generate"


@dataclass(frozen=True)
class Stage:
    """Generation, or one metric column."""

    name: str
    total: int
    ok: int
    failed: int
    unscored: int
    seconds: float | None
    """Median of the rows' seconds."""
    encode_seconds: float | None
    peak_mb: float | None
    """Largest of the rows' peaks."""
    left: float | None
    """Seconds until the stage is done, by what this command's rows took from one to the next; None while unknown."""

    @property
    def done(self) -> int:
        """Rows there are."""
        return self.ok + self.failed + self.unscored


@dataclass(frozen=True)
class FailureType:
    """Failures of one type in one stage."""

    stage: str
    type: str
    count: int
    example: str
    """Case, seed and the first line of the message of the last of them."""


@dataclass(frozen=True)
class RunStatus:
    """How far a run is."""

    run: Path
    state: State
    said: str
    """The state in words: who is at it, or how it ended."""
    started: str
    stages: tuple[Stage, ...]
    failures: tuple[FailureType, ...]

    @property
    def left(self) -> float | None:
        """Seconds until every stage is done that can be told; None if none can."""
        known = [stage.left for stage in self.stages if stage.left is not None]
        return sum(known) if known and self.state == "running" else None


def status_of(folder: RunFolder) -> RunStatus:
    """Read how far a run is.

    Raises:
        DataError: there is no run, or its manifest is damaged.
    """
    manifest = folder.manifest()
    held = holder(folder.path)
    session = manifest.sessions[-1] if manifest.sessions else None
    since = (session.started if session else None) or ""
    planned = {(case, seed) for case, item in manifest.cases.items() for seed in item.seeds}
    made = {(row.case, row.seed): row for row in folder.current() if not planned or (row.case, row.seed) in planned}
    stages = [_stage(GENERATE, list(made.values()), len(planned) or len(made), since)]
    fruitless = stages[0].failed + stages[0].unscored
    failures = _failures(GENERATE, [(row, row.attempts[-1]) for row in made.values() if _lost(row) and row.attempts])
    ended = [row.ended for row in made.values()]
    for name, rows in _columns(folder, manifest, made):
        ended += [row.ended for row in rows]
        stages.append(_stage(name, rows, max(stages[0].total - fruitless, len(rows)), since))
        failures += _failures(name, [(row, row.failure) for row in rows if row.failure])
    complete = all(stage.done >= stage.total for stage in stages)
    state = _state(held, session, complete)
    last = max((time for text in ended if (time := _time(text))), default=None)
    said = _words(state, held, session, last)
    return RunStatus(folder.path, state, said, since, tuple(stages), tuple(failures))


def _columns(
    folder: RunFolder, manifest: Manifest, made: Mapping[tuple[str, int], GenerationRow]
) -> Iterable[tuple[str, list[ScoreRow]]]:
    """Columns that have rows, then metrics that were asked for and have none yet."""
    begun = set()
    for column in folder.columns():
        rows = {(row.case, row.seed): row for row in folder.scores(column).values()}
        current = [row for place, row in rows.items() if place in made and made[place].sha256 == row.video_sha256]
        if rows:
            begun.add(next(iter(rows.values())).metric)
        yield column, current
    for metric in manifest.metrics:
        if metric not in begun:
            yield column_slug(metric, {}), []


def _stage(name: str, rows: Sequence[GenerationRow | ScoreRow], total: int, since: str) -> Stage:
    counts = Counter(row.status for row in rows)
    ok = [row for row in rows if row.status == "ok"]
    encoding = [row.encode_seconds for row in ok if isinstance(row, GenerationRow) and row.encode_seconds is not None]
    peaks = [row.peak_mb for row in rows if row.peak_mb is not None]
    return Stage(
        name=name,
        total=total,
        ok=counts["ok"],
        failed=counts["failed"],
        unscored=counts["unscored"],
        seconds=_median([row.seconds for row in ok if row.seconds is not None]),
        encode_seconds=_median(encoding),
        peak_mb=max(peaks, default=None),
        left=_left([row.ended for row in rows], total - len(rows), since),
    )


def _left(ended: Iterable[str], remaining: int, since: str) -> float | None:
    """Time left: what is left to do, times the time from one of this command's rows to the next."""
    if remaining <= 0:
        return 0.0
    # ISO 8601 in UTC sorts as text.
    times = sorted(time for text in ended if since and text >= since and (time := _time(text)))
    if len(times) < 2 or times[-1] == times[0]:
        return None
    each = (times[-1] - times[0]).total_seconds() / (len(times) - 1)
    # A long case is not behind time until it has taken longer than the others.
    waited = max(0.0, (datetime.now(UTC) - times[-1]).total_seconds())
    return max(0.0, each * remaining - min(waited, each))


def ago(seconds: float) -> str:
    """``12 s ago``, ``3 min ago``, ``5 h ago``, ``4 days ago``."""
    for unit, size, until in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800)):
        if seconds < until:
            return f"{max(seconds, 0) / size:.0f} {unit} ago"
    return f"{seconds / 86400:.0f} days ago"


def _time(text: str) -> datetime | None:
    """When a row says it was made; None for what is no time, as a row from elsewhere may hold."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def _lost(row: GenerationRow) -> bool:
    return row.status == "failed"


def _failures(stage: str, failed: Sequence[tuple[GenerationRow | ScoreRow, Failure]]) -> list[FailureType]:
    counts = Counter(failure.type for _, failure in failed)
    last = {failure.type: (row, failure) for row, failure in failed}
    return [FailureType(stage, kind, number, _example(*last[kind])) for kind, number in counts.most_common()]


def _example(row: GenerationRow | ScoreRow, failure: Failure) -> str:
    first = (failure.message.strip().splitlines() or [""])[0]
    return f"{row.case} seed {row.seed}: {first}"


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _state(held: Owner | None, session: Session | None, complete: bool) -> State:
    if held:
        return "died" if held.is_dead else "running"
    if session and session.ended is None:
        return "died"
    return "finished" if complete else "stopped"


def _words(state: State, held: Owner | None, session: Session | None, last: datetime | None) -> str:
    seen = f"; last row {ago((datetime.now(UTC) - last).total_seconds())}" if last else ""
    if state == "running":
        elsewhere = "" if held and held.is_here else " (as its lock says; its machine cannot be asked from here)"
        return f"running: {held}{seen}{elsewhere}"
    if state == "died":
        where = f"process {session.pid} on {session.host}" if session else "its process"
        return f"died: {where} did not come to its end{seen}; the same command resumes"
    ended = (session.ended if session else None) or ""
    if state == "stopped" and session and _did_all_it_was_asked(session):
        return f"ended {ended}: the last command did all it was asked; the run has more to do"
    return f"{state} {ended}".rstrip() + ("" if state == "finished" else "; the same command resumes")


def _did_all_it_was_asked(session: Session) -> bool:
    """Whether a session did its cases and columns, which may be fewer than those of the run."""
    counts = [stage for stage in session.counts.values() if isinstance(stage, Mapping)]
    counted = ("kept", "ok", "failed", "unscored")
    return bool(counts) and all(
        sum(stage.get(name) or 0 for name in counted) >= (stage.get("total") or 0) for stage in counts
    )
