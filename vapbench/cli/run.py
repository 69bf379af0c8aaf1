"""``run``, ``generate`` and ``score``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vapbench.cli import options as opt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vapbench.errors import VapbenchError
    from vapbench.methods import ResolvedMethod
    from vapbench.methods.preflight import Preflight
    from vapbench.results.run import RunFolder
    from vapbench.running.context import Settings
    from vapbench.running.plan import Column, RunPlan
    from vapbench.running.run import Outcome, Selection


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(generate)
    app.command()(score)


def run(
    method: opt.Methods,
    task: opt.Task = "all",
    suite: opt.Suite = opt.SUITE,
    data: opt.Data = None,
    metric: opt.Metrics = None,
    seed: opt.Seeds = None,
    limit: opt.Limit = None,
    results: opt.Results = opt.RUNS,
    name: opt.Name = None,
    device: opt.Device = "auto",
    executor: opt.Executor = "local",
    workers: opt.Workers = None,
    ray_address: opt.RayAddress = None,
    dtype: opt.Dtype = None,
    offload: opt.Offload = None,
    memory: opt.Memory = None,
    refresh: opt.Refresh = "missing",
    retries: opt.Retries = 1,
    case_timeout: opt.CaseTimeout = None,
    max_failures: opt.MaxFailures = "0.1",
    max_judge_calls: opt.MaxJudgeCalls = None,
    fail_fast: opt.FailFast = False,
    shard: opt.ShardOption = None,
    dry_run: opt.DryRun = False,
    json: opt.Json = False,
    log_json: opt.LogJson = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = 0,
) -> None:
    """Generate, score, report; resume.

    The same command resumes: what is finished is kept, what is missing is done.

    \b
    vapbench run --method vap --task camera
    vapbench run -m vap -m frozen -m ground-truth --task all --seed 0 --seed 1
    vapbench run -m "vap:steps=30,guidance=5" --suite vap-data \\
        --data /data/VAP-Data --offload model
    vapbench run -m vap --executor ray --workers 2
    """
    from vapbench.cli.costs import print_costs
    from vapbench.cli.dry_run import describe_plans, describe_protocol, document, show
    from vapbench.cli.report import print_tables
    from vapbench.cli.sharding import say_merge
    from vapbench.core.console import configure_logging, print_json
    from vapbench.running.costs import estimate_plan, limit_calls
    from vapbench.running.plan import columns
    from vapbench.running.run import choose
    from vapbench.suites import find_suite

    configure_logging(verbose, quiet, log_json)
    settings = settings_of(device, refresh, retries, max_failures, fail_fast, memory, case_timeout)
    settings = with_ray(settings, executor, workers, ray_address)
    if dry_run and (told := describe_protocol(suite, data, task, method, {"dtype": dtype, "offload": offload}, seed)):
        wanted = columns(metric or find_suite(suite).metrics)
        print_json(document(told, wanted)) if json else show(told, wanted)
        return
    selection = choose(suite, data, task, limit)
    wanted = columns(metric or selection.suite.metrics)
    plans = plans_of(method, selection, {"dtype": dtype, "offload": offload}, seed, results, name, dry_run, shard)
    if dry_run:
        described = describe_plans(plans, wanted, settings.refresh)
        paid = [each for plan in plans for each in estimate_plan(plan, wanted, settings.refresh)]
        if json:
            print_json(document(described, wanted, paid))
            return
        show(described, wanted)
        print_costs(paid, max_judge_calls)
        return
    limit_calls(wanted, max_judge_calls)
    stopped = _execute_all(plans, wanted, settings, selection, quiet)
    folders = [plan.folder for plan in plans if plan.folder.manifest_path.exists()]
    shown = [column.label for column in wanted]
    print_tables(folders, task=selection.task.name, as_json=json, next_steps=not quiet, metrics=shown)
    say_merge(shard, results)
    raise typer.Exit(1 if stopped else 0)


def generate(
    method: opt.Methods,
    task: opt.Task = "all",
    suite: opt.Suite = opt.SUITE,
    data: opt.Data = None,
    seed: opt.Seeds = None,
    limit: opt.Limit = None,
    results: opt.Results = opt.RUNS,
    name: opt.Name = None,
    device: opt.Device = "auto",
    executor: opt.Executor = "local",
    workers: opt.Workers = None,
    ray_address: opt.RayAddress = None,
    dtype: opt.Dtype = None,
    offload: opt.Offload = None,
    refresh: opt.Refresh = "missing",
    retries: opt.Retries = 1,
    case_timeout: opt.CaseTimeout = None,
    max_failures: opt.MaxFailures = "0.1",
    fail_fast: opt.FailFast = False,
    shard: opt.ShardOption = None,
    dry_run: opt.DryRun = False,
    json: opt.Json = False,
    log_json: opt.LogJson = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = 0,
) -> None:
    """Generate videos, and score them later.

    Scoring them may be done on another machine:

    \b
    vapbench score RUN
    """
    from vapbench.cli.dry_run import describe_plans, describe_protocol, document, show
    from vapbench.cli.sharding import say_merge
    from vapbench.core.console import configure_logging, output, print_json
    from vapbench.running.run import choose

    configure_logging(verbose, quiet, log_json)
    settings = settings_of(device, refresh, retries, max_failures, fail_fast, case_timeout=case_timeout)
    settings = with_ray(settings, executor, workers, ray_address)
    if dry_run and (told := describe_protocol(suite, data, task, method, {"dtype": dtype, "offload": offload}, seed)):
        print_json(document(told, ())) if json else show(told)
        return
    selection = choose(suite, data, task, limit)
    plans = plans_of(method, selection, {"dtype": dtype, "offload": offload}, seed, results, name, dry_run, shard)
    if dry_run:
        described = describe_plans(plans, (), settings.refresh)
        print_json(document(described, ())) if json else show(described)
        return
    stopped = _execute_all(plans, (), settings, selection, quiet)
    counts = []
    for plan in plans:
        asked = {job.key for job in plan.jobs}
        made = sum(row.status == "ok" and row.key in asked for row in plan.folder.current())
        counts.append({"run": str(plan.folder.path), "made": made, "videos": len(plan.jobs)})
    if json:
        print_json(counts)
    for item in () if json else counts:
        output().print(f"{item['run']}: {item['made']} of {item['videos']} videos", markup=False, soft_wrap=True)
    say_merge(shard, results)
    raise typer.Exit(1 if stopped else 0)


def score(
    target: Annotated[
        Path,
        typer.Argument(help="A run (its folder, name or label), or a folder of videos you have.", show_default=False),
    ],
    task: opt.Task = "all",
    suite: opt.Suite = opt.SUITE,
    data: opt.Data = None,
    metric: opt.Metrics = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            "--seed", metavar="N", help="Of a folder: seed, repeatable. [default: those found]", show_default=False
        ),
    ] = None,
    limit: opt.Limit = None,
    results: opt.Results = opt.RUNS,
    name: opt.Name = None,
    panel: Annotated[
        Literal["all", "last"],
        typer.Option("--panel", help="last: the right third of [reference | target | output] videos."),
    ] = "all",
    template: Annotated[
        Path | None,
        typer.Option(
            "--template",
            metavar="FILE",
            help="Of a folder: write a manifest.csv to fill in, with a row for each case.",
            show_default=False,
        ),
    ] = None,
    device: opt.Device = "auto",
    executor: opt.Executor = "local",
    workers: opt.Workers = None,
    ray_address: opt.RayAddress = None,
    memory: opt.Memory = None,
    refresh: opt.Refresh = "missing",
    max_failures: Annotated[
        str | None,
        typer.Option(
            "--max-failures",
            help="Stop above this many failures: a count, or a fraction below 1. [default: 0.1; of a folder, every "
            "video is tried, and the exit code is 1 if any failed]",
            show_default=False,
        ),
    ] = None,
    max_judge_calls: opt.MaxJudgeCalls = None,
    fail_fast: opt.FailFast = False,
    dry_run: opt.DryRun = False,
    json: opt.Json = False,
    log_json: opt.LogJson = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = 0,
) -> None:
    """Score a run, or videos you have.

    \b
    vapbench score ./my_outputs --suite vap-data --data DIR --dry-run

    Videos belong to the case they are named after, at any depth: CASE.mp4, CASE__s1.mp4 or CASE_seed1.mp4 with a seed,
    CASE/video.mp4; or to the one that manifest.csv in the folder (columns case,video) says. Problems are listed first;
    with --dry-run, nothing else is done. Nothing is written into the folder.

    Any videos, each a case of its own, for metrics that need nothing else:

    \b
    vapbench score ./videos --suite custom
    """
    from dataclasses import replace

    from vapbench.cli import preflight
    from vapbench.cli.costs import print_costs
    from vapbench.cli.dry_run import show_scores
    from vapbench.cli.report import print_tables
    from vapbench.core.console import configure_logging
    from vapbench.errors import UsageError
    from vapbench.results.run import RunFolder
    from vapbench.running.costs import estimate_folder, estimate_plan, limit_calls
    from vapbench.running.run import choose, columns_for
    from vapbench.suites import find_suite

    configure_logging(verbose, quiet, log_json)
    settings = settings_of(device, refresh, 0, max_failures or "0.1", fail_fast, memory)
    settings = with_ray(settings, executor, workers, ray_address)
    selection = choose(suite, target if find_suite(suite).data == "videos" else data, task, limit)
    wanted = columns_for(selection.suite, metric)
    target = _run_or_folder(target, results, selection.suite.name)
    if preflight.is_run(target):
        if seed or template:
            raise UsageError(f"{target} is a run; --seed and --template go with a folder of videos.")
        plan, found, folder = None, None, RunFolder(target)
    else:
        settings = replace(settings, every_case=max_failures is None and not fail_fast)
        say = preflight.Saying(dry_run, json, quiet, verbose)
        method = preflight.open_folder(target, panel, selection)
        plan, found = preflight.plan_videos(method, seed, name, selection, results, template, say)
        folder = plan.folder
    if dry_run:
        cases = {case.id: case for case in selection.cases}
        costs = estimate_plan(plan, wanted, refresh) if plan else estimate_folder(folder, cases, wanted, refresh)
        show_scores(folder, cases, wanted, settings.refresh, plan, costs if json else None, found)
        if not json:
            print_costs(costs, max_judge_calls)
        return
    limit_calls(wanted, max_judge_calls)
    if plan:
        stopped = _execute_all([plan], wanted, settings, selection, quiet, found)
    else:
        stopped = _rescore(folder, selection, wanted, settings, quiet)
    shown = [column.label for column in wanted]
    bounds = _bounds(selection, data, limit, metric, results)
    print_tables([folder], task=selection.task.name, as_json=json, next_steps=not quiet, metrics=shown, bounds=bounds)
    raise typer.Exit(1 if stopped else 0)


def _run_or_folder(target: Path, results: Path, suite: str) -> Path:
    """The folder that is meant; where there is none of that name, the run of it."""
    from vapbench.cli.naming import find_run
    from vapbench.errors import UsageError

    if target.exists() or len(target.parts) > 1:
        return target
    try:
        return find_run(str(target), results, suite).path
    except UsageError as error:
        raise UsageError(f"There is no folder {target} here. {error}") from None


def _bounds(
    selection: Selection, data: Path | None, limit: int | None, metrics: list[str] | None, results: Path
) -> str:
    """The command that runs floor and ceiling on what was scored; there is no ceiling where no case has a target."""
    import shlex

    methods = ["frozen", *(["ground-truth"] if any(case.target for case in selection.cases) else [])]
    options: list[tuple[str, object]] = [("--method", method) for method in methods]
    options += [("--suite", selection.suite.name), ("--task", selection.task.name)]
    options += [("--data", data)] if data else []
    options += [("--limit", limit)] if limit else []
    options += [("--metric", metric) for metric in metrics or ()]
    options += [("--results", results)] if results != opt.RUNS else []
    return shlex.join(["vapbench", "run", *(str(part) for option in options for part in option)])


def _rescore(folder: RunFolder, selection: Selection, wanted: list[Column], settings: Settings, quiet: bool) -> bool:
    from vapbench.errors import BudgetSpent, TooManyFailures
    from vapbench.running.progress import progress
    from vapbench.running.run import rescore

    try:
        rescore(folder, selection, wanted, settings, progress(quiet))
    except (TooManyFailures, BudgetSpent) as error:
        say_stopped(folder.path.name, error)
        return True
    return False


def say_stopped(run: str, error: VapbenchError) -> None:
    """Say that a run stopped before its end, and how to go on."""
    import shlex

    from vapbench.core.console import errors
    from vapbench.errors import BudgetSpent

    if isinstance(error, BudgetSpent):
        text = f"{run}: {error} Go on with: {shlex.join(['vapbench', *sys.argv[1:]])}"
        errors().print(text, markup=False, soft_wrap=True)
    else:
        errors().print(f"[red]error[/red] {_escaped(f'{run}: {error}')}", soft_wrap=True)


def settings_of(
    device: str,
    refresh: str,
    retries: int,
    max_failures: str,
    fail_fast: bool,
    memory: float | None = None,
    case_timeout: float | None = None,
) -> Settings:
    """Options as the runner takes them."""
    from vapbench.running.context import FailureLimit, Settings

    tolerance = FailureLimit(0) if fail_fast else FailureLimit.parse(max_failures)
    argv = ["vapbench", *sys.argv[1:]]
    working = None if memory is None else int(memory * 1e9)
    return Settings(device, refresh, retries, tolerance, argv, working, case_timeout)  # type: ignore[arg-type]


def with_ray(settings: Settings, executor: str, workers: int | None, address: str | None) -> Settings:
    """The settings, for the executor that was asked for.

    Raises:
        UsageError: an option of Ray's is given without it.
    """
    from dataclasses import replace

    from vapbench.errors import UsageError
    from vapbench.running.threads import OnRay

    if executor == "ray":
        return replace(settings, ray=OnRay(address, workers))
    if workers is not None or address is not None:
        option = "--workers" if workers is not None else "--ray-address"
        raise UsageError(f"{option} goes with --executor ray; without it, one device of this process runs everything.")
    return settings


def _execute_all(
    plans: list[RunPlan],
    wanted: Sequence[Column],
    settings: Settings,
    selection: Selection,
    quiet: bool,
    looked: Preflight | None = None,
) -> bool:
    """Run one method after another; one that fails too often, or a budget that ends, does not keep others from running.

    Args:
        plans: what to run.
        wanted: columns to score.
        settings: how to run.
        selection: cases that were asked for.
        quiet: whether to say little.
        looked: what was said of a folder of videos before.

    Returns:
        Whether any failed too often, or lacks scores that the budget did not reach.
    """
    from vapbench.cli.preflight import say_failed
    from vapbench.core.console import errors
    from vapbench.errors import BudgetSpent, TooManyFailures
    from vapbench.files.atomic import quoted
    from vapbench.running.progress import progress
    from vapbench.running.run import execute

    stopped = False
    for plan in plans:
        try:
            outcome = execute(plan, wanted, settings, progress(quiet))
        except (TooManyFailures, BudgetSpent) as error:
            stopped = True
            say_stopped(plan.folder.path.name, error)
            continue
        failed = outcome.generated.all_failed + outcome.scored.all_failed
        if failed:
            again = "again: --refresh failed" if looked is None else "mend the files and run again"
            hint = f"{failed} failed; why: vapbench show {quoted(plan.folder.path)}; {again}"
            errors().print(f"{plan.folder.path.name}: {hint}", markup=False, soft_wrap=True)
        stopped = stopped or (settings.every_case and outcome.generated.all_failed > 0)
        if looked is None:
            _announce(outcome, selection)
        elif not quiet:
            say_failed(outcome, looked)
    return stopped


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _announce(outcome: Outcome, selection: Selection) -> None:
    """Say which cases the method had nothing for."""
    from vapbench.core.console import errors
    from vapbench.running.run import missing_outputs

    missing = missing_outputs(outcome.plan.folder, selection.cases)
    if not missing:
        return
    names = ", ".join(row.case for row in missing[:3]) + (", …" if len(missing) > 3 else "")
    said = f"{len(missing)} of {len(selection.cases)} cases unscored: {names}"
    errors().print(f"{outcome.plan.folder.path.name}: {said} ({missing[0].note})", soft_wrap=True, markup=False)


def plans_of(
    methods: Sequence[str],
    selection: Selection,
    shared: dict[str, str | None],
    seeds: list[int] | None,
    results: Path,
    name: str | None,
    tentative: bool,
    shard: str | None,
) -> list[RunPlan]:
    """Lay out one run for each method; ``tentative`` where weights may be absent, since nothing will be run."""
    from vapbench.cli.sharding import without_empty
    from vapbench.methods import resolve
    from vapbench.running.plan import plan_run
    from vapbench.running.shards import Shard

    suite, task, cases = selection.suite.name, selection.task.name, selection.cases
    resolved = [resolve(text, shared, suite) for text in dict.fromkeys(methods)]
    _refuse_one_name_for_many(resolved, name)
    piece = Shard.parse(shard) if shard else None
    plans = [
        plan_run(
            *(suite, task, item, cases, seeds or [0], results, name, selection.among, tentative, piece),
            suite_version=selection.suite.version,
        )
        for item in resolved
    ]
    return without_empty(plans, piece, len(cases))


def _refuse_one_name_for_many(resolved: list[ResolvedMethod], name: str | None) -> None:
    from vapbench.errors import UsageError

    if name and len(resolved) > 1:
        raise UsageError(f"--name {name} cannot stand for {len(resolved)} methods; give one --method, or no --name.")
