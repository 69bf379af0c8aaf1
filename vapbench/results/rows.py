"""Rows: one line of a JSONL file each, written whole and read by compiled code."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import naming
from vapbench.files.journal import intact, unseal
from vapbench.results.manifest import LARGEST_SCORE, LARGEST_SEED, is_video_name

log = logging.getLogger(__name__)

SCHEMA = 1
Status = Literal["ok", "failed", "unscored"]
_PIECE = 1 << 18
"""Bytes of lines that are looked at together."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a row failed."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader of a clip's numbers must know."""

    kind: str
    """What it is, in words that are the same for every clip it is true of (``turned by 90 degrees``): tables count
    the clips of a kind."""
    text: str = ""
    """What is particular to this clip."""


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """One generation, finished or not."""

    key: str
    case: str
    condition: str
    category: str | None
    seed: int
    status: Status
    video: str | None = None
    """File name under ``videos/``."""
    sha256: str | None = None
    seconds: float | None = None
    """Wall time of ``generate``, without encoding."""
    peak_mb: float | None = None
    """Peak accelerator memory in MB; on CPU, the peak resident size of the process so far."""
    note: str = ""
    """Why a row is unscored; how a clip differs from what the suite asks for."""
    attempts: tuple[Failure, ...] = ()
    """Failures of this row, retried ones included; a failed row ends with the one that stood."""
    code: str = ""
    """Hash of the code of a method given by path; rows of another code than the last row's no longer count."""
    encode_seconds: float | None = None
    """Wall time of encoding and storing the video."""
    ended: str = ""
    """When the row was made, UTC. Times and memory are recorded, and never part of a key."""
    frames: int | None = None
    """Size and rate of the clip; None where there is none, and in rows of before these were kept."""
    height: int | None = None
    width: int | None = None
    fps: float | None = None
    notes: tuple[Note, ...] = ()
    """What the method says of this clip; tables count them by kind."""
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One score of one metric for one video."""

    key: str
    metric: str
    version: int
    params: Mapping[str, Any]
    case: str
    condition: str
    category: str | None
    seed: int
    video_sha256: str
    case_sha256: str
    """Hash of the case fields the metric needs: a row counts only while the case still has them."""
    status: Status
    value: float | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    seconds: float | None = None
    failure: Failure | None = None
    weights: str = ""
    """Hash of the files the value depends on; other weights are another column."""
    peak_mb: float | None = None
    """Peak accelerator memory in MB; on CPU, the peak resident size of the process so far."""
    ended: str = ""
    """When the row was made, UTC."""
    kind: str = ""
    """What the note says, in words that are the same for every case; tables count the cases of a kind."""
    schema: int = SCHEMA


Row = TypeVar("Row", GenerationRow, ScoreRow)


def read_rows(path: Path, kind: type[Row], light: bool = False) -> list[Row]:
    """Read a JSONL file; a line that cannot be read is reported and treated as never written.

    Args:
        path: the file.
        kind: what its rows are.
        light: whether the rows may be of msgspec's own class with the fields of ``kind``, checked alike and made four
            times as fast: to be read, not to be written again.

    Raises:
        DataError: a row has another schema.
    """
    return _rows(path, _whole_lines(path), 1, kind, light)


def row_pieces(path: Path, kind: type[Row], light: bool = False) -> Iterator[list[Row]]:
    """The rows of :func:`read_rows`, some hundred at a time.

    They and their lines fit a processor's cache, which rows of a long file would leave before they are looked at.
    """
    content, start, first = _whole_lines(path), 0, 1
    while start < len(content):
        end = content.find(b"\n", start + _PIECE) + 1 or len(content)
        piece = content[start:end]
        yield _rows(path, piece, first, kind, light)
        start, first = end, first + piece.count(b"\n")


def _whole_lines(path: Path) -> bytes:
    if not path.exists():
        return b""
    with naming(path):
        content = path.read_bytes()
    # What follows the last line break was torn by a kill: the next writer cuts it off, so it was never written.
    return content[: content.rfind(b"\n") + 1]


def _rows(path: Path, content: bytes, first: int, kind: type[Row], light: bool) -> list[Row]:
    """The rows of whole lines, of which the first has the number ``first``."""
    rows = _decoded(content, kind, light)
    return list(_readable(path, content, first, kind)) if rows is None else rows


def _decoded(content: bytes, kind: type[Row], light: bool) -> list[Row] | None:
    """The rows of whole lines; None where one of them has to be looked at by itself."""
    import msgspec

    if not intact(content):
        return None
    try:
        rows: list[Row] = _decoders(light)[kind].decode_lines(content)
        check = _CHECKS[kind]
        for row in rows:
            check(row)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return rows if {row.schema for row in rows} <= {SCHEMA} else None


def _check_generation(row: GenerationRow) -> None:
    if not abs(row.seed) <= LARGEST_SEED:
        raise ValueError("the seed has more than 64 bits")
    if row.video is not None and not is_video_name(row.video):
        raise ValueError("video is no name of a file")


def _check_score(row: ScoreRow) -> None:
    if not (abs(row.seed) <= LARGEST_SEED and abs(row.version) <= LARGEST_SEED):
        raise ValueError("seed or version has more than 64 bits")
    if (row.status == "ok") != (row.value is not None):
        raise ValueError(f"an ok row has a value, and no other: this one is {row.status}")
    if row.value is not None and not abs(row.value) < LARGEST_SCORE:
        raise ValueError("the value is larger than can be averaged")


_CHECKS: Mapping[type[Any], Callable[[Any], None]] = {GenerationRow: _check_generation, ScoreRow: _check_score}
"""Refuse a row whose types are right and whose values cannot be. It is no row: its work is done again."""


def _readable(path: Path, content: bytes, first: int, kind: type[Row]) -> Iterator[Row]:
    """Line by line, what can be read; ``first`` is the number of the first line."""
    import msgspec

    for number, line in enumerate(content.split(b"\n")[:-1], start=first):
        try:
            schema = unseal(line).get("schema")
            if schema != SCHEMA:
                raise DataError(
                    f"{path}:{number} has schema {schema}, this version reads {SCHEMA}; "
                    "use the version that wrote it, or write elsewhere with --results DIR.",
                    ErrorKind.CONFLICT,
                    "schema",
                )
            row: Row = _decoders()[kind].decode(line)
            _CHECKS[kind](row)
        # Up to msgspec 0.20 at least, its errors are no ValueError.
        except (msgspec.DecodeError, ValueError, AttributeError, RecursionError) as error:
            log.warning(
                "%s:%d is not a readable row (%s); it counts as never written: "
                "the command that made this run makes it again.",
                *(path, number, error),
            )
            continue
        yield row


@cache
def _decoders(light: bool = False) -> dict[type[Any], Any]:
    # A report may read a million rows: checked and built by compiled code, they take a third of the time.
    import msgspec

    kinds = (GenerationRow, ScoreRow)
    return {kind: msgspec.json.Decoder(_light(kind) if light else kind) for kind in kinds}


def _light(kind: type[Any]) -> type[Any]:
    """A class of the same fields and types that compiled code fills by itself."""
    import msgspec

    hints = get_type_hints(kind)
    made: list[Any] = []
    # In the order they have in a line: the next field is then found at once, which is a quarter of the time.
    for each in sorted(fields(kind), key=lambda each: each.name):
        if each.default is not MISSING:
            made.append((each.name, hints[each.name], each.default))
        elif each.default_factory is not MISSING:
            made.append((each.name, hints[each.name], msgspec.field(default_factory=each.default_factory)))
        else:
            made.append((each.name, hints[each.name]))
    # What JSON gives has no cycles for the collector to look for.
    return msgspec.defstruct(f"Light{kind.__name__}", made, frozen=True, kw_only=True, gc=False)


_MANY = 100_000
"""Young objects that are worth a step of their own; to look at fewer takes some milliseconds."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Read rows without looking for cycles: they have none, and to look takes a quarter of the time of a million."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            # What was read is old at once: the first look at what is young would go through all of it. What somebody
            # else has frozen stays so; whether there is any is asked last, for the answer walks through all of that.
            if gc.get_count()[0] > _MANY and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def last_of_each_key(rows: Sequence[Row]) -> dict[str, Row]:
    """The last row of every key, in the order they were written."""
    last = {row.key: row for row in rows}
    if len(last) < len(rows):
        last = {}
        for row in rows:
            last.pop(row.key, None)
            last[row.key] = row
    return last


def log_row(run: Path, row: GenerationRow | ScoreRow) -> None:
    """Say that a row was written, for ``--log-json``."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    if isinstance(row, ScoreRow):
        failure = row.failure
    else:
        failure = row.attempts[-1] if row.status == "failed" and row.attempts else None
    named = ("case", "seed", "status", "metric", "value", "seconds", "encode_seconds", "peak_mb", "note")
    fields = {"run": str(run), **{name: getattr(row, name) for name in named if hasattr(row, name)}}
    if failure:
        fields |= {"error": failure.type, "error_message": failure.message}
    event = "score" if isinstance(row, ScoreRow) else "generation"
    log.debug("%s seed %s: %s", row.case, row.seed, row.status, extra={"event": event, "fields": fields})
