"""Probes that are kept with results: what reference and caption each cause, of the methods of runs.

A probe belongs to a run by its identity: method, version, parameters, weights. Its videos are its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from vapbench.files.atomic import canonical_json, quoted
from vapbench.files.parsing import read_text
from vapbench.report.read.columns import Column
from vapbench.report.read.run_summary import RunSummary

log = logging.getLogger(__name__)

EFFECT = "reference_effect"
"""Name of the column of what a reference causes."""


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ProbeInterval(_Read):
    """A mean with its 95 % interval."""

    mean: float
    low: float | None
    high: float | None
    n: int
    clusters: int


class ProbeEffect(_Read):
    """What one thing causes."""

    name: str
    title: str
    formula: str
    difference: ProbeInterval | None
    said: str
    """What it says of the method; empty for an interaction."""


class Summary(_Read):
    """What a method scored with one reference and one caption."""

    title: str
    """What was shown."""
    score: ProbeInterval | None
    total: int
    unchanged: int
    compared: int


class Probed(_Read):
    """One method of a probe."""

    method: str
    identity: Mapping[str, Any]
    cells: tuple[Summary, ...]
    effects: tuple[ProbeEffect, ...]

    def effect(self, name: str) -> ProbeInterval | None:
        """The difference of one effect."""
        return next((effect.difference for effect in self.effects if effect.name == name), None)


class Probe(_Read):
    """``probe.json``, as far as tables and boards show it."""

    version: int
    suite: str
    task: str
    column: str
    title: str
    unit: str
    scale: float
    digits: int
    contrast: str
    cases: int
    conditions: int
    methods: tuple[Probed, ...]
    notes: tuple[str, ...]

    def of(self, run: RunSummary) -> Probed | None:
        """What it says of the method of a run; None of another, with other parameters, or with other weights."""
        ours = canonical_json(run.manifest.document["identity"])
        return next((method for method in self.methods if canonical_json(dict(method.identity)) == ours), None)

    @property
    def definition(self) -> tuple[str, ...]:
        """What two probes must share to stand in one column."""
        return self.task, self.column, self.contrast, str(self.version)

    @property
    def effect_column(self) -> Column:
        """How the reference effect is shown."""
        return Column(
            EFFECT,
            self.version,
            {"of": self.column, "contrast": self.contrast},
            title="Reference effect",
            higher_is_better=True,
            unit=self.unit,
            scale=self.scale,
            digits=self.digits,
        )


def read_probes(results: Sequence[Path]) -> list[Probe]:
    """Every ``probe/<suite>-<task>/probe.json`` of results folders; of one suite and task, the first.

    One that cannot be read is left out, and told of as a warning.
    """
    found: dict[str, Probe] = {}
    for path in [path for place in results for path in sorted(place.glob("probe/*/probe.json"))]:
        if path.parent.name not in found and (probe := _read(path, path.stat().st_mtime_ns)):
            found[path.parent.name] = probe
    return list(found.values())


@lru_cache
def _read(path: Path, changed: int) -> Probe | None:
    """A probe, or None; a report asks for each table, and a damaged file is told of once until it is ``changed``."""
    try:
        return Probe.model_validate_json(read_text(path))
    except ValueError:
        log.warning(
            "Left out: %s is damaged, or no probe of this version; make it again: "
            "vapbench probe -m METHOD --suite SUITE --task TASK --results %s",
            *(path, quoted(path.parents[2])),
        )
        return None
