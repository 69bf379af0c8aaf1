"""``score-set``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vapbench.cli import options as opt


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score-set")(score_set)


def score_set(
    target: Annotated[str, typer.Argument(help="A run: its folder, name or label.", show_default=False)],
    metric: Annotated[str, typer.Option("--metric", help="fvd:model=FOLDER, or the hub id of a fetched model.")],
    task: opt.Task = "all",
    suite: opt.Suite = opt.SUITE,
    data: opt.Data = None,
    results: opt.Results = opt.RUNS,
    device: opt.Device = "auto",
    json: opt.Json = False,
) -> None:
    """Score a run's videos as one set, against the set of their targets.

    \b
    vapbench score-set runs/vap-data/vap --suite vap-data \\
        --data /data/VAP-Data --metric fvd:model=./videomae

    Features are computed once per video and kept in the cache. The value is printed with a 95 % interval over
    conditions and the number of videos, on which such distances depend, and kept in RUN/sets, where report and table
    find it. Too few videos give no value.
    """
    from dataclasses import asdict

    from vapbench.cli.naming import find_run
    from vapbench.core.console import configure_logging, output, print_json
    from vapbench.errors import UsageError
    from vapbench.files.atomic import quoted
    from vapbench.metrics.sets import resolve
    from vapbench.results.sets import write_result
    from vapbench.running.device import torch_device
    from vapbench.running.run import choose
    from vapbench.running.score_sets import score_run

    configure_logging(verbose=0, quiet=False)
    path = Path(target)
    if path.is_dir() and not (path / "manifest.json").is_file():
        raise UsageError(f"{target} is no run folder; score videos you have first: vapbench score {quoted(path)}")
    run = find_run(target, results, suite=None)
    found, params = resolve(metric)
    cases = {case.id: case for case in choose(suite, data, task).cases}
    scored = score_run(run, cases, found, params, torch_device(device), task)
    write_result(run, scored)
    if json:
        print_json(asdict(scored))
        return
    if scored.value is None:
        output().print(f"{metric}: no value: {scored.note}", markup=False, soft_wrap=True)
        return
    digits = found.digits
    interval = "" if scored.low is None else f" [{scored.low:.{digits}f}, {scored.high:.{digits}f}]"
    better = "higher" if found.higher_is_better else "lower"
    output().print(
        f"{metric}: {scored.value:.{digits}f}{interval}  n={scored.n} videos, {scored.clusters} conditions  "
        f"({better} is better)",
        markup=False,
        soft_wrap=True,
    )
