"""A probe summed up: cells, effects and what makes a case hard, of every method; and the files that keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vapbench.files.text import counted
from vapbench.report.ranking import Units, fixed_note, units_of
from vapbench.results.sets import SetResult, videos_digest, write_result
from vapbench.stats import STATISTICS_VERSION
from vapbench.validation.probe.cells import OWN, CaptionLevel, Cell
from vapbench.validation.probe.difficulty import (
    DISSIMILARITY_VERSION,
    Point,
    Slope,
    caption_mismatch,
    dissimilarity_of,
    slope_of,
)
from vapbench.validation.probe.effects import CellSummary, Effect, effects_of, summarise_cells
from vapbench.validation.probe.plans import Probe, Setting
from vapbench.validation.probe.results import Outputs, outputs_of
from vapbench.validation.probe.unchanged import UNCHANGED
from vapbench.validation.probe.words import cell_name, effect_name, verdict

SCHEMA = 1
VERSION = 1
"""Of the effects' definitions: raised by whatever moves a number."""


@dataclass(frozen=True)
class MethodReport:
    """What a probe says of one method."""

    method: str
    identity: Mapping[str, Any]
    """Of its ordinary run: method, version, parameters, weights."""
    cells: tuple[CellSummary, ...]
    effects: tuple[Effect, ...]
    caption_mismatch: Slope
    """How the score falls with the mismatch of captions, under the own reference."""
    dissimilarity: Slope
    """How it falls with the structural dissimilarity of reference and target, under the own caption."""

    def effect(self, name: str) -> Effect:
        """The effect of that name."""
        return next(effect for effect in self.effects if effect.name == name)


@dataclass(frozen=True)
class Report:
    """What a probe says."""

    suite: str
    task: str
    column: str
    title: str
    unit: str
    scale: float
    digits: int
    range: tuple[float | None, float | None]
    """Of the column."""
    contrast: CaptionLevel
    cases: int
    conditions: int
    drawn: str
    """What intervals take for drawn at random: conditions, or cases within these conditions."""
    methods: tuple[MethodReport, ...]
    notes: tuple[str, ...]


def analyse(setting: Setting) -> Report:
    """Read the runs of a probe and sum them up; what is not made yet is counted as lacking."""
    column, cases = setting.columns[0], {case.id: case for case in setting.selection.cases}
    units = units_of({name: case.condition for name, case in cases.items()})
    low, high = column.metric.range
    conditions = {case.condition for case in cases.values()}
    return Report(
        suite=setting.selection.suite.name,
        task=setting.selection.task.name,
        column=column.label,
        title=column.metric.title or column.metric.name,
        unit=column.metric.unit,
        scale=column.metric.scale,
        digits=column.metric.digits,
        range=(low, high),
        contrast=setting.contrast,
        cases=len(cases),
        conditions=len(conditions),
        drawn=units.how,
        methods=tuple(_method(setting, probe, units, (low, high)) for probe in setting.probes),
        notes=tuple(_notes(setting, units)),
    )


def to_json(report: Report) -> dict[str, Any]:
    """Plain data, ready for :func:`json.dumps`; numbers unrounded, in the metric's own unit."""
    document = asdict(report)
    for method, plain in zip(report.methods, document["methods"], strict=True):
        for effect, told in zip(method.effects, plain["effects"], strict=True):
            told |= {"clear": effect.clear, "title": effect_name(effect.name), "said": verdict(effect)}
        for summary, told in zip(method.cells, plain["cells"], strict=True):
            told["title"] = cell_name(summary.cell)
    return {"schema": SCHEMA, "version": VERSION, "statistics": STATISTICS_VERSION, **document}


def write_columns(setting: Setting, report: Report) -> list[Path]:
    """Keep the reference effect as a column of the ordinary runs: tables and boards show it beside the scores.

    It holds for the very videos of the run that it was made with. Nothing is written for a method that lacks a score of
    any case.
    """
    both = zip(setting.probes, report.methods, strict=True)
    results = {probe.own.folder: _set_result(setting, report, probe, method) for probe, method in both}
    return [write_result(folder, result) for folder, result in results.items() if result is not None]


