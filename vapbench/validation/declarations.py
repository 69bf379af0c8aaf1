"""What can be checked without running anything: declarations, methods, and the data of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from pathlib import Path
from typing import Any

from vapbench.errors import DataError, ErrorKind, UsageError, VapbenchError
from vapbench.files.atomic import expand
from vapbench.files.journal import unseal
from vapbench.files.text import counted, some
from vapbench.leaderboard.check import manifest_problems, row_problems
from vapbench.methods import MethodEntry, check_class, find, methods
from vapbench.metrics import REGISTRY
from vapbench.metrics import resolve as resolve_metric
from vapbench.results.run import RunFolder
from vapbench.suites import find_suite, load_suites
from vapbench.suites.tasks import conditions_of, find_task, load_tasks


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    what: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


def check_declarations() -> list[Finding]:
    """Every task, suite, method and metric that can be asked for by name."""
    findings = [_try("tasks", lambda: [conditions_of(task) for task in load_tasks().values()])]
    findings.append(_try("suites", _check_suites))
    entries = list(methods())
    findings += [_try(f"method {entry.name}", partial(_check_method, entry)) for entry in entries]
    findings += [_try(f"metric {entry.name}", entry.load) for entry in REGISTRY]
    return findings


def check_target(text: str) -> list[Finding]:
    """A method by name or folder, a metric, a task or suite file, a run folder, or a folder of runs.

    Raises:
        UsageError: it is none of these.
        OSError: a file cannot be read.
    """
    path = expand(text)
    if path.suffix in (".yaml", ".yml"):
        kind = "suite" if "reader:" in path.read_text(encoding="utf-8", errors="replace") else "task"
        return [_try(f"{kind} {text}", partial(find_suite if kind == "suite" else find_task, text))]
    if ".py:" in text or text in {entry.name for entry in REGISTRY}:
        return [_try(f"metric {text}", partial(resolve_metric, text))]
    if (path / "card.yaml").is_file() or not path.is_dir():
        return [_try(f"method {text}", lambda: _check_method(find(text)))]
    runs = [path] if (path / "manifest.json").is_file() else [p.parent for p in sorted(path.glob("**/manifest.json"))]
    if not runs:
        raise UsageError(
            f"{text}: neither a method folder (card.yaml), a run, nor a folder of runs.", ErrorKind.UNKNOWN, "path"
        )
    return [finding for run in runs for finding in check_run(RunFolder(run))]


def check_run(folder: RunFolder) -> Iterator[Finding]:
    """A run's manifest, rows and videos: everything parses, every ok row's video is the one it was.

    Results in git come without videos; then only the rows are checked.
    """
    yield _try(f"{folder.path} manifest", folder.manifest)
    yield _try(f"{folder.path} generations", partial(_check_generations, folder))
    yield _try(f"{folder.path} as a board's data", partial(_check_harmless, folder))
    for column in folder.columns():
        yield _try(f"{folder.path} {column}", partial(_check_scores, folder, column))


def _check_generations(folder: RunFolder) -> None:
    _check_lines(folder.generations_path)
    if not folder.videos.is_dir():
        return
    changed = [row.video for row in folder.current() if row.status == "ok" and folder.video_of(row) is None]
    if changed:
        raise DataError(
            f"{counted(len(changed), 'video')} missing or changed since: {some(changed)}; run it again",
            ErrorKind.CONFLICT,
            "videos",
        )


def _check_harmless(folder: RunFolder) -> None:
    """The rules that submissions to the board are held to."""
    problems = manifest_problems(folder.manifest().document) + row_problems(folder.path)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DataError(problems[0] + more, ErrorKind.INVALID)


def _check_scores(folder: RunFolder, column: str) -> None:
    _check_lines(folder.scores_path(column))
    shown = folder.manifest().metrics
    for row in folder.scores(column).values():
        display = shown.get(row.metric)
        if row.value is not None and display and not _within(row.value, display.range or [None, None]):
            low, high = (" " if end is None else f"{end:g}" for end in display.range or [None, None])
            raise DataError(
                f"{row.case} seed {row.seed}: {row.value:g} is outside the range of {row.metric}, {low} to {high}; "
                "score it again",
                ErrorKind.INVALID,
                "value",
            )
    cases = {row.case for row in folder.generations().values()}
    strays = [row.case for row in folder.scores(column).values() if row.case not in cases]
    if strays:
        raise DataError(
            f"{counted(len(strays), 'score')} of cases that nothing was generated for: {some(strays)}",
            ErrorKind.CONFLICT,
            "scores",
        )


def _within(value: float, ends: Sequence[float | None]) -> bool:
    """Whether a value is in a range, but for what rounding does at its ends."""
    low, high = (-inf if ends[0] is None else ends[0]), (inf if ends[1] is None else ends[1])
    slack = 1e-6 * (high - low) if isfinite(high - low) else 1e-6
    return low - slack <= value <= high + slack


def _check_lines(path: Path) -> None:
    lines = path.read_bytes().splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            unseal(line)
        except ValueError as error:
            raise DataError(
                f"{path}:{number} is not a readable row ({error}); run it again, or remove the line",
                ErrorKind.DAMAGED,
                "row",
            ) from error


def _check_suites() -> None:
    for suite in load_suites().values():
        for name in suite.metrics:
            resolve_metric(name)


def _check_method(entry: MethodEntry) -> None:
    check_class(entry.load())


def _try(what: str, action: Callable[[], Any]) -> Finding:
    try:
        action()
    except VapbenchError as error:
        return Finding(what, str(error))
    return Finding(what)
