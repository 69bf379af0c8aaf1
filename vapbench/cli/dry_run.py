"""What a run would do: cases, weights, sizes, memory, time, where none of it need be at hand. Nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.cli.console import output

if TYPE_CHECKING:
    from vapbench.cases import Case
    from vapbench.estimate import Work
    from vapbench.pending import Refresh
    from vapbench.plan import Column, RunPlan
    from vapbench.store import RunFolder


@dataclass(frozen=True)
class Described:
    """What one method would do."""

    lines: Sequence[str]
    work: Work
    hours: float
    """Device hours to generate, by the card; 0 where it does not say."""
    folders: Sequence[RunFolder] = ()
    """Where the run is, as far as it has got."""


def describe_plans(plans: Sequence[RunPlan], wanted: Sequence[Column], refresh: Refresh) -> list[Described]:
    """Say what runs would do, method by method."""
    from vapbench.estimate import Work
    from vapbench.pending import pending, pending_scores

    described = []
    for plan in plans:
        jobs = pending(plan, refresh).jobs
        spec = plan.jobs[0].case.clip
        scores = pending_scores(plan.folder, plan.cases, wanted, None, refresh).jobs
        lines = [
            f"{plan.folder.path}",
            f"  cases     {len(plan.cases)} ({len({job.case.condition for job in plan.jobs})} conditions)",
            f"  videos    {len(plan.jobs)} of {spec.frames} frames of {spec.height}x{spec.width} at {spec.fps:g} fps",
            f"  to make   {len(jobs)} ({len(plan.jobs) - len(jobs)} finished)",
            f"  to score  {len(scores)} existing videos, and each one made",
        ]
        work = Work(plan.method, plan.suite, len(jobs), spec.model_dump())
        needs, hours = _needs(work, plan.identity["weights"])
        metrics = [f"  metric    {column.label}" for column in wanted]
        described.append(Described([*lines, *needs, *metrics], work, hours, [plan.folder]))
    return described


def show_scores(folder: RunFolder, cases: Mapping[str, Case], wanted: Sequence[Column], refresh: Refresh) -> None:
    """Print what scoring a run would do."""
    from vapbench.pending import pending_scores

    jobs = pending_scores(folder, cases, wanted, None, refresh).jobs
    lacking = {column.label: sum(column in job.columns for job in jobs) for column in wanted}
    print_lines([f"{folder.path}", *(f"  {label}: {count} of its videos to score" for label, count in lacking.items())])


def describe_protocol(
    suite: str,
    data: Path | None,
    task: str,
    methods: Sequence[str],
    shared: Mapping[str, str | None],
    seeds: Sequence[int] | None,
) -> list[Described]:
    """Say what a suite's whole protocol would do where its data is not at hand.

    Returns:
        Nothing where there is data to plan with, or where the protocol says nothing of the task.
    """
    from vapbench.errors import WeightsError
    from vapbench.estimate import Work
    from vapbench.methods import resolve
    from vapbench.methods.base import identity_of
    from vapbench.suites import find_suite

    found = find_suite(suite)
    if data is not None or found.protocol is None or task != "all":
        return []
    protocol, described = found.protocol, []
    for method in (resolve(text, shared, found.name) for text in dict.fromkeys(methods)):
        size = found.clip.model_dump() | dict(method.clip)
        count = len(dict.fromkeys(seeds or [0])) if getattr(method.method, "uses_seed", True) else 1
        videos = protocol.cases * count
        try:
            weights = identity_of(method.method)
        except WeightsError as error:
            weights = {"absent": str(error)}
        lines = [
            f"{found.name} · {method.method.name}",
            f"  cases     {protocol.cases} ({protocol.conditions} conditions), as published; to run them: --data DIR",
            f"  videos    {videos} of {size['frames']:g} frames of {size['height']:g}x{size['width']:g} "
            f"at {size['fps']:g} fps",
        ]
        work = Work(method, found.name, videos, size)
        needs, hours = _needs(work, weights)
        described.append(Described([*lines, *needs], work, hours))
    return described


def show(described: Sequence[Described]) -> None:
    """Print it, with the time that cards know of."""
    from vapbench.methods.footprint import DEVICE

    for one in described:
        time = [f"  time      about {one.hours:.1f} device hours on {DEVICE}"] if one.hours else []
        print_lines([*one.lines, *time])
    hours = sum(one.hours for one in described)
    if hours and len(described) > 1:
        print_lines([f"together about {hours:.1f} device hours to generate"])


def _needs(work: Work, weights: Mapping[str, object]) -> tuple[list[str], float]:
    """Weights and memory of a method, as lines; and its hours."""
    from vapbench.methods.footprint import footprint

    method = work.method
    card = method.card
    source = method.parameters.get("weights") or (card.weights if card else "")
    lines = [f"  weights   {source or 'none'} {_where(weights)}".rstrip()]
    if card and card.needs:
        lines.append(f"  needs     {card.needs}")
    if card is None or card.size is None or work.suite in card.suites:
        small = card is not None and (work.suite in card.suites or not card.memory)
        return [*lines, f"  memory    {'small' if small or card is None else card.memory}"], 0.0
    estimate = footprint(card.size, method.parameters, work.videos)
    parts = ", ".join(f"{name} {billions:g} B" for name, billions in card.size.parameters.items())
    offloads = ", ".join(f"{gigabytes:.0f} GB with --offload {name}" for name, gigabytes in estimate.by_offload.items())
    lines += [
        f"  size      about {estimate.download_gb:.0f} GB to fetch at two bytes a parameter ({parts})",
        f"  memory    about {estimate.memory_gb:.0f} GB ({offloads})",
    ]
    return lines, estimate.hours


def _where(weights: Mapping[str, object]) -> str:
    if "absent" in weights:
        return "(not on this machine)"
    return str(dict(weights)) if weights else ""


def print_lines(lines: Sequence[str]) -> None:
    """Print lines as they are."""
    for line in lines:
        output().print(line, soft_wrap=True, markup=False)
