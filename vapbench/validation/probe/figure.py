"""A probe's report as a figure."""

from __future__ import annotations

from vapbench.files.text import counted
from vapbench.metrics.base import scaled_unit
from vapbench.report.ranking import SHORTFALL
from vapbench.report.render.effects import EffectsFigure, Mark
from vapbench.stats.intervals import Estimate
from vapbench.stats.paired import PairedDifference
from vapbench.validation.probe.cells import Cell
from vapbench.validation.probe.effects import Effect
from vapbench.validation.probe.report import MethodReport, Report
from vapbench.validation.probe.words import cell_name, effect_name, ordered, verdict


def figure_of(report: Report) -> EffectsFigure:
    """What the figure holds, in the unit that is printed."""
    asked = [summary for method in report.methods for summary in method.cells]
    scored = [summary for summary in asked if summary.score is not None] or asked
    cells = ordered(list(dict.fromkeys(summary.cell for summary in scored)))
    told = [effect for method in report.methods for effect in method.effects]
    known = [effect for effect in told if effect.difference is not None] or told
    effects = list(dict.fromkeys(effect.name for effect in known))
    low, high = (None if end is None else end * report.scale for end in report.range)
    return EffectsFigure(
        title=f"Did the reference cause it? {report.suite}, {report.task}: {counted(report.cases, 'case')} of "
        f"{counted(report.conditions, 'condition')}",
        methods=tuple(method.method for method in report.methods),
        answers=tuple(_answer(method) for method in report.methods),
        score=f"{report.title} with the case's own reference, {scaled_unit(report.unit, report.scale)}",
        range=(low, high),
        cells=tuple(map(cell_name, cells)),
        scores=tuple(tuple(_score(method, cell, report) for cell in cells) for method in report.methods),
        effects=tuple(effect_name(name) for name in effects),
        differences=tuple(tuple(_effect(method, name, report) for name in effects) for method in report.methods),
        footer=f"bars: 95 % intervals, of {report.drawn} · hollow: outputs unchanged, by pixels · left out: what "
        "lacks cases",
    )


def _answer(method: MethodReport) -> str:
    return "; ".join(verdict(method.effect(name)) for name in ("reference", "caption"))


def _score(method: MethodReport, cell: Cell, report: Report) -> Mark | None:
    found = next((summary for summary in method.cells if summary.cell == cell), None)
    if found is None or found.score is None or found.score.n < (1 - SHORTFALL) * found.total:
        return None
    return _mark(found.score, report, found.still_the_same)


def _effect(method: MethodReport, name: str, report: Report) -> Mark | None:
    found: Effect | None = next((effect for effect in method.effects if effect.name == name), None)
    if found is None or found.difference is None:
        return None
    return _mark(found.difference, report, found.verdict == "unchanged")


def _mark(value: Estimate | PairedDifference, report: Report, hollow: bool) -> Mark:
    low, high = (None if end is None else end * report.scale for end in (value.low, value.high))
    return Mark(value.mean * report.scale, low, high, hollow)
