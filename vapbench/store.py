"""Results on disk: run folders, manifests, rows, and the keys that make a result reusable.

    results/<suite>/<method>[~<params8>]/
      manifest.json            identity (another one is refused), planned cases, sessions
      generations.jsonl        one row per generation
      scores/<metric>.jsonl    one row per score
      videos/<case>__s<seed>__<key8>.mp4

Appending a row is write, flush, fsync; the last row of a key wins; a torn last line is cut off before the next
append. A row and its video are trusted only together: the file's hash must be the row's.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Any, Literal, Self

from filelock import FileLock, Timeout
from pydantic import ValidationError

from vapbench.errors import DataError, IdentityError
from vapbench.files import TEMPORARY, atomic_path, canonical_json, digest, file_sha256, is_reserved, write_json
from vapbench.parsing import parse_json
from vapbench.shapes import Manifest, check_generation, check_score

log = logging.getLogger(__name__)

SCHEMA = 1
_LONGEST_SLUG = 160
Status = Literal["ok", "failed", "unscored"]


@dataclass(frozen=True)
class Failure:
    """Why a row failed."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True)
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
    """Why a row is unscored."""
    attempts: tuple[Failure, ...] = ()
    """Failures of this row, retried ones included; a failed row ends with the one that stood."""
    code: str = ""
    """Hash of the code of a method given by path; rows of another code than the last row's no longer count."""
    schema: int = SCHEMA


@dataclass(frozen=True)
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
    schema: int = SCHEMA


def _generation_row(data: dict[str, Any]) -> GenerationRow:
    check_generation(data)
    attempts = tuple(Failure(**item) for item in data.pop("attempts", ()))
    return GenerationRow(**data, attempts=attempts)


def _score_row(data: dict[str, Any]) -> ScoreRow:
    check_score(data)
    failure = data.pop("failure", None)
    return ScoreRow(**data, failure=Failure(**failure) if failure else None)


@dataclass(frozen=True)
class RunFolder:
    """One ``results/<suite>/<method>`` folder, for reading."""

    path: Path

    @property
    def manifest_path(self) -> Path:
        """``manifest.json``: what the run is."""
        return self.path / "manifest.json"

    @property
    def generations_path(self) -> Path:
        """``generations.jsonl``."""
        return self.path / "generations.jsonl"

    @property
    def videos(self) -> Path:
        """Folder of generated videos."""
        return self.path / "videos"

    def scores_path(self, column: str) -> Path:
        """Rows of one metric column (see :func:`column_slug`)."""
        return self.path / "scores" / f"{column}.jsonl"

    def manifest(self) -> dict[str, Any]:
        """Read the manifest.

        Raises:
            DataError: it is absent or damaged.
        """
        try:
            value: dict[str, Any] = parse_json(self.manifest_path.read_text(encoding="utf-8"))
            Manifest.model_validate(value)
        except FileNotFoundError:
            raise DataError(f"{self.path} is no run folder (no manifest.json); see: vapbench list runs") from None
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the file"
            raise DataError(f"{self.manifest_path}: {field:.200}: {first['msg']}; restore it.") from error
        except ValueError as error:
            raise DataError(f"{self.manifest_path}: not valid JSON ({error}); restore it, or delete it.") from error
        return value

    def generations(self) -> dict[str, GenerationRow]:
        """Last row of every key, in the order they were written."""
        rows: dict[str, GenerationRow] = {}
        for row in read_rows(self.generations_path, _generation_row):
            rows.pop(row.key, None)
            rows[row.key] = row
        return rows

    def current(self) -> list[GenerationRow]:
        """The row that counts for every case and seed: the last one written."""
        rows: dict[tuple[str, int], GenerationRow] = {}
        for row in read_rows(self.generations_path, _generation_row):
            rows.pop((row.case, row.seed), None)
            rows[row.case, row.seed] = row
        return list(rows.values())

    def columns(self) -> list[str]:
        """Slugs of the metric columns that have rows."""
        return sorted(path.stem for path in (self.path / "scores").glob("*.jsonl"))

    def scores(self, column: str) -> dict[str, ScoreRow]:
        """Last row of every key of one metric column, in the order they were written."""
        rows: dict[str, ScoreRow] = {}
        for row in read_rows(self.scores_path(column), _score_row):
            rows.pop(row.key, None)
            rows[row.key] = row
        return rows

    def video_of(self, row: GenerationRow) -> Path | None:
        """The row's video if the row is ok and the file is the one it was; otherwise None."""
        if row.status != "ok" or row.video is None:
            return None
        path = self.videos / row.video
        return path if path.is_file() and file_sha256(path) == row.sha256 else None


