"""Designs side by side, as plain text: what each costs and what it can find out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vapbench.study.analysis.lines import table
from vapbench.study.analysis.text import MOST_CHECKS, POWER, check_share
from vapbench.study.design.explore import Candidate
from vapbench.study.design.planning import session_minutes
from vapbench.study.design.simulation import WIN_RATES

SHOWN = (0.6, 0.7)
"""True preferences that the table gives the power for."""


def design_lines(candidates: Sequence[Candidate]) -> list[str]:
    """One row for each design."""
    header = ("design", "raters", "minutes each", "rater-minutes", "votes per question", "checks")
    powers = [f"power at {_odds(rate)}" for rate in SHOWN]
    needed = [f"raters for {POWER:g} at {_odds(rate)}" for rate in SHOWN]
    rows = [_row(candidate) for candidate in candidates]
    lines = [*table((*header, *powers, *needed), rows), ""]
    reasons = {candidate.forecast.reason for candidate in candidates} - {""}
    lines += [f"No interval can be given in a design marked -: {reason}." for reason in sorted(reasons)]
    if any(check_share(candidate.planned.protocol) > MOST_CHECKS for candidate in candidates):
        lines.append("!: more than a third of a session's trials are checks, repeats and practice.")
    seen = dict.fromkeys((each.wanted.attrition, each.wanted.exclusion) for each in candidates)
    assumed = "; ".join(
        f"{attrition:.0%} leave midway and {exclusion:.0%} are excluded" for attrition, exclusion in seen
    )
    return [
        *lines,
        f"Assumed: {assumed}. Power is for neighbouring methods, two-sided 5 %, not corrected for many pairs; "
        "raters are those to recruit, sessions staying as long.",
        "Nothing was encoded or written. Videos are encoded once, whichever design is planned.",
    ]


def design_document(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [
        {
            "design": each.design,
            "kind": each.wanted.kind,
            "questions": list(each.wanted.questions),
            "votes_per_cell": each.wanted.votes_per_cell,
            "attrition": each.wanted.attrition,
            "exclusion": each.wanted.exclusion,
            "raters": each.planned.protocol.raters,
            "minutes_per_rater": session_minutes(each.planned.protocol),
            "votes_per_question": each.forecast.votes,
            "check_share": check_share(each.planned.protocol),
            "power": {f"{power.win_rate:g}": power.power for power in each.forecast.powers},
            "raters_needed": {f"{rate:g}": _needed(each, rate) for rate in SHOWN},
            "reason": each.forecast.reason,
        }
        for each in candidates
    ]


def _row(candidate: Candidate) -> tuple[str, ...]:
    protocol, forecast = candidate.planned.protocol, candidate.forecast
    minutes, checks = session_minutes(protocol), check_share(protocol)
    powers = {power.win_rate: f"{power.power:.2f}" for power in forecast.powers}
    needed = [_needed(candidate, rate) for rate in SHOWN]
    return (
        candidate.design or "(the options)",
        f"{protocol.raters:,}",
        f"{minutes:.0f}",
        f"{protocol.raters * minutes:,.0f}",
        f"{forecast.votes:,.0f}",
        f"{checks:.0%}{' !' if checks > MOST_CHECKS else ''}",
        *(powers.get(rate, "-") for rate in SHOWN),
        *("more cases" if raters is None else f"{raters:,}" for raters in needed),
    )


def _needed(candidate: Candidate, rate: float) -> int | None:
    return candidate.forecast.raters_needed[WIN_RATES.index(rate)]


def _odds(rate: float) -> str:
    return f"{100 * rate:.0f}:{100 - 100 * rate:.0f}"
