"""Which answers a protocol allows: asked by the server of what it is sent, by the report of what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from vapbench.study.protocol import Protocol, Question
from vapbench.study.votes import Given


def answers_fault(
    protocol: Protocol, question: str, given: Given, beside: Mapping[str, Given], shown: int, ties: bool
) -> str:
    """Why these cannot be the answers to a trial; empty: they can.

    Args:
        protocol: the study.
        question: key of the trial's own question.
        given: the answer to it.
        beside: answers to the questions beside it.
        shown: number of results.
        ties: whether "no difference" may be said of this trial.
    """
    if strangers := set(beside) - {also.key for also in protocol.also}:
        return f"{min(strangers)} was not asked"
    if missing := [also.key for also in protocol.also if also.required and also.key not in beside]:
        return f"{missing[0]} needs an answer"
    for key, answer in ((question, given), *beside.items()):
        if fault := _fault(protocol.question(key), answer, shown, ties):
            return f"{key}: {fault}"
    return ""


def side_of(grade: int) -> int | Literal["tie"]:
    """The choice that a grade is: the left below 0, the right above, a tie midway."""
    return "tie" if grade == 0 else int(grade > 0)


def _fault(question: Question, given: Given, shown: int, ties: bool) -> str:
    offered = ties if given.choice == "tie" else 0 <= given.choice < shown
    graded = question.steps > 0 and not given.both_bad
    if not offered or (given.both_bad and not (question.both_bad and given.choice == "tie")):
        return "that was not offered"
    if graded != (given.grade is not None):
        return "a grade is missing" if graded else "no grade was asked for"
    if given.grade is not None and (abs(given.grade) > question.steps or given.choice != side_of(given.grade)):
        return "that grade was not offered"
    if list(given.tags) != sorted(set(given.tags)) or not all(0 <= tag < len(question.tags) for tag in given.tags):
        return "that tag was not offered"
    return ""
