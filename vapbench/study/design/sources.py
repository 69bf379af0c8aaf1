"""What a study is made from: cases and videos, read from runs or from a table of files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from vapbench.core.case import Category, check_name
from vapbench.core.images import is_media
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.files.atomic import expand
from vapbench.files.parsing import read_csv
from vapbench.files.walk import find_inside
from vapbench.report.naming import find_run
from vapbench.report.read.read_runs import read_summary
from vapbench.report.read.run_summary import RunSummary, condition_of
from vapbench.results.manifest import PlannedCase
from vapbench.suites import suite_called

CASE_COLUMNS = ("case", "condition", "category", "prompt", "reference", "image", "target")
"""Columns of a folder manifest that describe the case; every other column is a method's videos."""
_NAMED = 5
"""Methods that a message names: a table may have thousands of columns, and lack them in thousands of rows."""


@dataclass(frozen=True)
class SourceCase:
    """An item, as files."""

    id: str
    condition: str
    reference: Path
    category: Category | None = None
    prompt: str = ""
    image: Path | None = None
    target: Path | None = None
    """Ground truth; gold and training trials are made from it."""


@dataclass(frozen=True)
class SourceMethod:
    """A method's videos."""

    name: str
    videos: Mapping[str, Path]
    """Case -> video."""
    run: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """Cases that every method has a video for."""

    suite: str
    cases: tuple[SourceCase, ...]
    methods: tuple[SourceMethod, ...]
    left_out: Mapping[str, str]
    """Case -> why it is not in the study."""


def from_runs(results: Path, suite: str, methods: Sequence[str], task: str | None, seed: int | None) -> Sources:
    """Take the current videos of finished runs.

    A video counts if its row is the current one of its case and seed and the file still has the row's hash.

    Args:
        results: the results folder.
        suite: as ``--suite`` names it.
        methods: the runs, as :func:`vapbench.report.naming.find_run` takes them.
        task: only cases of this task.
        seed: which generation of each case; None: the lowest seed there is.

    Raises:
        UsageError: no such run, or fewer than two.
        DataError: a run is damaged, or no case is complete.
    """
    runs = [read_summary(find_run(name, results, suite)) for name in methods]
    names, called = _names(runs), suite_called(suite)
    if strangers := {run.suite for run in runs} - {called}:
        raise UsageError(
            f"A study compares methods on one suite: {min(strangers)} is not {called}; add --suite.",
            ErrorKind.CONFLICT,
            "suite",
        )
    planned = dict.fromkeys(case for run in runs for case in run.cases(task))
    videos: dict[str, dict[str, Path]] = {name: {} for name in names}
    left_out: dict[str, str] = {}
    cases: list[SourceCase] = []
    for case in planned:
        found = [_current(run, case, seed) for run in runs]
        reason = _objection(case, names, runs, found)
        if reason:
            left_out[case] = reason
            continue
        cases.append(_from_manifest(case, runs[0].cases()[case]))
        for name, video in zip(names, found, strict=True):
            videos[name][case] = cast(Path, video)
    made = [
        SourceMethod(name, videos[name], str(run.folder.path), run.manifest.document["identity"])
        for name, run in zip(names, runs, strict=True)
    ]
    # A run's folder may be anywhere, and then its name is no method's.
    make = " ".join(("vapbench generate --suite", shlex.quote(suite), *(f"--method {name}" for name in methods)))
    known = all("/" not in name and "~" not in name for name in methods)
    return _checked(Sources(called, tuple(cases), tuple(made), left_out), make if known else "vapbench generate --help")


def from_table(table: Path) -> Sources:
    """Take videos that a table lists: ``case,condition,category,prompt,reference,image,target``, a column per method.

    Paths are relative to the table's folder, or absolute and in it; ``category``, ``prompt``, ``image`` and ``target``
    may be absent.

    Raises:
        DataError: the table is malformed, a listed file is missing, or no case is complete.
    """
    try:
        header, rows = read_csv(table, CASE_COLUMNS)
    except FileNotFoundError:
        raise DataError(
            f"{table}: no such file; write one with the columns case,condition,reference,….",
            ErrorKind.MISSING,
            table.name,
        ) from None
    if missing := {"case", "condition", "reference"} - set(header):
        raise DataError(
            f"{table}: has no column {min(missing)}; it needs case, condition, reference and the methods.",
            ErrorKind.MISSING,
            "columns",
        )
    names = [_name(name, f"{table}:1", "columns") for name in header if name not in CASE_COLUMNS]
    videos: dict[str, dict[str, Path]] = {name: {} for name in names}
    cases: dict[str, SourceCase] = {}
    left_out: dict[str, str] = {}
    for line, row in rows:
        where = f"{table}:{line}"
        case = _table_case(table.parent, row, where)
        if case.id in cases or case.id in left_out:
            raise DataError(f"{where}: {case.id} is listed twice; remove one row.", ErrorKind.CONFLICT, "case")
        lacking = [name for name in names if not (row[name] or "").strip()]
        if lacking:
            left_out[case.id] = f"no video of {', '.join(lacking[:_NAMED])}{', …' * (len(lacking) > _NAMED)}"
            continue
        cases[case.id] = case
        for name in names:
            videos[name][case.id] = _file(table.parent, row[name], where)
    made = tuple(SourceMethod(name, videos[name], str(table)) for name in names)
    return _checked(
        Sources(table.parent.name or "folder", tuple(cases.values()), made, left_out), "complete a row of the table"
    )


