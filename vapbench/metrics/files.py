"""Checkpoints of metrics: one the user names, or the catalogue's."""

from __future__ import annotations

from pathlib import Path

from vapbench.errors import UsageError
from vapbench.weights import locate


def present(path: Path | None) -> Path | None:
    """Return ``path``, made absolute, if it is there.

    Raises:
        UsageError: it is not.
    """
    if path is None:
        return None
    path = path.expanduser()
    if not path.exists():
        raise UsageError(f"{path}: no such checkpoint; check the path.")
    # Not resolved: files of a hub cache are links whose targets have no suffix, which tells formats apart.
    return path.absolute()


def given_or_catalogued(given: Path | None, name: str) -> tuple[Path, ...]:
    """The file or folder values depend on: ``given``, else the catalogue's ``name`` if it is here."""
    path = given or locate(name)
    return (path,) if path else ()