class RunWriter:
    """The one writer of a run folder, holding its lock."""

    def __init__(self, folder: RunFolder) -> None:
        """Prepare to write ``folder``; nothing happens before the ``with`` block."""
        self.folder = folder
        self._lock = FileLock(folder.path / ".lock", timeout=0)
        self._open: dict[Path, IO[bytes]] = {}

    def __enter__(self) -> Self:
        """Take the lock, and clear what a killed run left half-written.

        Raises:
            DataError: another process is writing the folder.
        """
        self.folder.videos.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise DataError(
                f"{self.folder.path} is being written by {self._owner()}; wait for it, "
                "or write elsewhere with --results DIR."
            ) from None
        for leftover in self.folder.path.rglob(f"{TEMPORARY}*"):
            leftover.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files and give the lock back."""
        for handle in self._open.values():
            handle.close()
        self._open.clear()
        self._lock.release()

    def begin(
        self,
        identity: Mapping[str, Any],
        cases: Mapping[str, Mapping[str, Any]],
        session: Mapping[str, Any],
        metrics: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        card: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Record what is about to run.

        Args:
            identity: what makes two results comparable: method, version, parameters, weights, clip spec.
            cases: case id -> condition, category and captions of every case planned, kept from session to session.
            session: argv, seeds, device, counts: recorded, not compared.
            metrics: metric name -> what it needs and how its values are shown (title, direction, unit, scale, digits).
            card: what the method is: title, kind, notes.

        Raises:
            IdentityError: the folder holds results of another identity; nothing is written.
        """
        manifest: dict[str, Any] = {"schema": SCHEMA, "identity": dict(identity), "cases": {}, "sessions": []}
        if self.folder.manifest_path.exists():
            manifest = self.folder.manifest()
            check_identity(self.folder.path, manifest["identity"], identity)
        for name, case in cases.items():
            manifest["cases"][name] = merge_case(manifest["cases"].get(name, {}), case)
        manifest["metrics"] = {**manifest.get("metrics", {}), **metrics}
        manifest["card"] = {**manifest.get("card", {}), **card}
        manifest["sessions"].append({"started": now(), "host": socket.gethostname(), "pid": os.getpid(), **session})
        write_json(self.folder.manifest_path, manifest)

    def end(self, counts: Mapping[str, Any], device: str) -> None:
        """Close the session that :meth:`begin` opened, with what came of it and the device it was made on."""
        manifest = self.folder.manifest()
        manifest["sessions"][-1] |= {"ended": now(), "counts": dict(counts), "device": device}
        write_json(self.folder.manifest_path, manifest)

    def append(self, row: GenerationRow | ScoreRow) -> None:
        """Append a row; when this returns, it is on disk."""
        path = (
            self.folder.generations_path
            if isinstance(row, GenerationRow)
            else self.folder.scores_path(column_slug(row.metric, row.params))
        )
        handle = self._open.get(path) or self._open.setdefault(path, _open_for_append(path))
        handle.write((canonical_json(asdict(row)) + "\n").encode())
        handle.flush()
        os.fsync(handle.fileno())

    def _owner(self) -> str:
        try:
            session = self.folder.manifest()["sessions"][-1]
        except (DataError, IndexError, KeyError):
            return "another process"
        return f"process {session.get('pid')} on {session.get('host')} since {session.get('started')}"


def merge_case(known: Mapping[str, Any], planned: Mapping[str, Any]) -> dict[str, Any]:
    """A case's manifest entry: as planned now, for every task and seed it was ever planned for."""
    together = {key: sorted({*known.get(key, ()), *planned.get(key, ())}) for key in ("tasks", "seeds")}
    return {**planned, **together}


