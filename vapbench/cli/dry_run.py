"""What a run would do: cases, weights, sizes, memory, time, where none of it need be at hand. Nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.core.console import print_json, say
from vapbench.files.text import counted

if TYPE_CHECKING:
    from vapbench.core.case import Case
    from vapbench.methods.preflight import Preflight
    from vapbench.results.run import RunFolder
    from vapbench.running.costs import CostEstimate
    from vapbench.running.estimate import Work
    from vapbench.running.pending import Refresh
    from vapbench.running.plan import MetricSpec, RunPlan


@dataclass(frozen=True)
class Described:
    """What one method would do."""

    lines: Sequence[str]
    work: Work
    hours: float
    """Device hours to generate, by the card; 0 where it does not say."""
    fetch: Mapping[str, float]
    """Weights that are not on this machine, and their GB; 0 where nobody has counted."""
    folders: Sequence[RunFolder] = ()
    """Where the run is, as far as it has got."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """The same as the lines, for programs."""


def describe_plans(plans: Sequence[RunPlan], wanted: Sequence[MetricSpec], refresh: Refresh) -> list[Described]:
    """Say what runs would do, method by method."""
    from vapbench.running.estimate import Work
    from vapbench.running.pending import look_ahead

    described = []
    for plan in plans:
        ahead = look_ahead(plan, wanted, refresh)
        jobs, scores = ahead.made, ahead.scores
        spec = plan.jobs[0].case.clip
        lines = [
            f"{plan.folder.path}",
            f"  cases     {len(plan.cases)} ({counted(len({job.case.condition for job in plan.jobs}), 'condition')})",
            f"  videos    {len(plan.jobs)} of {counted(spec.frames, 'frame')} of {spec.height}x{spec.width} at "
            f"{spec.fps:g} fps",
            f"  to make   {len(jobs)} ({len(plan.jobs) - len(jobs)} finished)",
            f"  to score  {counted(len(scores), 'existing video')}, and each one made",
        ]
        facts = {
            "run": str(plan.folder.path),
            "cases": len(plan.cases),
            "conditions": len({job.case.condition for job in plan.jobs}),
            "videos": len(plan.jobs),
            "to_make": len(jobs),
            "to_score": len(scores),
        }
        work = Work(plan.method, plan.suite, len(jobs), spec.model_dump())
        described.append(_described(lines, facts, work, plan.identity["weights"], [plan.folder]))
    return described


def describe_columns(wanted: Sequence[MetricSpec]) -> list[str]:
    """The columns, and the weights they lack on this machine: a column without its weights stays empty."""
    from vapbench.checkpoints.catalogue import absent_of, find

    lacking = {column.label: absent_of(column.metric.name, column.params) for column in wanted}
    width = max((len(label) for label in lacking), default=0)
    lines = ["columns"]
    for label, names in lacking.items():
        lacks = ", ".join(f"{name} ({find(name).size})" for name in names)
        lines.append(f"  {label:{width}}  lacks {lacks}" if lacks else f"  {label}")
    if fetch := " ".join(dict.fromkeys(name for names in lacking.values() for name in names)):
        lines.append(f"  Without these weights a column stays unscored: vapbench data weights fetch {fetch}")
    return lines


def show_scores(
    folder: RunFolder,
    cases: Mapping[str, Case],
    wanted: Sequence[MetricSpec],
    refresh: Refresh,
    plan: RunPlan | None,
    costs: Sequence[CostEstimate] | None,
    looked: Preflight | None,
    sets: Sequence[str] = (),
) -> None:
    """Print what scoring a run, or a folder of videos, would do, and the columns that lack weights.

    Args:
        folder: where the run is kept.
        cases: the cases that are asked for.
        wanted: the columns that are asked for.
        refresh: what is done again.
        plan: of a folder of videos.
        costs: what paid columns cost, to print all as one JSON document; None to print lines.
        looked: what is known of the folder of videos.
        sets: metrics of the whole set that are asked for.
    """
    from dataclasses import asdict

    from vapbench.checkpoints.catalogue import absent_of
    from vapbench.running.pending import Ahead, look_ahead, pending_scores

    ahead = (
        look_ahead(plan, wanted, refresh)
        if plan
        else Ahead((), pending_scores(folder, cases, wanted, None, refresh).jobs)
    )
    counts = {column.label: len(ahead.made) + sum(column in job.columns for job in ahead.scores) for column in wanted}
    if costs is None:
        say(f"{folder.path}", *(f"  {label}: {counted(count, 'video')} to score" for label, count in counts.items()))
        say(*(f"  {text}: every video of a case with a ground-truth video, as one set" for text in sets))
        say(*(describe_columns(wanted) if wanted else []))
        return
    lacks = {column.label: absent_of(column.metric.name, column.params) for column in wanted}
    columns = [{"column": label, "to_score": count, "lacks": lacks[label]} for label, count in counts.items()]
    told = {"preflight": looked.document()} if looked else {}
    paid = [asdict(cost) for cost in costs]
    print_json({"run": str(folder.path), **told, "columns": columns, "sets": list(sets), "paid": paid})


def describe_protocol(
    suite: str,
    data: Path | None,
    task: str,
    methods: Sequence[str],
    shared: Mapping[str, str | None],
    seeds: Sequence[int] | None,
    limit: int | None = None,
    shard: str | None = None,
) -> list[Described]:
    """Say what a suite's protocol, or the first ``limit`` cases of it, would do where its data is not at hand.

    Returns:
        Nothing where there is data to plan with, or where the protocol says nothing of the task.
    """
    from vapbench.errors import WeightsError
    from vapbench.methods import resolve
    from vapbench.running.estimate import Work
    from vapbench.running.shards import Shard
    from vapbench.suites import find_suite

    found = find_suite(suite)
    if data is not None or found.protocol is None or found.clip is None or task != "all":
        return []
    protocol, described = found.protocol, []
    chosen: Sequence[int] = range(protocol.cases)[:limit]
    cases = len(Shard.parse(shard).of(chosen) if shard else chosen)
    # Which of the conditions the first cases are of, only the data says.
    conditions = counted(protocol.conditions, "condition") if cases == protocol.cases else f"of {protocol.cases}"
    for method in (resolve(text, shared, found.name) for text in dict.fromkeys(methods)):
        size = found.clip.model_dump() | dict(method.clip)
        count = len(dict.fromkeys(seeds or [0])) if method.method.uses_seed else 1
        videos = cases * count
        try:
            weights = method.method.identity()
        except WeightsError as error:
            weights = {"absent": str(error)}
        lines = [
            f"{found.name} · {method.method.name}",
            f"  cases     {cases} ({conditions}), as published; to run them: --data DIR",
            f"  videos    {videos} of {size['frames']:g} frames of {size['height']:g}x{size['width']:g} "
            f"at {size['fps']:g} fps",
        ]
        facts = {
            "run": None,
            "cases": cases,
            "conditions": protocol.conditions if cases == protocol.cases else None,
            "videos": videos,
            "to_make": videos,
            "to_score": 0,
        }
        work = Work(method, found.name, videos, size)
        described.append(_described(lines, facts, work, weights))
    return described


def show(described: Sequence[Described], wanted: Sequence[MetricSpec] = ()) -> None:
    """Print it, with the columns and the time that cards know of."""
    from vapbench.methods.hardware import DEVICE

    for one in described:
        time = [f"  time      about {one.hours:.1f} device hours on {DEVICE}"] if one.hours else []
        say(*one.lines, *time)
    if wanted:
        say(*describe_columns(wanted))
    if len(described) > 1:
        say(*_together(described))


def document(
    described: Sequence[Described], wanted: Sequence[MetricSpec], paid: Sequence[CostEstimate] = ()
) -> dict[str, object]:
    """What :func:`show` and the costs say, as JSON holds it."""
    from vapbench.checkpoints.catalogue import absent_of

    columns = [{"column": each.label, "lacks": absent_of(each.metric.name, each.params)} for each in wanted]
    return {
        "runs": [dict(one.facts) for one in described],
        "columns": columns,
        "paid": [asdict(estimate) for estimate in paid],
    }


def _together(described: Sequence[Described]) -> list[str]:
    """Sums; weights that several methods share are fetched once."""
    fetch = {source: size for one in described for source, size in one.fetch.items() if size}
    hours = sum(one.hours for one in described)
    unknown = sum(not size for one in described for size in one.fetch.values())
    without = f" without {unknown} of unknown size" if unknown else ""
    sums = [f"{sum(fetch.values()):.0f} GB to fetch{without}"] if fetch else []
    sums += [f"{hours:.1f} device hours to generate"] if hours else []
    return [f"together about {', '.join(sums)}"] if sums else []


def _described(
    lines: Sequence[str],
    facts: Mapping[str, object],
    work: Work,
    weights: Mapping[str, object],
    folders: Sequence[RunFolder] = (),
) -> Described:
    """Add weights, size and memory to what a method would do."""
    from vapbench.methods.hardware import footprint
    from vapbench.methods.protocol import protocol_table

    method, card = work.method, work.method.card
    source = str(method.parameters.get("weights") or (card.weights if card else ""))
    here = not source or _is_here(source, weights)
    said = [
        *lines,
        f"  weights   {source or 'none'} {_identity(weights) if here else '(not on this machine)'}".rstrip(),
    ]
    facts = {
        **facts,
        "method": method.method.name,
        "suite": work.suite,
        "parameters": dict(method.parameters),
        "clip": dict(work.clip),
        "weights": source or None,
        "weights_are_here": here,
        "needs": card.needs if card else "",
        "size": None,
    }
    if card and card.needs:
        said.append(f"  needs     {card.needs}")
    if card and card.protocol and work.suite not in card.suites:
        rows = protocol_table(card.protocol, method.parameters, method.changed, work.clip)
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        said += [
            "  protocol",
            *(f"    {item:{widths[0]}}  {value:{widths[1]}}  {source}" for item, value, source in rows),
        ]
    size = method.size(work.suite)
    if size is None:
        said.append(f"  memory    {_uncounted(work)}")
        return Described(said, work, 0.0, {} if here else {source: 0.0}, folders, facts)
    estimate = footprint(size, method.parameters, work.videos)
    parts = ", ".join(f"{name} {billions:g} B" for name, billions in size.parameters.items())
    offloads = ", ".join(f"{gigabytes:.0f} GB with --offload {name}" for name, gigabytes in estimate.by_offload.items())
    fetch = "" if here else " to fetch"
    width = "" if size.download_gb else " at two bytes a parameter"
    said += [
        f"  size      about {estimate.download_gb:.0f} GB{fetch}{width} ({parts})",
        f"  memory    about {estimate.memory_gb:.0f} GB ({offloads})",
    ]
    facts = {**facts, "size": asdict(estimate)}
    return Described(said, work, estimate.hours, {} if here else {source: estimate.download_gb}, folders, facts)


def _uncounted(work: Work) -> str:
    """What is said of memory where no parameters were counted."""
    card = work.method.card
    if card is not None and card.size is not None and work.suite not in card.suites:
        return f"not known: the card counts {card.weights}, not these weights"
    if card is None or work.suite in card.suites or not card.memory:
        return "small"
    return card.memory


def _is_here(source: str, weights: Mapping[str, object]) -> bool:
    """Whether a checkpoint is on this machine: a hub id may be known to the hub alone."""
    from vapbench.checkpoints.folder import local_folder
    from vapbench.errors import WeightsError

    if "absent" in weights:
        return False
    try:
        return "repository" not in weights or local_folder(source) is not None
    except WeightsError:
        return False


def _identity(weights: Mapping[str, object]) -> str:
    """What the weights are, as a line of a plan says it: hashes by their beginning."""
    said = ", ".join(f"{name} {str(value)[:12]}" for name, value in weights.items() if name in ("sha256", "commit"))
    return f"({said})" if said else ""
