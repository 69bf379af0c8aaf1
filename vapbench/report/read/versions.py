"""Which versions the numbers of a table rest on, beside those of its metrics and methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vapbench.report.read.run_summary import RunSummary
from vapbench.stats import STATISTICS_VERSION

VERSIONS = "Versions: "
"""How the line begins that names them."""


def versions_of(run: RunSummary, part: str) -> tuple[int, ...]:
    """Versions of ``suite`` or ``reader`` that the run's sessions worked with, in order; 1 before they were kept."""
    kept = [session.versions for session in run.manifest.sessions]
    found = [versions.get(part) if isinstance(versions, Mapping) else None for versions in kept]
    return tuple(sorted({version if isinstance(version, int) else 1 for version in found})) or (1,)


def version_lines(runs: Mapping[str, RunSummary]) -> Iterator[str]:
    """A line that names every version, and one for each that is not the same for all rows.

    Args:
        runs: label -> run, all of one suite.
    """
    titles = {"suite": f"suite {next(iter(runs.values())).suite} and its protocol", "reader": "video reader"}
    named = []
    for part, title in titles.items():
        used = {label: versions_of(run, part) for label, run in runs.items()}
        named.append(f"{title} {_joined(sorted({version for versions in used.values() for version in versions}))}")
        if len({*used.values()}) > 1 or any(len(versions) > 1 for versions in used.values()):
            rows = "; ".join(f"{label} {_joined(versions)}" for label, versions in used.items())
            yield (
                f"Not one version of {title}: {rows}. What a version changed: docs/design/versions.md; "
                "--refresh all makes a run anew."
            )
    yield f"{VERSIONS}{'; '.join(named)}; statistics {STATISTICS_VERSION}."


def _joined(versions: Sequence[int]) -> str:
    return " and ".join(map(str, versions))
