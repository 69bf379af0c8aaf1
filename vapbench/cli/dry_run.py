"""What ``--dry-run`` prints: cases, weights, sizes, memory and device hours, where none of it need be at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vapbench.cli.console import output

if TYPE_CHECKING:
    from vapbench.methods import ResolvedMethod
    from vapbench.plan import Column, Refresh, RunPlan


def show_plans(plans: Sequence[RunPlan], wanted: Sequence[Column], refresh: Refresh) -> None:
    """Print what runs would do, method by method."""
    from vapbench.plan import pending, pending_scores

    hours = 0.0
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
        described, own_hours = _needs(plan.method, plan.identity["weights"], len(jobs), plan.suite)
        hours += own_hours
        _print([*lines, *described, *(f"  metric    {column.label}" for column in wanted)])
    _total(hours, plans)


def show_protocol(
    suite: str,
    data: Path | None,
    task: str,
    methods: Sequence[str],
    shared: Mapping[str, str | None],
    seeds: Sequence[int] | None,
) -> bool:
    """Print the plan of a suite's whole protocol where its data is not at hand.

    Returns:
        Whether it was printed: False where there is data to plan with, or the protocol says nothing of the task.
    """
    from vapbench.errors import WeightsError
    from vapbench.methods import resolve
    from vapbench.methods.base import identity_of
    from vapbench.suites import find_suite

    found = find_suite(suite)
    if data is not None or found.protocol is None or task != "all":
        return False
    protocol, spec = found.protocol, found.clip
    hours = 0.0
    resolved = [resolve(text, shared, found.name) for text in dict.fromkeys(methods)]
    for method in resolved:
        size = spec.model_dump() | dict(method.clip)
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
        described, own_hours = _needs(method, weights, videos, found.name)
        hours += own_hours
        _print([*lines, *described])
    _total(hours, resolved)
    return True


def _needs(method: ResolvedMethod, weights: Mapping[str, object], videos: int, suite: str) -> tuple[list[str], float]:
    """Weights, memory and hours of a method, as lines; and the hours."""
    from vapbench.methods.footprint import DEVICE, footprint

    card = method.card
    source = method.parameters.get("weights") or (card.weights if card else "")
    lines = [f"  weights   {source or 'none'} {_where(weights)}".rstrip()]
    if card and card.needs:
        lines.append(f"  needs     {card.needs}")
    if card is None or card.size is None or suite in card.suites:
        small = card is not None and (suite in card.suites or not card.memory)
        return [*lines, f"  memory    {'small' if small or card is None else card.memory}"], 0.0
    estimate = footprint(card.size, method.parameters, videos)
    parts = ", ".join(f"{name} {billions:g} B" for name, billions in card.size.parameters.items())
    offloads = ", ".join(f"{gigabytes:.0f} GB with --offload {name}" for name, gigabytes in estimate.by_offload.items())
    lines += [
        f"  size      about {estimate.download_gb:.0f} GB to fetch at two bytes a parameter ({parts})",
        f"  memory    about {estimate.memory_gb:.0f} GB ({offloads})",
        f"  time      about {estimate.hours:.1f} device hours on {DEVICE}",
    ]
    return lines, estimate.hours


def _where(weights: Mapping[str, object]) -> str:
    if "absent" in weights:
        return "(not on this machine)"
    return str(dict(weights)) if weights else ""


def _total(hours: float, methods: Sequence[object]) -> None:
    if hours and len(methods) > 1:
        _print([f"together about {hours:.1f} device hours to generate"])


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        output().print(line, soft_wrap=True, markup=False)
