"""Writing a run folder, by the one process that holds its lock.

Appending a row is one write and fsync; a torn last line is cut off before the next append.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from vapbench.errors import ErrorKind, IdentityError
from vapbench.files.atomic import TEMPORARY, atomic_path, digest, write_json
from vapbench.files.journal import Journal, seal
from vapbench.files.lock import RunLock
from vapbench.files.provenance import now
from vapbench.results.keys import column_slug
from vapbench.results.rows import SCHEMA, GenerationRow, ScoreRow, log_row
from vapbench.results.run import RunFolder

log = logging.getLogger(__name__)


class RunWriter:
    """The one writer of a run folder, holding its lock."""

    def __init__(self, folder: RunFolder) -> None:
        """Prepare to write ``folder``; nothing happens before the ``with`` block."""
        self.folder = folder
        self._lock = RunLock(folder.path)
        self._open: dict[Path, Journal] = {}

    def __enter__(self) -> Self:
        """Take the lock, and clear what a killed run left half-written.

        Raises:
            DataError: another process is writing the folder, on this machine or another.
        """
        self.folder.videos.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        try:
            for leftover in self.folder.path.rglob(f"{TEMPORARY}*"):
                leftover.unlink(missing_ok=True)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            stack.callback(self._lock.release)
            for journal in self._open.values():
                stack.callback(journal.close)
        self._open.clear()

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
        self._lock.check()
        manifest: dict[str, Any] = {"schema": SCHEMA, "identity": dict(identity), "cases": {}, "sessions": []}
        if self.folder.manifest_path.exists():
            manifest = dict(self.folder.manifest().document)
            check_identity(self.folder.path, manifest["identity"], identity)
        known, started = manifest.get("cases", {}), {"started": now(), "host": socket.gethostname(), "pid": os.getpid()}
        planned = {name: merge_case(known.get(name, {}), case) for name, case in cases.items()}
        manifest["cases"] = {**known, **planned}
        manifest["metrics"] = {**manifest.get("metrics", {}), **metrics}
        manifest["card"] = {**(manifest.get("card") or {}), **card}
        manifest["sessions"] = [*manifest.get("sessions", ()), {**started, **session}]
        write_json(self.folder.manifest_path, manifest)
        fields = {"run": str(self.folder.path), "cases": len(cases), "argv": list(session.get("argv", ()))}
        log.info("%s: begun", self.folder.path, extra={"event": "begin", "fields": fields})

    def end(self, counts: Mapping[str, Any], device: str) -> None:
        """Close the session that :meth:`begin` opened, with what came of it and the device it was made on."""
        self._lock.check()
        manifest = self.folder.manifest().document
        *before, session = manifest["sessions"]
        ended = {**session, "ended": now(), "counts": dict(counts), "device": device}
        write_json(self.folder.manifest_path, {**manifest, "sessions": [*before, ended]})
        fields = {"run": str(self.folder.path), "device": device, **counts}
        log.info("%s: ended", self.folder.path, extra={"event": "end", "fields": fields})

    def append(self, row: GenerationRow | ScoreRow) -> None:
        """Append a row; when this returns, it is on disk.

        Raises:
            DataError: the lock was broken by somebody else.
            OSError: the row could not be written; then it is not in the file.
        """
        self._lock.check()
        path = (
            self.folder.generations_path
            if isinstance(row, GenerationRow)
            else self.folder.scores_path(column_slug(row.metric, row.params))
        )
        if path not in self._open:
            self._open[path] = Journal(path)
        self._open[path].append(seal(asdict(row)))
        log_row(self.folder.path, row)


def merge_case(known: Mapping[str, Any], planned: Mapping[str, Any]) -> dict[str, Any]:
    """A case's manifest entry: as planned now, for every task and seed it was ever planned for."""
    together = {key: sorted({*known.get(key, ()), *planned.get(key, ())}) for key in ("tasks", "seeds")}
    return {**planned, **together}


def check_identity(path: Path, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Refuse to mix results.

    Raises:
        IdentityError: ``ours`` (on disk) and ``theirs`` (asked for) differ; the message says where.
    """
    if shown := identity_differences(ours, theirs):
        raise IdentityError(
            f"{path} holds results of another identity ({shown}). Write elsewhere with --name NAME or --results DIR, "
            "or start anew with --refresh all, which sets them aside.",
            ErrorKind.CONFLICT,
            shown.partition(":")[0],
        )


def identity_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Where two identities differ, for people; empty if they are one."""
    differing = sorted(key for key in {*ours, *theirs} if digest(ours.get(key)) != digest(theirs.get(key)))
    told = []
    for key in differing:
        one, other = ours.get(key), theirs.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            # Of many parameters, those that differ.
            names = [name for name in {**one, **other} if _digest_of(one, name) != _digest_of(other, name)]
            one, other = ({name: each[name] for name in names if name in each} for each in (one, other))
        told.append(f"{key}: {_short(one)} there, {_short(other)} now")
    return "; ".join(told)


def video_name(case: str, seed: int, key: str, suffix: str = ".mp4") -> str:
    """File name of a generated video; the suffix is that of its bytes."""
    return f"{case}__s{seed}__{key[:8]}{suffix}"


def import_video(source: Path, destination: Path) -> None:
    """Copy a finished video, byte for byte and atomically."""
    with atomic_path(destination) as temporary:
        shutil.copyfile(source, temporary)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _digest_of(values: Mapping[str, Any], name: str) -> str | None:
    return digest(values[name]) if name in values else None
