"""Files that come with vapbench: tasks, suites, baselines.

In a clone they are the folders at the top; in an installed wheel the same folders lie inside the package.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def resource(name: str) -> Path:
    """Return the folder ``name`` (``tasks``, ``baselines``, ``results/published``)."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def clone() -> Path | None:
    """The top of the clone that vapbench runs from; None for an installed wheel."""
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "results").is_dir() else None


def bundled_weights(name: str) -> Path:
    """Return the folder of weights that come with the package, such as ``mini/vap``; it may be absent."""
    return _PACKAGE / "bundled" / name
