"""A submission's rows, each held to what its suite's roster says of the case, the seed and the column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vapbench.files.atomic import canonical_json
from vapbench.files.journal import unseal
from vapbench.files.parsing import parse_json
from vapbench.files.text import counted
from vapbench.leaderboard.roster import Roster, RosterColumn
from vapbench.leaderboard.texts import problems
from vapbench.report.read.run_summary import ColumnKey
from vapbench.results.keys import column_slug
from vapbench.results.manifest import LARGEST_SCORE, is_video_name
from vapbench.results.rows import GenerationRow, ScoreRow

LONGEST_ROW = 1 << 18
"""Bytes of one row."""
FEWEST_ALIKE = 8
"""From so many videos on, a score that is the same for all of them and no bound of its range is no measurement."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:$|[T ])", re.ASCII)
_FIRST_YEAR = 2020
ALIKE = 1e-6
"""Of a range, or of the scores: closer together, they are the same."""
_KEY = re.compile(r"[!-~]{1,200}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEASURED = ("seconds", "encode_seconds", "peak_mb", "frames", "height", "width", "fps")
_LEAST, _MOST = 1e-9, 1e9
"""Between these is whatever was measured of a clip and is not 0: figures have it on an axis of powers of ten."""
Row = TypeVar("Row", GenerationRow, ScoreRow)
Key = tuple[str, int]


@dataclass
class SubmittedRows:
    """Rows that were read and found to be the suite's."""

    generations: dict[Key, GenerationRow] = field(default_factory=dict)
    """(case, seed) -> its only row."""
    scores: dict[ColumnKey, dict[Key, ScoreRow]] = field(default_factory=dict)

    def made(self) -> dict[Key, GenerationRow]:
        """The rows that have a video."""
        return {key: row for key, row in self.generations.items() if row.status == "ok"}


def read_rows(folder: Path, roster: Roster, found: list[str]) -> SubmittedRows:
    """Read a submission's rows; what is wrong with them is added to ``found``, a sentence each, by file and line."""
    rows, videos, keys, names = SubmittedRows(), dict[str, str](), set[str](), set[str]()
    if strays := [path.name for path in sorted(folder.glob("*.jsonl")) if path.name != "generations.jsonl"]:
        found.append(f"{strays[0]}: generations.jsonl and scores/*.jsonl hold all rows")
    for where, made in _read(folder / "generations.jsonl", GenerationRow, roster, found):
        key = (made.case, made.seed)
        found += _row_problems(made, where, roster) or _generation_problems(made, where, roster, videos)
        if key in rows.generations:
            found.append(f"{where} is a second row of {made.case} with seed {made.seed}; one is allowed")
        rows.generations[key] = made
        found += _repeated(made.key, keys, where) or _repeated((made.video or "").casefold(), names, where, "video")
    if len({row.code for row in rows.generations.values()}) > 1:
        # Readers take the rows of the last row's code alone: the others would not count.
        found.append("generations.jsonl: its rows are of different code; run the method anew, and submit that")
    if not rows.generations and not found:
        found.append("there is no generation: generations.jsonl is absent or empty")
    for path in sorted((folder / "scores").glob("*.jsonl")):
        column, keys = None, set[str]()
        for where, score in _read(path, ScoreRow, roster, found):
            known = roster.column(ColumnKey(score.metric, score.version, canonical_json(score.params)))
            if problem := _column_problem(score, known, path.stem, roster):
                found.append(f"{where} {problem}")
                break
            column = known
            assert column is not None
            rows_of_column = rows.scores.setdefault(column.key, {})
            found += _row_problems(score, where, roster) or _score_problems(score, where, column, rows, roster)
            if (score.case, score.seed) in rows_of_column:
                found.append(f"{where} is a second score of {score.case} with seed {score.seed}; one is allowed")
            rows_of_column[score.case, score.seed] = score
            found += _repeated(score.key, keys, where)
        if column is not None:
            found += _column_of_one_value(path.name, column, rows.scores[column.key])
    return rows


def _repeated(name: str, seen: set[str], where: str, what: str = "key") -> list[str]:
    """A key or file name that is none, or another row's: readers know rows by the one, find videos by the other."""
    if what == "key" and not _KEY.fullmatch(name):
        return [f"{where} has the key {name!r:.80}, which is none: it has 1 to 200 characters of ASCII and no space"]
    if name and name in seen:
        return [f"{where} has the {what} {name!r:.80} of another row; each has its own"]
    seen.add(name)
    return []


def date_problem(text: str) -> str:
    """What is wrong with a time of a row or session, or ""; none given is none wrong."""
    if not text:
        return ""
    try:
        # Boards sort dates as text: weeks and dates without hyphens would stand where they are not.
        when = datetime.fromisoformat(text) if _DATE.match(text) else None
    except ValueError:
        when = None
    if when is None:
        return f"is {text!r:.60}, which is no ISO 8601 time such as 2026-01-31T12:00:00+00:00"
    if when.year < _FIRST_YEAR:
        return f"is {text!r:.60}, which is before there was anything to run"
    # A clock may be wrong by a zone; a year that has not begun would stand on top of the changelog for ever.
    late = datetime.now(UTC) + timedelta(days=1)
    if (when if when.tzinfo else when.replace(tzinfo=UTC)) > late:
        return f"is {text!r:.60}, which is in the future"
    return ""


def _read(path: Path, kind: type[Row], roster: Roster, found: list[str]) -> Iterator[tuple[str, Row]]:
    """Rows of a file as far as they are of their form; the rest is a sentence each."""
    most, names = len(roster.cases) * len(roster.seeds), {item.name for item in fields(kind)}
    if not path.is_file():
        return
    with path.open("rb") as handle:
        for number, line in enumerate(iter(lambda: handle.readline(LONGEST_ROW + 1), b""), start=1):
            where = f"{path.name}:{number}"
            if number > most:
                found.append(f"{where}: more rows than the {counted(most, 'case')} and seeds of {roster.suite.name}")
                return
            if len(line) > LONGEST_ROW:
                found.append(f"{where} has more than the {LONGEST_ROW >> 10} KiB of a row")
                return
            if not line.endswith(b"\n"):
                found.append(f"{where} does not end with a line break: the file was cut off")
                return
            try:
                parse_json(line, unique=True)
                values = unseal(line)
            except (ValueError, RecursionError) as error:
                found.append(f"{where} is not a readable row ({error}); run it again, or remove the line")
                continue
            if strange := sorted(values.keys() - names):
                found.append(f"{where} has the field {strange[0]!r:.80}, which no row has")
            elif texts := list(problems(values, where, links=True))[:1]:
                found += texts
            else:
                try:
                    yield where, msgspec.convert(values, kind, strict=True)
                except msgspec.ValidationError as error:
                    found.append(f"{where} is no row: {_of_form(error, kind, values)}")


def _of_form(error: msgspec.ValidationError, kind: type[Any], values: Mapping[str, Any]) -> str:
    if kind is ScoreRow and "$.value" in str(error):
        return f"an ok score is a finite number, not {values.get('value')!r:.80}"
    return str(error)


def _row_problems(row: GenerationRow | ScoreRow, where: str, roster: Roster) -> list[str]:
    if row.case not in roster.cases:
        return [f"{where}: the case {row.case!r:.80} is none of the {len(roster.cases)} of {roster.suite.name}"]
    ours, found = roster.cases[row.case], []
    for name, mine, its in (
        ("condition", row.condition, ours.condition),
        ("category", row.category, ours.category),
    ):
        if mine != its:
            found.append(f"{where}: {row.case} has the {name} {mine!r:.80}, in {roster.suite.name} it is {its!r}")
    if row.seed not in roster.seeds:
        found.append(f"{where}: the seed {row.seed} is none of those of {roster.suite.name}")
    if row.schema != 1:
        found.append(f"{where} has the schema {row.schema}, not 1")
    if problem := date_problem(row.ended):
        found.append(f"{where}: ended {problem}")
    for name in _MEASURED:
        value = getattr(row, name, None)
        if value is not None and value != 0 and not _LEAST <= value <= _MOST:
            found.append(f"{where}: {name} is {value}, which cannot be")
    return found


def _generation_problems(row: GenerationRow, where: str, roster: Roster, videos: dict[str, str]) -> Iterator[str]:
    if row.status != "ok":
        if row.video or row.sha256:
            yield f"{where} is {row.status} and has a video; only an ok row has one"
        return
    if not is_video_name(row.video):
        yield f"{where} names the video {row.video!r:.80}: it must be a file name in videos/, without a path"
    if not _SHA256.fullmatch(str(row.sha256)):
        yield f"{where} has no SHA-256 of its video"
        return
    sha256 = str(row.sha256)
    if first := videos.get(sha256):
        yield f"{where} has the video of {first}; every case and seed has its own"
    videos[sha256] = f"{row.case} with seed {row.seed}"
    if given := roster.given_as(row.case, sha256):
        yield f"{where}: the video is the {given} of {row.case}, not a method's output"


def _column_problem(row: ScoreRow, known: RosterColumn | None, file: str, roster: Roster) -> str:
    if known is None:
        versions = sorted({key.version for key in roster.columns if key.metric == row.metric})
        what = f"version {row.version} of {row.metric}" if versions else f"the metric {row.metric!r:.80}"
        params = f" with {canonical_json(row.params):.80}" if row.params else ""
        return f"is of {what}{params}, which is no column of the board of {roster.suite.name}"
    if column_slug(row.metric, row.params) != file:
        return f"is of {row.metric}, whose file is {column_slug(row.metric, row.params)}.jsonl"
    return ""


def _score_problems(
    row: ScoreRow, where: str, column: RosterColumn, rows: SubmittedRows, roster: Roster
) -> Iterator[str]:
    made = rows.generations.get((row.case, row.seed))
    if made is None or made.status != "ok":
        yield f"{where} scores {row.case} with seed {row.seed}, which nothing was generated for"
    elif row.video_sha256 != made.sha256:
        yield f"{where}: video_sha256 is not that of the video of {row.case} with seed {row.seed}"
    expected = roster.case_sha256(column, row.case)
    if expected is not None and row.case_sha256 != expected:
        yield f"{where} scored {row.case} with another caption, reference or first frame than the suite's"
    if column.weights is not None and row.weights != column.weights:
        yield f"{where} was scored with other weights than the board's {row.metric} (hash {row.weights[:12]!r})"
    low, high = column.bounds
    if row.status == "ok" and (row.value is None or not isfinite(row.value)):
        yield f"{where}: an ok score is a finite number, not {row.value!r}"
    elif row.value is not None and row.status != "ok":
        yield f"{where}: a {row.status} score has the value {row.value!r}; a missing score is null, never a number"
    elif row.value is not None and not low <= row.value <= high:
        yield f"{where}: {row.value:g} is outside the range of {row.metric}, {low:g} to {high:g}"
    elif row.value is not None and not abs(row.value) < LARGEST_SCORE:
        yield f"{where}: {row.value:g} is larger than can be averaged"


def _column_of_one_value(name: str, column: RosterColumn, rows: Mapping[Key, ScoreRow]) -> Iterator[str]:
    values = [row.value for row in rows.values() if row.value is not None]
    low, high = column.bounds
    alike = len(values) >= FEWEST_ALIKE and max(values) - min(values) <= ALIKE * min(high - low, abs(max(values)))
    if alike and values[0] not in column.bounds:
        yield f"{name}: all {len(values)} scores are {values[0]:g}; no metric says the same of so many videos"
    if len({row.weights for row in rows.values()}) > 1:
        yield f"{name}: its rows were scored with different weights; score them all anew"
