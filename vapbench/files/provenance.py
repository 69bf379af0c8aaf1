"""What a result was made with, and when: recorded, never compared."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

_RESULTS = ":(exclude)results"  # What a run writes there is no change of the code that made it.
_RECORDED = (
    *("vapbench", "torch", "torchvision", "diffusers", "transformers", "open_clip_torch", "torchmetrics"),
    *("opencv-python-headless", "av", "imageio-ffmpeg", "numpy"),
)


def environment() -> dict[str, Any]:
    """Python, platform, package versions."""
    packages = {name: said for name in _RECORDED if (said := _version(name))}
    return {"python": platform.python_version(), "platform": platform.platform(), "packages": packages}


@cache
def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def now(precision: str = "seconds") -> str:
    """Current time, UTC, ISO 8601, to the second or (``milliseconds``) finer."""
    return datetime.now(UTC).isoformat(timespec=precision)


def git_state() -> dict[str, Any] | None:
    """Commit of the clone vapbench runs from, and whether it has changes; None outside a clone."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {
            "commit": commit,
            "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", _RESULTS)),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def session(argv: Sequence[str], device: str, seeds: Collection[int] | None = None) -> dict[str, Any]:
    """What a manifest records of one command: how it was called, where, with what, and with which seeds."""
    record = {"argv": list(argv), "device": device, "git": git_state(), **environment()}
    return record if seeds is None else {**record, "seeds": sorted(seeds)}
