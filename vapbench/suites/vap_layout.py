"""Where a copy of VAP-Data keeps its tables: as published, as the official scripts read them, or in a download cache.

<folder>/benchmark/benchmark.csv      as published; videos are named relative to <folder>
<folder>/benchmark.csv                as the official scripts read it
<folder>/vap_data.csv
<folder>/snapshots/<commit>/…         where the Hugging Face cache keeps each of these
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from vapbench.errors import DataError, ErrorKind
from vapbench.files.atomic import file_sha256
from vapbench.files.text import counted
from vapbench.suites.table import read_table

log = logging.getLogger(__name__)

BENCHMARK, INDEX = "benchmark.csv", "vap_data.csv"
PUBLISHED = "benchmark"
"""Folder of ``benchmark.csv`` in the published data set."""


@dataclass(frozen=True)
class Layout:
    """The tables of a copy of VAP-Data."""

    folder: Path
    """Of the data set."""
    benchmark: Path | None
    """Which cases there are."""
    index: Path | None
    """What is known of every video."""
    chosen: bool = False
    """Whether the table of the cases was named, rather than looked for."""

    @property
    def bases(self) -> tuple[Path, ...]:
        """Folders that paths in the tables may be relative to, the likeliest first."""
        tables = [path.parent for path in (self.benchmark, self.index) if path]
        above = [folder.parent for folder in tables if folder.name == PUBLISHED]
        return tuple(dict.fromkeys([self.folder, *tables, *above]))


def find_layout(data: Path) -> Layout:
    """Find the tables of a data set by its folder, by its folder ``benchmark``, or by one of its tables.

    Raises:
        DataError: there is none, or there are two benchmarks that differ.
    """
    if data.is_file():
        return _by_table(_named(data.parent) / data.name)
    folder = _snapshot(_named(data))
    index = _first(folder / INDEX)
    if index is None and folder.name == PUBLISHED:
        index = _first(folder.parent / INDEX)
    benchmark = _only(_first(folder / BENCHMARK), _first(folder / PUBLISHED / BENCHMARK))
    if benchmark is None and index is None:
        below = [*folder.glob(f"*/{INDEX}"), *folder.glob(f"*/{BENCHMARK}"), *folder.glob(f"*/{PUBLISHED}/{BENCHMARK}")]
        inside = next((folder / path.relative_to(folder).parts[0] for path in sorted(below)), None)
        hint = f"did you mean --data {inside}?" if inside else "check --data."
        raise DataError(
            f"{data}: neither {BENCHMARK} nor {INDEX} is there, nor {PUBLISHED}/{BENCHMARK}; {hint} "
            "How to get the data: docs/reference/suites.md",
            ErrorKind.MISSING,
            "data",
        )
    return Layout(index.parent if index else folder, benchmark, index)


def _named(folder: Path) -> Path:
    """The folder by its own name, which ``.`` and ``..`` do not tell."""
    return folder.resolve() if folder.name in ("", "..") else folder


def _by_table(table: Path) -> Layout:
    columns = read_table(table, ["video_paths"]).columns
    folder = table.parent
    if "ref_video_path" not in columns:
        return Layout(folder, None, table, chosen=True)
    index = _first(folder / INDEX)
    if index is None and folder.name == PUBLISHED:
        index = _first(folder.parent / INDEX)
    return Layout(index.parent if index else folder, table, index, chosen=True)


def _first(path: Path) -> Path | None:
    return path if path.is_file() else None


def _only(one: Path | None, other: Path | None) -> Path | None:
    if one and other and file_sha256(one) != file_sha256(other):
        raise DataError(
            f"{one} and {other} differ; say which holds the cases: --data {other}", ErrorKind.CONFLICT, "data"
        )
    return one or other


def _snapshot(data: Path) -> Path:
    """The folder itself, or the snapshot of a Hugging Face cache that was downloaded last."""
    snapshots = data / "snapshots"
    if not snapshots.is_dir():
        return data
    found = sorted(path for path in snapshots.iterdir() if path.is_dir())
    main = data / "refs" / "main"
    current = snapshots / main.read_text(encoding="ascii", errors="replace").strip() if main.is_file() else None
    if current not in found:
        current = found[0] if len(found) == 1 else None
    if current is None:
        raise DataError(
            f"{data}: a download cache of {counted(len(found), 'snapshot')}; name one: --data {snapshots}/COMMIT",
            ErrorKind.CONFLICT,
            "data",
        )
    log.warning("%s is a download cache: its snapshot %s is read.", data, current.name)
    return current
