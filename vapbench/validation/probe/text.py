"""A probe's report in words: the answer for each method, then its cells, as lines of a terminal and as sentences."""

from __future__ import annotations

from collections.abc import Iterator

from vapbench.core.text_table import table_lines
from vapbench.files.text import counted
from vapbench.metrics.base import scaled_unit
from vapbench.stats.intervals import Estimate
from vapbench.stats.paired import PairedDifference
from vapbench.validation.probe.cells import OWN
from vapbench.validation.probe.difficulty import Slope
from vapbench.validation.probe.report import MethodReport, Report
from vapbench.validation.probe.words import cell_name, effect_name, ordered, said, verdict

_ABSENT = "\N{EN DASH}"


def lines(report: Report, width: int | None = None) -> Iterator[str]:
    """The report for a terminal of so many columns; None for no limit."""
    count = f"{counted(report.cases, 'case')} of {counted(report.conditions, 'condition')}"
    yield f"{report.suite} · {report.task} · {count} · {report.title}, {scaled_unit(report.unit, report.scale)}"
    yield ""
    yield from _effects(report, width)
    yield ""
    for method in report.methods:
        known = [effect for effect in method.effects if said(effect.name, effect.verdict)]
        yield f"{method.method} {'; '.join(verdict(effect) for effect in known)}."
    yield ""
    for method in report.methods:
        yield from _cells(report, method, width)
    yield from report.notes


def _effects(report: Report, width: int | None) -> list[str]:
    names = list(dict.fromkeys(effect.name for method in report.methods for effect in method.effects))
    heads = ["method", *map(effect_name, names)]
    rows = [heads]
    for method in report.methods:
        found = {effect.name: _difference(effect.difference, report) for effect in method.effects}
        rows.append([method.method, *(found.get(name, _ABSENT) for name in names)])
    return table_lines(rows, width, left=len(heads))


def _cells(report: Report, method: MethodReport, width: int | None) -> Iterator[str]:
    summaries = {summary.cell: summary for summary in method.cells}
    rows = [[method.method, report.title, "n", "moved by", "unchanged"]]
    for cell in ordered(list(summaries)):
        found = summaries[cell]
        own = cell == OWN
        moved = "" if own or found.change is None else f"{found.change:.1f}"
        rows.append(
            [
                f"  {cell_name(cell)}",
                _mean(found.score, report),
                f"{found.score.n if found.score else 0}/{found.total}",
                moved,
                f"{found.unchanged}/{found.compared}" if found.compared and not own else "",
            ]
        )
    yield from table_lines(rows, width, left=5)
    yield from (f"  {line}" for line in _lost(method))
    yield f"  caption mismatch {_slope(method.caption_mismatch, report)}"
    yield f"  structural dissimilarity {_slope(method.dissimilarity, report)}"
    yield ""


def _lost(method: MethodReport) -> Iterator[str]:
    """Every reason why cases have no score."""
    reasons: dict[str, list[str]] = {}
    for summary in method.cells:
        for reason, count in summary.lost.items():
            reasons.setdefault(reason, []).append(f"{cell_name(summary.cell)} ({count})")
    yield from (f"no score: {', '.join(cells)}: {reason}" for reason, cells in reasons.items())


def _mean(score: Estimate | None, report: Report) -> str:
    return _ABSENT if score is None else _number(score.mean, report) + _ends(score.low, score.high, report)


def _difference(difference: PairedDifference | None, report: Report) -> str:
    if difference is None:
        return _ABSENT
    return _number(difference.mean, report, "+") + _ends(difference.low, difference.high, report)


def _slope(slope: Slope, report: Report) -> str:
    """The change over the range that was seen: what a slope says beyond it, nobody looked at."""
    if slope.estimate is None or slope.low is None or slope.high is None:
        return f"{_ABSENT} ({slope.reason})"
    mean, low, high = (
        None if end is None else end * (slope.high - slope.low)
        for end in (slope.estimate.mean, slope.estimate.low, slope.estimate.high)
    )
    told = _number(mean or 0.0, report, "+") + _ends(low, high, report)
    return f"from {slope.low:.2f} to {slope.high:.2f}: {told}, of {counted(slope.n, 'output')}"


def _ends(low: float | None, high: float | None, report: Report) -> str:
    return "" if low is None or high is None else f" [{_number(low, report)}, {_number(high, report)}]"


def _number(value: float, report: Report, sign: str = "") -> str:
    text = f"{value * report.scale:{sign}.{report.digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text
