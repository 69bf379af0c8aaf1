"""What ``--shard`` says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vapbench.core.console import errors

if TYPE_CHECKING:
    from vapbench.running.plan import RunPlan
    from vapbench.running.shards import Shard


def without_empty(plans: list[RunPlan], shard: Shard | None, cases: int) -> list[RunPlan]:
    """Leave out plans that a shard left without a case; where none is left, that is all there is to do."""
    found = [plan for plan in plans if plan.jobs]
    if shard and not found:
        text = f"Shard {shard} has no case: there are {cases}. Nothing to do."
        errors().print(text, markup=False, soft_wrap=True)
        raise typer.Exit(0)
    return found


def say_merge(shard: str | None, results: Path) -> None:
    """Say what to do with a finished shard."""
    if shard is None:
        return
    from vapbench.files.atomic import quoted
    from vapbench.running.shards import Shard

    into, pieces = quoted(results), Shard.parse(shard).pattern
    text = f"Shard {shard} is done. When all are: vapbench results merge {into}/{pieces} --into {into}"
    errors().print(text, markup=False, soft_wrap=True)