def _checked(sources: Sources, make: str) -> Sources:
    if len(sources.methods) < 2:
        raise UsageError(
            "A study compares at least two methods: give --method twice, or a table with two of them.",
            ErrorKind.MISSING,
            "method",
        )
    if not sources.cases:
        case, reason = next(iter(sources.left_out.items()), ("no case", "there is none of this task"))
        raise DataError(
            f"No case has a current video of every method ({case}: {reason}); make them first: {make}",
            ErrorKind.MISSING,
            "cases",
        )
    return sources


def _names(runs: Sequence[RunSummary]) -> list[str]:
    labels = [run.label for run in runs]
    if len(set(labels)) == len(labels):
        return labels
    folders = [run.folder.path.name for run in runs]
    if len(set(folders)) < len(folders):
        raise UsageError(
            "The same run is named twice; a study compares different methods.", ErrorKind.CONFLICT, "method"
        )
    return folders


def _current(run: RunSummary, case: str, seed: int | None) -> Path | None:
    rows = [row for row in run.generations.get(case, ()) if seed is None or row.seed == seed]
    return run.folder.video_of(rows[0]) if rows else None


def _objection(case: str, names: Sequence[str], runs: Sequence[RunSummary], found: Sequence[Path | None]) -> str:
    lacking = [name for name, video in zip(names, found, strict=True) if video is None]
    if lacking:
        return f"no current video of {', '.join(lacking)}"
    # Two runs may have been made before and after a caption or picture was changed.
    needs = ("prompt", "reference", "image")
    seen = [run.cases()[case].fields or {} for run in runs]
    if any(len({str(fields.get(need)) for fields in seen}) > 1 for need in needs):
        return "the runs were made for different versions of the case"
    if not runs[0].cases()[case].reference:
        return "the case has no reference to show"
    entry = _from_manifest(case, runs[0].cases()[case])
    for path in (entry.reference, entry.image):
        if path is not None and not is_media(path):
            return f"{path} is missing"
    return ""


def _from_manifest(case: str, planned: PlannedCase) -> SourceCase:
    root = expand(planned.media or "")

    def path(name: str | None) -> Path | None:
        return root / name if name else None

    return SourceCase(
        case,
        condition_of(case, planned),
        reference=path(planned.reference) or root,
        category=_category(planned.category),
        prompt=planned.caption or "",
        image=path(planned.image),
        target=path(planned.target),
    )


def _category(value: object) -> Category | None:
    return cast(Literal["concept", "style", "motion", "camera"], value) if value in get_args(Category) else None


def _table_case(folder: Path, row: Mapping[str, str | None], where: str) -> SourceCase:
    def optional(column: str) -> Path | None:
        text = (row.get(column) or "").strip()
        return _file(folder, text, where) if text else None

    category = (row.get("category") or "").strip()
    if category and _category(category) is None:
        raise DataError(
            f"{where}: {category!r} is no category; write {', '.join(get_args(Category))}, or nothing.",
            ErrorKind.UNKNOWN,
            "category",
        )
    return SourceCase(
        _name(row["case"], where, "case"),
        _name(row["condition"], where, "condition"),
        reference=_file(folder, row["reference"], where),
        category=_category(category),
        prompt=(row.get("prompt") or "").strip(),
        image=optional("image"),
        target=optional("target"),
    )


def _name(text: str | None, where: str, field: str) -> str:
    try:
        return check_name((text or "").strip())
    except ValueError as error:
        raise DataError(f"{where}: {error}.", ErrorKind.INVALID, field) from error


def _file(folder: Path, text: str | None, where: str) -> Path:
    try:
        path = find_inside(folder, text or "")
    except ValueError as error:
        raise DataError(
            f"{where}: {error}; write it relative to {folder}, without '..'.", ErrorKind.INVALID, "path"
        ) from error
    except FileNotFoundError as error:
        raise DataError(
            f"{where}: no such file {error.filename}; correct the row.", ErrorKind.MISSING, "path"
        ) from None
    if not is_media(path):
        raise DataError(
            f"{where}: {path} is neither a file nor a folder of frames; correct the row.", ErrorKind.INVALID, "path"
        )
    return path
