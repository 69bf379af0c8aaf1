"""``study plan``: from runs to a study that can be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vapbench.cli import options as opt


def plan(
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="A run's name or folder, repeatable; two at least.", show_default=False),
    ] = None,
    suite: opt.Suite = opt.SUITE,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", help="Only cases of this task, or task file (.yaml).", show_default=False),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            help="Instead of runs: a CSV of cases (case,condition,reference,… in docs/guides/study.md), a column "
            "per method.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        Literal["pair", "best_of_n"],
        typer.Option("--kind", help="Two videos and a tie, or the best of all (the paper's preference rate)."),
    ] = "pair",
    questions: Annotated[
        list[str] | None,
        typer.Option("--question", help="semantic, overall; repeatable, a pass each. [default: both]"),
    ] = None,
    votes_per_cell: Annotated[
        int, typer.Option("--votes-per-cell", min=1, help="Votes on each question, case and set of methods.")
    ] = 3,
    raters: Annotated[
        int | None,
        typer.Option(
            "--raters", min=1, help="[default: as many as keep a pass at 26 trials, at least 7]", show_default=False
        ),
    ] = None,
    attrition: Annotated[
        float, typer.Option("--attrition", min=0, max=0.9, help="Share of raters assumed to leave midway.")
    ] = 0.2,
    exclusion: Annotated[
        float, typer.Option("--exclusion", min=0, max=0.9, help="Share of raters assumed to be excluded by the rules.")
    ] = 0.1,
    name: Annotated[
        str | None, typer.Option("--id", help="Name of the study. [default: suite and task]", show_default=False)
    ] = None,
    studies: Annotated[Path, typer.Option("--studies", help="Where studies are kept.")] = Path("studies"),
    case_seed: Annotated[
        int | None,
        typer.Option("--seed", help="Seed of the generations to show. [default: the lowest]", show_default=False),
    ] = None,
    study_seed: Annotated[int, typer.Option("--study-seed", min=0, help="Of assignment, checks and analysis.")] = 0,
    designs: Annotated[
        list[str] | None,
        typer.Option(
            "--design",
            help="Compare with another design, repeatable, nothing is written: raters=60,votes_per_cell=5 "
            "(also kind, question, attrition, exclusion).",
            metavar="CHANGES",
            show_default=False,
        ),
    ] = None,
    dry_run: opt.DryRun = False,
    results: opt.Results = opt.RUNS,
    json: opt.Json = False,
    verbose: opt.Verbose = 0,
    quiet: opt.Quiet = False,
) -> None:
    """Plan a preference study from finished runs.

    Blinds every video, makes checks with known answers from ground truth, freezes the protocol, and simulates the study
    through the real assigner and estimator: power, interval width, raters needed, rater-minutes. With --dry-run only
    the last, in seconds; with --design several designs in one table. Videos are encoded once: another design of the
    same ones takes none of that again.

    \b
    vapbench study plan -m vap -m i2v --raters 40 --dry-run
    vapbench study plan -m vap -m i2v --design raters=60 \\
        --design question=semantic,votes_per_cell=5
    vapbench study plan --suite mini --method vap --method i2v
    vapbench study serve
    """
    from vapbench.core.case import check_name
    from vapbench.core.console import configure_logging, errors, output, print_json, say
    from vapbench.errors import ErrorKind, UsageError
    from vapbench.files.atomic import quoted
    from vapbench.study.analysis.design_text import design_document, design_lines
    from vapbench.study.analysis.text import plan_document, plan_lines
    from vapbench.study.design.blinding import native_formats
    from vapbench.study.design.explore import explore
    from vapbench.study.design.planning import QUESTIONS, Wanted, sketch_study, write_study
    from vapbench.study.design.simulation import Assumptions, forecast
    from vapbench.study.design.sources import from_runs, from_table
    from vapbench.study.folder import StudyFolder
    from vapbench.study.settings import settings_path, write_template
    from vapbench.suites.tasks import task_called

    configure_logging(verbose, quiet)
    if table is not None:
        if methods:
            text = "--table names the methods in its header: leave out --method."
            raise UsageError(text, ErrorKind.CONFLICT, "method")
        given = {"--task": task, "--seed": case_seed, "--suite": None if suite == opt.SUITE else suite}
        if unread := [option for option, value in given.items() if value is not None]:
            text = f"--table lists the cases and their videos: leave out {' and '.join(unread)}, or remove rows."
            raise UsageError(text, ErrorKind.CONFLICT, unread[0].lstrip("-"))
    task = task and task_called(task)
    sources = from_table(table) if table else from_runs(results, suite, methods or [], task, case_seed)
    try:
        identifier = check_name(name or "-".join(filter(None, (sources.suite.replace("@", "-"), task))))
    except ValueError as error:
        raise UsageError(f"--id: {error}.", ErrorKind.INVALID, "id") from None
    asked = tuple(dict.fromkeys(questions or QUESTIONS))
    wanted = Wanted(
        identifier, kind, asked, votes_per_cell, raters, study_seed, attrition=attrition, exclusion=exclusion
    )
    if designs:
        with errors().status("Simulating …") as status:
            candidates = explore(sources, wanted, designs, StudyFolder(studies / identifier), status.update)
        if json:
            print_json(design_document(candidates))
            return
        say(*design_lines(candidates))
        return
    assumed = Assumptions(dropout=attrition, excluded=exclusion)
    folder = StudyFolder(studies / identifier)
    with errors().status("Blinding …") as status:
        shown = None if quiet else lambda what: status.update(f"Blinding {what}")
        if dry_run:
            planned = sketch_study(sources, wanted, folder)
        else:
            planned = write_study(sources, wanted, folder, shown or (lambda _: None))
        status.update("Simulating …")
        expected = forecast(planned.protocol, assumed, seed=study_seed)
    if json:
        print_json(plan_document(planned, expected))
        return
    formats = native_formats(
        {method.name: [method.videos[case.id] for case in sources.cases] for method in sources.methods}
    )
    say(*plan_lines(planned, expected, assumed, formats, dict(sources.left_out)))
    output().print()
    if dry_run:
        output().print("Next:  the same without --dry-run")
        return
    write_template(folder)
    say(
        f"Next:  vapbench study preview {quoted(folder.path)}",
        f"           every page; its words are in {settings_path(folder)}",
        f"       vapbench study serve {quoted(folder.path)}",
        "           freezes the study and collects votes",
    )
