"""Cases that are not the same in all runs of a table: a caption, a video or a condition was changed in between."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from vapbench.files.text import counted, some
from vapbench.report.read.run_summary import ColumnKey, RunSummary

_CONDITION = "condition"


def cases_apart(runs: Sequence[RunSummary], task: str | None) -> dict[str, list[str]]:
    """What differs of which case: a field that metrics look at, or ``condition``.

    Runs of before the content of cases was kept tell nothing.
    """
    seen: dict[str, dict[str, set[str]]] = {}
    for run in runs:
        for case, planned in run.cases(task).items():
            said = seen.setdefault(case, {})
            if planned.condition is not None:
                said.setdefault(_CONDITION, set()).add(planned.condition)
            for field, content in (planned.fields or {}).items():
                said.setdefault(field, set()).add(content)
    differing = {case: [field for field, found in said.items() if len(found) > 1] for case, said in seen.items()}
    return {case: fields for case, fields in differing.items() if fields}


def seen_by(key: ColumnKey, runs: Sequence[RunSummary], apart: Mapping[str, Collection[str]]) -> list[str]:
    """The cases of which a column looks at what differs."""
    shown = next((run.manifest.metrics[key.metric] for run in runs if key.metric in run.manifest.metrics), None)
    needs = shown.needs if shown else None
    return [case for case, fields in apart.items() if needs and not set(needs).isdisjoint(fields)]


def line_of(apart: Mapping[str, Collection[str]], consequence: str) -> str:
    """The line below a table."""
    named = some([f"{case} ({', '.join(fields)})" for case, fields in apart.items()])
    verb = "is" if len(apart) == 1 else "are"
    return f"{counted(len(apart), 'case')} of these runs {verb} not the same in all: {named}{consequence}."