def read_rows(path: Path, parse: Any) -> Iterator[Any]:
    """Yield the rows of a JSONL file; a line that cannot be read is reported and treated as never written."""
    if not path.exists():
        return
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            if not line.endswith(b"\n"):
                # Torn by a kill: the next writer cuts it off, so it was never written.
                continue
            try:
                data = parse_json(line)
                if data.get("schema") != SCHEMA:
                    raise DataError(
                        f"{path}:{number} has schema {data.get('schema')}, this version reads {SCHEMA}; "
                        "use the version that wrote it, or write elsewhere with --results DIR."
                    )
                row = parse(data)
            except (ValueError, TypeError, AttributeError):
                log.warning("%s:%d is not a readable row; it is ignored and its work is done again.", path, number)
                continue
            yield row


def _open_for_append(path: Path) -> IO[bytes]:
    """Open for appending, after cutting off a torn last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("ab+")
    size = handle.seek(0, os.SEEK_END)
    whole, window = size, 1 << 16
    while whole:
        start = max(0, size - window)
        handle.seek(start)
        newline = handle.read(size - start).rfind(b"\n")
        if newline >= 0 or start == 0:
            whole = start + newline + 1
            break
        window *= 4
    handle.truncate(whole)
    handle.seek(0, os.SEEK_END)
    return handle


def check_identity(path: Path, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Refuse to mix results.

    Raises:
        IdentityError: ``ours`` (on disk) and ``theirs`` (asked for) differ; the message says where.
    """
    if digest(ours) == digest(theirs):
        return
    differing = sorted(key for key in {*ours, *theirs} if digest(ours.get(key)) != digest(theirs.get(key)))
    shown = "; ".join(f"{key}: {_short(ours.get(key))} there, {_short(theirs.get(key))} now" for key in differing)
    raise IdentityError(
        f"{path} holds results of another identity ({shown}). Write elsewhere with --name NAME or --results DIR, "
        "or start anew with --refresh all, which sets them aside."
    )


def generation_key(method: Mapping[str, Any], case: Mapping[str, Any], inputs: list[str], seed: int) -> str:
    """Key of a generation: SHA-256 over everything that can change its frames.

    Args:
        method: name, version, keyed parameters and identity (weights).
        case: :meth:`vapbench.cases.Case.content`: captions, media hashes, clip spec.
        inputs: hashes of further files the method reads for the case.
        seed: the seed.
    """
    return digest({"schema": SCHEMA, "method": method, "case": case, "inputs": inputs, "seed": seed})


def score_key(metric: Mapping[str, Any], case: Mapping[str, Any], seed: int, video_sha256: str) -> str:
    """Key of a score: SHA-256 over everything that can change its value, and whose it is.

    Args:
        metric: name, version, parameters and weights.
        case: id, and the fields the metric needs.
        seed: the generation's; two seeds may give equal videos, as may two cases.
        video_sha256: hash of the video.
    """
    return digest({"schema": SCHEMA, "metric": metric, "case": case, "seed": seed, "video": video_sha256})


def params8(params: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that tell parameter sets apart in file names."""
    return digest(params)[:8]


def column_slug(metric: str, params: Mapping[str, Any]) -> str:
    """File-name form of a metric column: ``dynamic_degree[raft]`` -> ``dynamic_degree-raft``, parameters as a hash."""
    slug = "".join(c if (c.isascii() and c.isalnum()) or c in "._" else "-" for c in metric).strip("-.")
    if not metric.isascii() or len(slug) > _LONGEST_SLUG or not slug or is_reserved(slug):
        slug = f"metric-{slug[:_LONGEST_SLUG]}-{digest(metric)[:8]}"
    return f"{slug}~{params8(params)}" if params else slug


def video_name(case: str, seed: int, key: str) -> str:
    """File name of a generated video."""
    return f"{case}__s{seed}__{key[:8]}.mp4"


def import_video(source: Path, destination: Path) -> None:
    """Copy a finished video, byte for byte and atomically."""
    with atomic_path(destination) as temporary:
        shutil.copyfile(source, temporary)


_RECORDED = (
    *("vapbench", "torch", "torchvision", "diffusers", "transformers", "open_clip_torch", "torchmetrics"),
    *("opencv-python-headless", "av", "numpy"),
)


def environment() -> dict[str, Any]:
    """What a result was made with, for the record: Python, platform, package versions."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in _RECORDED:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "platform": platform.platform(), "packages": packages}


def now() -> str:
    """Current time, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}…"
