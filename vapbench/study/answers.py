"""Which answers a protocol allows: asked by the server of what it is sent, by the report of what it reads."""

from __future__ import annotations

from collections.abc import Mapping

from vapbench.study.protocol import Protocol
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
        if not (ties if answer.choice == "tie" else 0 <= answer.choice < shown):
            return f"{key}: that was not offered"
    return ""
