"""Models as raters, as plain text: a section of its own after the people's."""

from __future__ import annotations

from collections.abc import Sequence

from vapbench.files.text import counted
from vapbench.stats.clusters import Interval
from vapbench.study.analysis.lines import percent, plain_interval, table
from vapbench.study.analysis.models import ModelReport, ModelResult


def model_lines(models: Sequence[ModelReport]) -> list[str]:
    """One block per model and question; empty without models."""
    lines: list[str] = []
    for model in models:
        served = f", served by {', '.join(model.served_by)}" if model.served_by else ""
        lines += ["", f"MODEL as a rater, in no number above: {model.column}{served}"]
        answered = model.planned - model.missing
        lines.append(
            f"{counted(model.passes, 'pass', 'passes')} over every cell, {answered} of "
            f"{counted(model.planned, 'trial')} answered."
        )
        lines += [f"Unanswered: {problem}" for problem in model.problems[:3]]
        for question in model.questions:
            lines += ["", *_question_lines(question)]
    if models:
        lines += [
            "",
            "A model's intervals cluster by items; agreement is the mean over cells of the share of pairs of votes "
            "that prefer the same, with people's two-way clustered; 50 % is a coin where there are two results.",
        ]
    return lines


def _question_lines(question: ModelResult) -> list[str]:
    rows = [(m.name, m.rank, percent(m.luce_share), f"{m.shown:,}") for m in question.methods]
    tied = f", {counted(question.ties, 'tie')} ({question.ties / question.votes:.0%})" if question.ties else ""
    people = (
        f"; people's on the same cells: {question.people_ties:.0%}" if tied and question.people_ties is not None else ""
    )
    lines = [f"{question.question}: {counted(question.votes, 'vote')} of the model{tied}{people}", ""]
    lines += [*table(("method", "rank", "Luce share %, by the model", "votes"), rows), ""]
    if question.agreement is not None:
        found = question.agreement
        lines.append(
            f"Agreement with people: {percent(found.with_people)} %; of people with each other: "
            f"{percent(found.among_people)} %; difference {_points(found.difference)} "
            f"({counted(found.units, 'cell')}, {found.pairs[0]:,} and {counted(found.pairs[1], 'pair')} of votes)."
        )
        lines += [f"Note: {found.difference.reason}."] if found.difference.reason else []
    else:
        lines.append("Agreement: no cell has a preference of the model and of two people.")
    if question.left_share is not None:
        side = f"; left advantage {plain_interval(question.side)} log-odds" if question.side else ""
        lines.append(f"Side: {percent(question.left_share)} % of decisive votes for the left{side}.")
    if question.repeats is not None:
        stuck = f"; {percent(question.followed_place)} % stayed with the side" if question.followed_place else ""
        how = "sides swapped" if question.followed_place else "in another order"
        lines.append(f"Repeats, {how}: {percent(question.repeats)} % answered alike{stuck}.")
    right, gold = question.gold
    same, identical = question.identical
    checks = ([f"gold {right} of {gold} right"] if gold else []) + (
        [f"one video twice called no different {same} of {counted(identical, 'time')}"] if identical else []
    )
    return [*lines, *([f"Checks: {'; '.join(checks)}."] if checks else [])]


def _points(interval: Interval) -> str:
    low, high = interval.low, interval.high
    ends = f" [{100 * low:+.1f}, {100 * high:+.1f}]" if low is not None and high is not None else ""
    return f"{100 * interval.estimate:+.1f}{ends} points"
