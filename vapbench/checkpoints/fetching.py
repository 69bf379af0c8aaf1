"""Weights of the metrics from the network to the disk, each held to the hash it had at first.

The first download of a file is trusted and its SHA-256 kept in ``weights.lock.json`` beside it; every later one must
match.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vapbench.checkpoints.catalogue import MetricWeights, find, folders, locate
from vapbench.errors import ErrorKind, WeightsError, first_line
from vapbench.files.atomic import TEMPORARY, atomic_path, file_sha256, write_json
from vapbench.files.download import Progress, download, proxy_note
from vapbench.files.parsing import parse_json

LOCK_FILE = "weights.lock.json"


@dataclass(frozen=True)
class WeightsStatus:
    """What the disk says of one entry of the catalogue."""

    weights: MetricWeights
    path: Path | None
    """Where the file lies, None if it is absent."""
    state: Literal["absent", "ok", "recorded", "changed"]
    """``recorded``: its hash was unknown and is now kept; ``changed``: it differs from the hash that was
    kept."""


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """Download the file into the first of :func:`folders`, unless it is on this machine and what it was.

    The file appears whole or not at all, and only if its hash is the one that the catalogue or an earlier
    download gave it. A download that breaks off is completed by the next call.

    Args:
        name: an entry of the catalogue.
        progress: called while bytes arrive; the model hub's client shows its own bar instead.

    Raises:
        UsageError: the name is not in the catalogue.
        WeightsError: the download fails or is forbidden (:func:`offline`), or the content is not what it was the
            first time.
    """
    weights, present, folder = find(name), locate(name), folders()[0]
    if present is not None and file_sha256(present).startswith(_known_sha256(weights, present.parent)):
        return present
    path = folder / weights.file
    if offline():
        raise WeightsError(
            f"{name}: not fetched, because HF_HUB_OFFLINE is set; unset it, or copy {weights.address} to {path}.",
            ErrorKind.UNREACHABLE,
            "weights",
        )
    try:
        with atomic_path(path) as temporary:
            _download(weights, temporary, progress)
            sha256 = _expected_sha256(weights, folder, temporary)
    except OSError as error:
        reason = str(error) or type(error).__name__
        raise WeightsError(
            f"{name}: {weights.address}: {reason}; try again, or put the file at {path}.",
            ErrorKind.UNREACHABLE,
            "weights",
        ) from error
    _record(folder, weights, sha256)
    return path


def offline() -> bool:
    """Whether nothing may be downloaded: ``HF_HUB_OFFLINE`` (the model hub's own switch) is set."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def verify(name: str) -> WeightsStatus:
    """Compare the file with the hash kept at its first use; keep the hash if there was none.

    Raises:
        UsageError: the name is not in the catalogue.
    """
    weights = find(name)
    path = locate(name)
    if path is None:
        return WeightsStatus(weights, None, "absent")
    sha256 = file_sha256(path)
    if not sha256.startswith(_known_sha256(weights, path.parent)):
        return WeightsStatus(weights, path, "changed")
    if weights.name in _read_lock(path.parent):
        return WeightsStatus(weights, path, "ok")
    _record(path.parent, weights, sha256)
    return WeightsStatus(weights, path, "recorded")


def _download(weights: MetricWeights, destination: Path, progress: Progress | None) -> None:
    if weights.source.startswith("hf://"):
        _download_from_hub(weights.source, destination)
    else:
        _download_url(weights.source, destination, weights.file, progress)


def _download_from_hub(source: str, destination: Path) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import ENDPOINT

    owner, repository, file = source.removeprefix("hf://").split("/", 2)
    # Kept when the download fails: the client resumes from what is there.
    staging = destination.parent / f"{TEMPORARY}{owner}--{repository}"
    try:
        downloaded = hf_hub_download(f"{owner}/{repository}", file, local_dir=staging)
    except Exception as error:
        # The client lets its libraries' errors through: of httpx, of a proxy's address, ….
        raise OSError(f"{first_line(error)}{proxy_note(ENDPOINT)}") from error
    Path(downloaded).replace(destination)
    shutil.rmtree(staging)


def _download_url(source: str, destination: Path, name: str, progress: Progress | None) -> None:
    # Kept when the download fails, under a name that nothing looks for: the next call goes on from there.
    staging = destination.parent / f"{TEMPORARY}{name}"
    download(source, staging, progress)
    staging.replace(destination)


def _expected_sha256(weights: MetricWeights, folder: Path, path: Path) -> str:
    sha256 = file_sha256(path)
    expected = _known_sha256(weights, folder)
    if not sha256.startswith(expected):
        raise WeightsError(
            f"{weights.name}: {weights.source} has SHA-256 {sha256[:12]}…, expected {expected[:12]}…; if its "
            f"publisher replaced it on purpose, remove its entry from {folder / LOCK_FILE}.",
            ErrorKind.CONFLICT,
            "sha256",
        )
    return sha256


def _known_sha256(weights: MetricWeights, folder: Path) -> str:
    """What the hash must begin with: all of it after the first download, before it what the publisher states."""
    entry = _read_lock(folder).get(weights.name)
    return str(entry["sha256"]) if entry else weights.sha256_prefix


def _read_lock(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / LOCK_FILE
    if not path.is_file():
        return {}
    try:
        lock: dict[str, dict[str, Any]] = parse_json(path.read_text(encoding="utf-8"))
        if all(isinstance(entry["sha256"], str) for entry in lock.values()):
            return lock
        reason = "a hash is no text"
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        reason = str(error)
    raise WeightsError(
        f"{path} holds no hashes of weights ({reason}); repair or remove it.", ErrorKind.DAMAGED, path.name
    )


def _record(folder: Path, weights: MetricWeights, sha256: str) -> None:
    entry = {
        "file": weights.file,
        "sha256": sha256,
        "source": weights.source,
        "licence": weights.licence,
        "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(folder / LOCK_FILE, {**_read_lock(folder), weights.name: entry})
