"""``study judge``: a model as one more rater, kept apart from people."""

from __future__ import annotations

from typing import Annotated

import typer

from vapbench.cli import options as opt
from vapbench.files.text import counted


def judge(
    study: opt.Study = None,
    metric: Annotated[
        str,
        typer.Option(
            "--metric",
            help="The judge: semantic_alignment[judge]:model=…,base_url=… or semantic_alignment[local]:weights=…",
        ),
    ] = "semantic_alignment[judge]",
    passes: Annotated[
        int,
        typer.Option(
            "--passes",
            min=1,
            max=10,
            help="Times each cell is asked, pairs the second time with sides swapped; never fewer than before.",
        ),
    ] = 2,
    device: opt.Device = "auto",
    max_judge_calls: opt.MaxJudgeCalls = None,
    dry_run: opt.DryRun = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = 0,
) -> None:
    """Ask a model what people are asked: the same blinded videos and words, the same assigner.

    Its votes are kept in STUDY/judges, marked as a model's, and never pooled with people's. It sees every cell and
    every check; answers are kept, and the same command goes on where it stopped, also while people vote. Nothing is
    shown of its answers before the study is closed: study report then says how far it agrees with people, beside how
    far they agree with each other, which side it favours and how often it answers alike.

    \b
    vapbench study judge my-study --dry-run
    vapbench study judge my-study \\
        --metric "semantic_alignment[judge]:model=gemini-2.5-pro"
    """
    from dataclasses import asdict

    from vapbench.cli.costs import print_costs
    from vapbench.cli.execute import say_stopped
    from vapbench.core.console import configure_logging, output, print_json, say, tell
    from vapbench.errors import BudgetSpent, TooManyFailures
    from vapbench.files.atomic import quoted
    from vapbench.metrics.base import PaidMetric
    from vapbench.running.costs import CostEstimate, limit_calls
    from vapbench.running.device import torch_device
    from vapbench.running.plan import columns
    from vapbench.running.progress import progress
    from vapbench.study.folder import find_study
    from vapbench.study.judging.ask import ask, cost_of, set_up

    configure_logging(verbose, quiet)
    folder = find_study(study)
    (column,) = columns([metric])
    asked = set_up(folder, column, passes)
    left = len(asked.missing)
    if asked.passes > passes:
        text = f"--passes {passes}: {asked.passes} were asked for before, and are kept."
        tell(text)
    if dry_run:
        estimate = CostEstimate(asked.protocol.id, column.label, left, cost_of(asked))
        if json:
            print_json({"planned": asked.planned, "missing": left, "passes": asked.passes, "paid": asdict(estimate)})
            return
        output().print(
            f"{left} of {counted(asked.planned, 'trial')} to ask, {counted(asked.passes, 'pass', 'passes')} "
            f"over every cell",
            markup=False,
        )
        print_costs([estimate] if isinstance(column.metric, PaidMetric) else [], max_judge_calls)
        return
    limit_calls([column], max_judge_calls)
    failed = 0
    if left:
        column.metric.setup(torch_device(device))
        try:
            failed = ask(asked, progress(quiet))
        except (BudgetSpent, TooManyFailures) as error:
            say_stopped(asked.protocol.id, error)
            raise typer.Exit(1) from None
    answered = asked.planned - failed
    if json:
        print_json({"planned": asked.planned, "answered": answered, "passes": asked.passes})
    else:
        trials = counted(asked.planned, "trial")
        text = f"{answered} of {trials} answered by {column.label}; kept apart from people's votes."
        say(text)
        say(f"Next:  vapbench study report {quoted(folder.path)}   once it is closed")
    if failed:
        raise typer.Exit(1)
