"""What ``score`` says of a folder of videos before it scores it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.files.atomic import quoted
from vapbench.files.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from vapbench.methods import ResolvedMethod
    from vapbench.methods.folder import Folder
    from vapbench.methods.preflight import Preflight, Problem
    from vapbench.running.plan import RunPlan
    from vapbench.running.run import Selection

_SHOWN = 10
"""Problems of a kind that are listed without -v."""
_NAMED = 3


@dataclass(frozen=True)
class Saying:
    """How much is said, and where."""

    dry_run: bool
    json: bool
    quiet: bool
    verbose: int
    template: Path | None
    """Where to write a manifest to fill in."""


def look_and_say(
    resolved: ResolvedMethod,
    method: Folder,
    selection: Selection,
    seeds: Sequence[int],
    name: str | None,
    say: Saying,
) -> Preflight:
    """Look at a folder of videos, and say what was found.

    Args:
        resolved: the folder as a method (:func:`~vapbench.running.run.open_folder`).
        method: the folder itself.
        selection: cases to score.
        seeds: seeds to score.
        name: name of the run, if the user gave one.
        say: how much to say.

    Raises:
        DataError: there is no video of any case, or there are videos of several methods.
    """
    from vapbench.core.console import errors, output, print_json
    from vapbench.errors import DataError
    from vapbench.methods.preflight import refuse_none
    from vapbench.running.plan import run_name

    silent = say.dry_run and say.json
    found = _look(method, selection, seeds, say.quiet or silent)
    if not silent and (say.dry_run or not say.quiet):
        say_found(output() if say.dry_run else errors(), name or run_name(resolved), found, say.verbose)
    if say.template:
        _write_template(method, selection, say.template)
    try:
        refuse_none(method, found, selection.cases, selection.suite.name)
    except DataError as error:
        if silent:
            print_json({"preflight": found.document(), "error": str(error)})
        raise
    return found


def _look(method: Folder, selection: Selection, seeds: Sequence[int], quiet: bool) -> Preflight:
    from vapbench.methods.preflight import look
    from vapbench.running.context import WORTH_SHOWING
    from vapbench.running.progress import progress

    count = sum(len(set(method.seeds_of(case.id)) & set(seeds)) for case in selection.cases)
    # Those of cases of their own were decoded to know what they are.
    watcher = progress(quiet or count < WORTH_SHOWING or method.assigned)
    watcher.begin(f"{method.path.name} · look at the videos", count)
    try:
        return look(method, selection.cases, seeds, step=lambda label: watcher.step(label, "ok"))
    finally:
        watcher.end()


def say_found(console: Console, name: str, found: Preflight, verbose: int) -> None:
    """Print the count, then a line for each problem: the first of each kind, or with -v all."""
    from vapbench.methods.preflight import KINDS

    most = None if verbose else _SHOWN
    missing = f"; missing: {_some(found.missing, None if verbose else _NAMED)}" if found.missing else ""
    _print(console, f"{name}: {found.found} of {counted(found.cases, 'case')} found{missing}", 0)
    if list(found.seeds) != [0]:
        _print(console, f"seeds: {_some(list(map(str, found.seeds)), most)}; a case counts when it has all of them", 2)
    if found.lacking:
        lacking = [f"{case} (seed {', '.join(map(str, seeds))})" for case, seeds in found.lacking.items()]
        cases = counted(len(lacking), "case lacks a seed, and does", "cases lack a seed, and do")
        line = f"{cases} not count: {_some(lacking, most and _NAMED)}; see --seed"
        _print(console, line, 2)
    for kind, heading in KINDS.items():
        problems = [one for one in found.problems if one.kind == kind]
        if not problems:
            continue
        _print(console, f"{len(problems)} {heading}:", 2)
        for line in _lines(problems, most):
            _print(console, line, 4)
    for line in _counts(found, most):
        _print(console, line, 2)


def say_failed(plan: RunPlan, found: Preflight) -> None:
    """Print the videos that turned out to be bad only when they were taken in."""
    from vapbench.core.console import errors

    # A clip of another size was said to be scored all the same.
    told = {(one.case, one.seed) for one in found.problems if one.kind != "differs"}
    asked = {job.key for job in plan.jobs}
    failed = [row for row in plan.folder.current() if row.status == "failed" and row.key in asked]
    new = [row for row in failed if (row.case, row.seed) not in told]
    for row in new[:_SHOWN]:
        why = row.attempts[-1].message if row.attempts else "failed"
        _print(errors(), f"{row.case} seed {row.seed}: {why}", 4)
    if len(new) > _SHOWN:
        _print(errors(), f"and {len(new) - _SHOWN} more: vapbench show {quoted(plan.folder.path)}", 4)


def _write_template(method: Folder, selection: Selection, template: Path) -> None:
    from vapbench.core.console import errors
    from vapbench.methods.folder import MANIFEST, write_manifest_template

    write_manifest_template(method, selection.cases, template)
    place = method.path / MANIFEST
    then = "then run again" if template.resolve() == place else f"then keep it as {place}"
    _print(errors(), f"{template}: fill in the blank rows, {then}", 0)


def _lines(problems: Sequence[Problem], most: int | None) -> Iterable[str]:
    if most is None or len(problems) <= most:
        yield from map(_line, problems)
        return
    # Of many files with the same to say, one stands for all: what is said of few is not lost below it.
    alike: dict[str, list[Problem]] = {}
    for one in problems:
        alike.setdefault(f"{one.text}{one.nearest}" if one.text else one.file, []).append(one)
    for same in list(alike.values())[:most]:
        yield _line(same[0]) + (f" (and {len(same) - 1} more like it)" if len(same) > 1 else "")
    shown = sum(map(len, list(alike.values())[:most]))
    yield f"and {len(problems) - shown} more; -v lists all" if shown < len(problems) else "-v lists all"


def _line(one: Problem) -> str:
    nearest = f"did you mean {one.nearest}?" if one.nearest else ""
    said = "; ".join(filter(None, (one.text, nearest)))
    return f"{one.file}: {said}" if said else one.file


def _counts(found: Preflight, most: int | None) -> Iterable[str]:
    if found.hidden:
        yield f"{len(found.hidden)} hidden, not looked at: {_some(found.hidden, most and _NAMED)}"
    if found.outside:
        yield f"{found.outside} of cases that were not asked for (--task, --limit)"
    if found.other_seeds:
        yield f"{found.other_seeds} of seeds that were not asked for (--seed)"
    if found.not_decoded:
        yield f"{found.not_decoded} looked at by their headers alone; damage inside them shows when they are scored"


def _some(names: Sequence[str], most: int | None) -> str:
    more = len(names) - most if most else 0
    shown = ", ".join(names[:most])
    return f"{shown}, and {more} more" if more > 0 else shown


def _print(console: Console, text: str, indent: int) -> None:
    """Print a line; on a terminal, what does not fit goes on below, further in."""
    from rich.text import Text

    from vapbench.files.text import visible

    text = visible(text)
    if not console.is_terminal:
        console.print(" " * indent + text, markup=False, soft_wrap=True)
        return
    for number, line in enumerate(Text(text).wrap(console, max(20, console.width - indent - 2))):
        line.rstrip()
        console.print(Text(" " * (indent + (2 if number else 0))) + line, soft_wrap=True)
