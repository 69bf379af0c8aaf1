"""What a model is shown: the study's own assigner, sessions long enough for every cell.

A model does not tire and does not leave. In each pass it sees every cell of the design once, and every check, in the
order and on the sides that the assigner gives to a rater who is all alone. Sides of pairs are balanced within each
cell, so the second pass shows every pair the other way round: a repeat of everything. What people answer in one viewing
a model is asked one by one, on the same cell in the same order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from vapbench.study.design.assign import Coverage, Design, RaterState, Trial, next_trial
from vapbench.study.protocol import Protocol

PASSES = 2


def model_trials(protocol: Protocol, passes: int) -> tuple[tuple[str, Trial], ...]:
    """Every trial of a model, with its name ``<pass>-<place>``, or ``<pass>-<place>-<question>`` for one beside it.

    Nothing looks at an answer, so that trials may be asked at once, in any order, and again after an interruption. The
    trials of fewer passes are the first of those of more.
    """
    design = _design(protocol)
    coverage = Coverage.empty(design)
    trials: list[tuple[str, Trial]] = []
    for number in range(passes):
        history: list[Trial] = []
        while (
            trial := next_trial(design, coverage, RaterState(f"model-{number}", number, tuple(history)))
        ) is not None:
            coverage.add(design, trial)
            history.append(trial)
            name = f"{number + 1}-{len(history):05}"
            trials.append((name, trial))
            if trial.role == "main":
                trials += [(f"{name}-{also.key}", replace(trial, question=also.key)) for also in protocol.also]
    return tuple(trials)


def _design(protocol: Protocol) -> Design:
    """The study's design with sessions that take in every cell and check; practice is for people."""
    cells = Counter(cell.question for cell in Design(protocol).cells)
    checks = Counter((check.kind, check.question) for check in protocol.checks)

    def most(kind: str) -> int:
        return max((count for (each, _), count in checks.items() if each == kind), default=0)

    session = protocol.session.model_copy(
        update={
            "trials": max(cells.values()),
            "gold": most("gold"),
            "identical": most("identical"),
            "repeats": 0,
            "training": 0,
        }
    )
    return Design(protocol.model_copy(update={"session": session}))
