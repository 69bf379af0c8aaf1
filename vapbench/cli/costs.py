"""Saying what a command would cost, for ``--dry-run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vapbench.metrics.base import Cost
    from vapbench.running.costs import CostEstimate


def print_costs(estimates: Sequence[CostEstimate], limit: int | None) -> None:
    """Print one line per paid column, and their sum."""
    from vapbench.core.console import output
    from vapbench.metrics.base import Cost

    if not estimates:
        return
    total = sum((estimate.cost for estimate in estimates), Cost())
    lines = [
        "paid calls (calls are exact if none must be repeated; tokens follow the makers' rules, thoughts not counted)",
        *(f"  {item.run} · {item.column}: {item.scores} scores, {_text(item.cost)}" for item in estimates),
        f"  together: {_text(total)}",
    ]
    if limit is not None and limit < total.calls:
        lines.append(f"  --max-judge-calls {limit} stops before the end; the same command then goes on")
    for line in lines:
        output().print(line, soft_wrap=True, markup=False)


def _text(cost: Cost) -> str:
    return (
        f"{cost.calls:,} calls, {cost.images:,} images, about {cost.tokens_in:,} tokens in and {cost.tokens_out:,} out"
    )
