"""Where runs are looked for when nobody says where."""

from __future__ import annotations

import os
from pathlib import Path

from vapbench.files.resources import clone

RUNS = Path("runs")
"""Where new runs go."""


def places(results: Path | None = None) -> tuple[Path, ...]:
    """Folders that are searched for runs, first ones first.

    The one the user names, or ``VAPBENCH_RESULTS``; or else ``runs``, where new ones go, and at the top of a clone
    ``results``, which holds the committed rows.
    """
    named = results or os.environ.get("VAPBENCH_RESULTS")
    if named:
        return (Path(named),)
    top, committed = clone(), Path("results")
    beside = top is not None and committed.resolve() == top / committed
    return (RUNS, committed) if beside else (RUNS,)
