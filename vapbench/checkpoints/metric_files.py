"""Checkpoints of metrics: one the user names, or the catalogue's, or one that ships with vapbench."""

from __future__ import annotations

from pathlib import Path

from vapbench.checkpoints.catalogue import locate
from vapbench.errors import ErrorKind, NotApplicable, UsageError
from vapbench.files.atomic import expand
from vapbench.files.resources import bundled_weights


def present(path: Path | None) -> Path | None:
    """Return ``path``, made absolute, if it is there.

    Raises:
        UsageError: it is not.
    """
    if path is None:
        return None
    path = expand(path)
    if not path.exists():
        raise UsageError(f"{path}: no such checkpoint; check the path.", ErrorKind.MISSING, "weights")
    # Not resolved: files of a hub cache are links whose targets have no suffix, which tells formats apart.
    return path.absolute()


def given_or_catalogued(given: Path | None, name: str) -> tuple[Path, ...]:
    """The file or folder values depend on: ``given``, else the catalogue's ``name`` if it is here."""
    path = given or locate(name)
    return (path,) if path else ()


def given_or_shipped(given: Path | None, part: str) -> Path | None:
    """The folder ``given``, else the one of the mini suite's part (``semantic``) that ships, or None if none does.

    Raises:
        UsageError: ``given`` is not there, or is a file.
    """
    if (found := present(given)) and not found.is_dir():
        raise UsageError(
            f"{given} is a file; give the folder {part} that `vapbench train mini --out DIR` made: DIR/{part}",
            ErrorKind.INVALID,
            "weights",
        )
    shipped = bundled_weights(f"mini/{part}")
    return found or (shipped if shipped.is_dir() else None)


def require_shipped(folder: Path | None, part: str) -> Path:
    """The folder that :func:`given_or_shipped` found.

    Raises:
        NotApplicable: there is none; the message says which command makes it.
    """
    if folder is None:
        raise NotApplicable(
            f"the mini suite's {part} is not in this installation; train it with `vapbench train mini --out DIR`, "
            f"and give the metric DIR/{part}",
            ErrorKind.MISSING,
            "weights",
        )
    return folder