def _set_result(setting: Setting, report: Report, probe: Probe, method: MethodReport) -> SetResult | None:
    difference, cases = method.effect("reference").difference, probe.own.cases
    if difference is None or difference.n < len(cases):
        return None
    rows = [row for row in probe.own.folder.current() if row.case in cases and row.status == "ok" and row.sha256]
    used = [(row.case, row.seed, row.sha256 or "") for row in rows if cases[row.case].target is not None]
    column, scale = setting.columns[0], report.scale
    ends = (difference.low, difference.high)
    return SetResult(
        metric="reference_effect",
        version=VERSION,
        params={"of": column.label, "contrast": report.contrast},
        weights=column.weights_sha256,
        task=report.task,
        reference=f"those of the same cases with a reference of another condition, in {report.title}",
        value=difference.mean * scale,
        low=None if ends[0] is None else ends[0] * scale,
        high=None if ends[1] is None else ends[1] * scale,
        n=len(used),
        cases=difference.n,
        clusters=difference.clusters,
        note=difference.reason,
        videos=videos_digest(used),
        title="Reference effect",
        higher_is_better=True,
        unit=report.unit,
        digits=report.digits,
    )


def _method(setting: Setting, probe: Probe, units: Units, bounds: tuple[float | None, float | None]) -> MethodReport:
    outputs = outputs_of(setting, probe)
    summaries = summarise_cells(outputs, units, bounds)
    return MethodReport(
        probe.method,
        dict(probe.own.identity),
        tuple(summaries.values()),
        tuple(effects_of(outputs, summaries, setting.contrast, units)),
        slope_of(list(_by_captions(setting, outputs, units))),
        slope_of(list(_by_structure(setting, outputs, units))),
    )


def _by_captions(setting: Setting, outputs: Mapping[Cell, Outputs], units: Units) -> Iterator[Point]:
    """The own reference under every caption; a case is a group."""
    for case, shown, score in _points(setting, outputs, [cell for cell in outputs if cell.reference == "own"]):
        x = caption_mismatch(shown.caption, shown.reference.caption)
        yield Point(x, score, case.id, units.of[case.id])


def _by_structure(setting: Setting, outputs: Mapping[Cell, Outputs], units: Units) -> Iterator[Point]:
    """Both references of a condition under the own caption; a case is a group."""
    for case, shown, score in _points(setting, outputs, [OWN, Cell("another", "own")]):
        x = dissimilarity_of(shown.image.path, shown.reference.video.path)
        yield Point(x, score, case.id, units.of[case.id])


def _points(
    setting: Setting, outputs: Mapping[Cell, Outputs], cells: Sequence[Cell]
) -> Iterator[tuple[Any, Any, float]]:
    """Own case, shown case and score."""
    shown = {(each.own.id, each.cell): each.shown for each in setting.cases}
    shown |= {(case.id, OWN): case for case in setting.selection.cases}
    own = {case.id: case for case in setting.selection.cases}
    for cell in cells:
        for case, score in outputs[cell].scores.items() if cell in outputs else ():
            yield own[case], shown[case, cell], score


def _notes(setting: Setting, units: Units) -> Iterator[str]:
    """What a reader must know."""
    total = len(setting.selection.cases)
    yield (
        f"Every number is {setting.columns[0].metric.title} of the output against the case's own reference, whatever "
        f"the method was shown. Effects are paired by case; brackets: 95 %, of {units.how}."
    )
    if setting.contrast == "empty":
        yield (
            "Nobody wrote captions without the effect, so the empty caption stands in their place: "
            "vapbench probe --write-captions FILE"
        )
    elif setting.without < total:
        lacking = f"{total - setting.without} of {counted(total, 'case')}"
        yield f"{lacking} without a caption without the effect: in no effect's count."
    yield (
        f"Unchanged: mean absolute difference of pixels from the output of the own cell at most {UNCHANGED:g} of 255. "
        f"Structural dissimilarity v{DISSIMILARITY_VERSION}, caption mismatch: docs/guides/probe.md"
    )
    if units.fixed:
        yield fixed_note({case.id: case.condition for case in setting.selection.cases})
