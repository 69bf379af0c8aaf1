"""Saying what a command would cost, for ``--dry-run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vapbench.files.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vapbench.metrics.base import Cost
    from vapbench.running.costs import CostEstimate


def print_costs(estimates: Sequence[CostEstimate], limit: int | None) -> None:
    """Print one line per paid column, and their sum."""
    from vapbench.core.console import say
    from vapbench.metrics.base import Cost

    if not estimates:
        return
    total = sum((estimate.cost for estimate in estimates), Cost())
    lines = [
        "paid calls (calls are exact if none must be repeated; tokens follow the makers' rules, thoughts not counted)",
        *(f"  {item.run} · {item.column}: {counted(item.scores, 'score')}, {_text(item.cost)}" for item in estimates),
        f"  together: {_text(total)}",
    ]
    if limit is not None and limit < total.calls:
        lines.append(f"  --max-judge-calls {limit} stops before the end; the same command then goes on")
    say(*lines)


def _text(cost: Cost) -> str:
    tokens = f"about {counted(cost.tokens_in, 'token')} in and {cost.tokens_out:,} out"
    return f"{counted(cost.calls, 'call')}, {counted(cost.images, 'image')}, {tokens}"
