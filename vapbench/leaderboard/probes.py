"""Probes on a board: what reference and caption each cause, of the methods that stand on it.

A probe belongs to a run by its identity: method, version, parameters, weights. Its videos are its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from vapbench.errors import DataError
from vapbench.files.atomic import canonical_json
from vapbench.files.parsing import read_text
from vapbench.report.model import Cell, Footer, TableModel
from vapbench.report.read.columns import Column
from vapbench.report.read.evidence import Evidence

EFFECT = "reference_effect"
"""Name of the column, which no metric has."""


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Interval(_Read):
    """A mean with its 95 % interval."""

    mean: float
    low: float | None
    high: float | None
    n: int
    clusters: int


class Effect(_Read):
    """What one thing causes."""

    name: str
    title: str
    formula: str
    difference: Interval | None
    said: str
    """What it says of the method; empty for an interaction."""


class Summary(_Read):
    """What a method scored with one reference and one caption."""

    title: str
    """What was shown."""
    score: Interval | None
    total: int
    unchanged: int
    compared: int


class Probed(_Read):
    """One method of a probe."""

    method: str
    identity: Mapping[str, Any]
    cells: tuple[Summary, ...]
    effects: tuple[Effect, ...]

    def effect(self, name: str) -> Interval | None:
        """The difference of one effect."""
        return next((effect.difference for effect in self.effects if effect.name == name), None)


class Probe(_Read):
    """``probe.json``, as far as a board shows it."""

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

    def of(self, run: Evidence) -> Probed | None:
        """What it says of the method of a run; None of another, with other parameters, or with other weights."""
        ours = canonical_json(run.manifest.document["identity"])
        return next((method for method in self.methods if canonical_json(dict(method.identity)) == ours), None)

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

    Raises:
        DataError: a file is none that ``vapbench probe`` wrote.
    """
    found: dict[str, Probe] = {}
    for path in [path for place in results for path in sorted(place.glob("probe/*/probe.json"))]:
        try:
            found.setdefault(path.parent.name, Probe.model_validate_json(read_text(path)))
        except (ValueError, ValidationError) as error:
            raise DataError(f"{path} is no probe of this version; make it anew: vapbench probe --help") from error
    return list(found.values())


def with_effects(table: TableModel, runs: Mapping[str, Evidence], probes: Sequence[Probe]) -> TableModel:
    """The table with a column of reference effects, where a probe of its task knows any of its rows.

    The column ranks nobody: who was not probed is not behind who was.

    Args:
        table: a table of measured rows.
        runs: label -> the run.
        probes: of the table's suite.
    """
    for probe in probes:
        if probe.task != table.task:
            continue
        known = {label: probed for label, run in runs.items() if (probed := probe.of(run))}
        differences = [known[row.label].effect("reference") if row.label in known else None for row in table.rows]
        if not any(differences):
            continue
        column = probe.effect_column
        footer = (
            f"Columns: {column.title} is {column.definition}: what a reference of another condition takes from "
            f"{probe.title}, of a probe of {probe.cases} cases. Its videos are its own, of the same method, parameters "
            "and weights; it ranks nobody."
        )
        table = replace(
            table,
            columns=(*table.columns, column),
            cells=tuple((*line, _cell(it)) for line, it in zip(table.cells, differences, strict=True)),
            scores=tuple((*line, {}) for line in table.scores),
            footers=(*table.footers, Footer("columns", footer)),
        )
    return table


def _cell(found: Interval | None) -> Cell:
    if found is None:
        return Cell(None, None, None, 0, 0)
    return Cell(found.mean, found.low, found.high, found.n, found.n, conditions=found.clusters)
