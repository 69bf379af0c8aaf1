"""``check metric``: what a column sees of known edits, what it is blind to, and what fools it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vapbench.cli import options as opt

if TYPE_CHECKING:
    from vapbench.validation.audit.measure import Audit, Effect


def check_metric(
    metric: Annotated[
        list[str] | None,
        typer.Argument(help="Metrics: names, or my.py:MyMetric.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every built-in metric without weights of its own.")] = False,
    videos: Annotated[
        Path | None,
        typer.Option(
            "--videos",
            help="A folder of videos named after cases, instead of the suite's ground truth; with --suite custom, any.",
            show_default=False,
        ),
    ] = None,
    task: opt.Task = "all",
    suite: opt.Suite = opt.SUITE,
    data: opt.Data = None,
    limit: Annotated[
        int, typer.Option("--limit", min=2, help="At most this many cases, spread over conditions; 6 can tell.")
    ] = 12,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the matrix as well: .csv, or a picture .svg, .png.", show_default=False),
    ] = None,
    device: opt.Device = "auto",
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = 0,
) -> None:
    """Audit metrics with known edits of right videos.

    Ground truths are played backwards, frozen, blurred, boxed, replaced by the reference and so on, and scored again:
    a fault should lower the score, what nobody minds should leave it. Each change has a sign-flip test and an
    interval by condition. The exit code is 1 where a metric moves under an edit that its invariant_to names.

    \b
    vapbench check metric camera_agreement --task camera
    vapbench check metric my.py:MyMetric temporal_flickering --out audit.png
    vapbench check metric --all --suite custom --videos ./clips
    """
    from vapbench.core.console import configure_logging, output, print_json
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.running.device import torch_device
    from vapbench.running.plan import columns
    from vapbench.running.progress import progress
    from vapbench.validation.audit.measure import audit, measure
    from vapbench.validation.audit.tables import as_records, check_suffix, write
    from vapbench.validation.audit.who import subjects_of, without_weights

    configure_logging(verbose, quiet)
    if out:
        check_suffix(out)
    if bool(metric) == every:
        raise UsageError(
            "Name metrics, or say --all: vapbench check metric camera_agreement", ErrorKind.MISSING, "metric"
        )
    chosen = subjects_of(suite, data, task, videos, limit)
    wanted = columns(without_weights() if every else metric or [])
    scores = measure(chosen, wanted, torch_device(device), progress(quiet))
    audits = [audit(column, scores[column.label]) for column in wanted]
    if out:
        write(audits, out)
    if json:
        print_json(as_records(audits))
    else:
        for found in audits:
            _print(found)
        output().print("What these mean: docs/reference/audit.md", markup=False)
    raise typer.Exit(1 if any(found.broken for found in audits) else 0)


_WHOLE = 120
"""Letters of a line where no terminal is narrower: a file has room for every word."""


def _print(found: Audit) -> None:
    from rich.console import Console
    from rich.table import Table

    from vapbench.core.console import output, say
    from vapbench.validation.audit.edits import EDITS

    say(_heading(found))
    if found.effects:
        rows = [_row(found, effect) for effect in found.effects]
        table = Table(box=None, pad_edge=False, header_style="")
        for number, name in enumerate(("  edit", "", "change, + is better", "original better")):
            # A narrow terminal cuts the explanation, never a number.
            table.add_column(name, no_wrap=True, min_width=max(len(name), *(len(row[number]) for row in rows)))
        table.add_column(no_wrap=True, overflow="ellipsis")
        for effect, row in zip(found.effects, rows, strict=True):
            table.add_row(*row, EDITS[effect.edit].what, style=_STYLES[effect.verdict])
        console = output() if output().is_terminal else Console(highlight=False, width=_WHOLE)
        console.print(table)
    if found.broken:
        names = ", ".join(found.broken)
        output().print(f"  declared invariant to {names}, and is not", style="red", markup=False)
    output().print()


def _row(found: Audit, effect: Effect) -> tuple[str, str, str, str]:
    of = "" if found.original and effect.change.n == found.original.n else f" of {effect.change.n}"
    return f"  {effect.edit}", effect.verdict, change(found, effect), share(effect) + of


_STYLES = {"sees": "green", "blind": "yellow", "fooled": "red", "steady": "", "disturbed": "yellow", "unclear": "dim"}


def _heading(found: Audit) -> str:
    unscored = "; ".join(f"{count} unscored: {why}" for why, count in found.unscored.items())
    if found.original is None:
        return f"{found.column}: {unscored}"
    metric = found.metric
    mean = f"{found.original.mean * metric.scale:.{metric.digits}f}"
    rest = f" ({unscored})" if unscored else ""
    return f"{found.column}: the originals have {mean} on average, n={found.original.n}{rest}"


def change(found: Audit, effect: Effect) -> str:
    """Mean change and its interval, as the column is shown."""
    metric, known = found.metric, effect.change
    ends = [value for value in (known.mean, known.low, known.high) if value is not None]
    shown = [f"{value * metric.scale:+.{metric.digits}f}" for value in ends]
    return shown[0] if len(shown) < 3 else f"{shown[0]} [{shown[1]}, {shown[2]}]"


def share(effect: Effect) -> str:
    """How often the original scores better."""
    return f"{100 * effect.share:.0f} %"
