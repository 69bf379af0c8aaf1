"""``check judge``: what a judge's column is worth, before a table leans on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted

if TYPE_CHECKING:
    from vapbench.stats.intervals import Estimate
    from vapbench.validation.judge import Report


def check_judge(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Runs: folders, names or labels. Controls use the videos of the first.", show_default=False
        ),
    ],
    metric: Annotated[
        str,
        typer.Option("--metric", help="The judge: semantic_alignment[judge]:model=…,base_url=…", show_default=False),
    ],
    task: opt.Task = "all",
    suite: opt.Suite = opt.SUITE,
    data: opt.Data = None,
    results: opt.Results = opt.RUNS,
    limit: Annotated[int, typer.Option("--limit", min=2, help="At most this many cases, spread over conditions.")] = 12,
    votes: Annotated[
        Path | None,
        typer.Option(
            "--votes",
            help="People's votes between the runs (.jsonl, .json, .csv): question_id, model_a, model_b, winner.",
            show_default=False,
        ),
    ] = None,
    device: opt.Device = "auto",
    refresh: opt.Refresh = "missing",
    max_failures: opt.MaxFailures = None,
    max_judge_calls: opt.MaxJudgeCalls = None,
    dry_run: opt.DryRun = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = 0,
) -> None:
    """Measure a judge by pairs whose answer is known.

    The reference as its own output, the pair swapped, the output against a wrong reference, the judge against itself,
    and against people's votes if there are any. Answers are kept in RUN/judge-check: nothing is asked twice.

    \b
    vapbench check judge runs/mini/vap \\
        --metric "semantic_alignment[judge]:model=gemini-2.5-pro" --dry-run
    """
    from dataclasses import asdict

    from vapbench.cli.costs import print_costs
    from vapbench.cli.execute import say_stopped
    from vapbench.core.console import configure_logging, output, print_json
    from vapbench.errors import BudgetSpent
    from vapbench.report.naming import find_run
    from vapbench.report.tables.votes import read_votes
    from vapbench.running.costs import limit_calls
    from vapbench.running.plan import columns
    from vapbench.running.progress import progress
    from vapbench.running.run import choose
    from vapbench.validation.judge import check, estimates, set_up

    configure_logging(verbose, quiet)
    settings = opt.Execution(device=device, refresh=refresh, max_failures=max_failures).settings()
    ballots = read_votes(votes) if votes else []
    (column,) = columns([metric])
    setting = set_up([find_run(name, results, suite=None) for name in runs], choose(suite, data, task), column, limit)
    if dry_run and json:
        paid = [asdict(each) for each in estimates(setting)]
        print_json({"cases": len(setting.selection.cases), "controls": list(setting.controls), "paid": paid})
        return
    if dry_run:
        output().print(
            f"{counted(len(setting.selection.cases), 'case')}, controls: {', '.join(setting.controls)}", markup=False
        )
        print_costs(estimates(setting), max_judge_calls)
        return
    limit_calls([column], max_judge_calls)
    try:
        report = check(setting, settings, progress(quiet), ballots)
    except BudgetSpent as error:
        say_stopped(Path(runs[0]).name, error)
        raise typer.Exit(1) from None
    _print(report, as_json=json)


def _print(report: Report, as_json: bool) -> None:
    from dataclasses import asdict

    from vapbench.core.console import output, print_json, say, terminal_width

    if as_json:
        print_json(asdict(report))
        return
    say(*_lines(report, terminal_width(output())))


def _lines(report: Report, width: int | None) -> list[str]:
    from vapbench.core.text_table import table_lines
    from vapbench.validation.controls import CONTROLS

    said: dict[str, str] = {"right": "the output against its own reference"} | {
        str(name): text for name, text in CONTROLS.items()
    }
    means = [(name, _mean(mean), said[name]) for name, mean in report.means.items()]
    facts = list(_facts(report))
    return [
        *(report.column, ""),
        *table_lines(means, width, left=3, indent=2),
        "",
        *table_lines(facts, width, left=2, indent=2),
        *("", "What these mean: docs/guides/judge.md"),
    ]


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    if report.separation:
        yield "own reference above a wrong one", f"{_percent(report.separation)}; 50 % is chance"
    if report.swap_difference is not None:
        yield "moved by swapping", f"{report.swap_difference:.1f} points a case on average"
    if report.repeat_difference is not None:
        yield "moved between repeats", f"{report.repeat_difference:.1f} points on average"
    if report.repeat_alpha and report.repeat_alpha.alpha is not None:
        yield "agreement of repeats", f"Krippendorff's alpha {report.repeat_alpha.alpha:.2f} (interval)"
    if report.votes:
        votes = report.votes
        left = (
            f"{counted(votes.ties, 'tie')} and {counted(votes.elsewhere, 'vote')} on other cases or runs are left out"
        )
        yield "sides with people's votes", f"{_percent(votes.accuracy)}; {left}"
    yield "unusable answers", f"{report.failed} of {report.asked}"


def _mean(mean: Estimate) -> str:
    interval = f" [{mean.low:.1f}, {mean.high:.1f}]" if mean.low is not None and mean.high is not None else ""
    return f"{mean.mean:.1f}{interval}  n={mean.n}"


def _percent(mean: Estimate) -> str:
    if mean.low is None or mean.high is None:
        return f"{100 * mean.mean:.0f} % (n={mean.n}, no interval)"
    return f"{100 * mean.mean:.0f} % [{100 * mean.low:.0f}, {100 * mean.high:.0f}] (n={mean.n})"
