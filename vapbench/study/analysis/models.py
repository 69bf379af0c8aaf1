"""What a model's votes say, beside people's and never with them: taste, sides, repeats, agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vapbench.stats.clusters import Interval, share_interval
from vapbench.stats.concordance import Concordance, Said, concordance
from vapbench.study.analysis.ballots import Ballots
from vapbench.study.analysis.fit import Terms, analyse_votes
from vapbench.study.analysis.results import MethodResult
from vapbench.study.judging.log import ModelBallots, ModelVote
from vapbench.study.protocol import Protocol
from vapbench.study.votes import Vote, each_answer


@dataclass(frozen=True)
class ModelResult:
    """One model on one question. Intervals are clustered by items: the model is one, and fixed."""

    question: str
    votes: int
    """Main votes."""
    ties: int
    methods: tuple[MethodResult, ...]
    """By its votes alone, strongest first."""
    side: Interval | None
    """Pairs: log-odds of left over right between equal methods, by the Davidson model."""
    left_share: Interval | None
    """Pairs: share of decisive votes for the left."""
    repeats: Interval | None
    """Share answered alike, of pairs of answers to a cell in passes that follow each other and show it in different
    orders; None without any."""
    followed_place: Interval | None
    """Pairs: share of those in which the choice stayed with the side, not with the method."""
    gold: tuple[int, int]
    """Right answers, and gold trials."""
    identical: tuple[int, int]
    """Said to be no different, and trials of one video twice."""
    agreement: Concordance | None
    """With the people of the published analysis, and theirs with each other; votes that prefer something."""
    people_ties: float | None
    """Share of ties among people's votes on the same cells."""


@dataclass(frozen=True)
class ModelReport:
    """A model as a rater of the study."""

    column: str
    identity: dict[str, object]
    served_by: tuple[str, ...]
    passes: int
    planned: int
    missing: int
    """Planned trials without an answer."""
    problems: tuple[str, ...]
    """Why, each once."""
    questions: tuple[ModelResult, ...]


def analyse_model(ballots: Ballots, kept: Sequence[Vote], model: ModelBallots) -> ModelReport:
    """Sum up a model's votes and compare them with people's.

    Args:
        ballots: the study.
        kept: people's main votes of the published analysis.
        model: the model's.
    """
    terms, main, human = Terms.of(ballots), model.as_votes("main"), each_answer(kept)
    fitted = {result.question: result for result in analyse_votes(terms, main)}
    results = []
    for question, fit in fitted.items():
        own = [vote for vote in model.votes if vote.question == question]
        asked = [vote for vote in main if vote.question == question]
        people = [vote for vote in human if vote.question == question]
        cells = {vote.cell for vote in asked}
        beside = [vote for vote in people if vote.cell in cells]
        repeats, followed = _repeats(own, ballots.protocol)
        results.append(
            ModelResult(
                question=question,
                votes=fit.votes,
                ties=fit.ties,
                methods=fit.methods,
                side=fit.side,
                left_share=fit.left_share,
                repeats=repeats,
                followed_place=followed,
                gold=_gold(ballots.protocol, own),
                identical=_identical(own),
                agreement=concordance(_said(beside), _said(asked)),
                people_ties=sum(vote.choice == "tie" for vote in beside) / len(beside) if beside else None,
            )
        )
    return ModelReport(
        column=model.head.column,
        identity=dict(model.head.identity),
        served_by=tuple(sorted({vote.served_by for vote in model.votes} - {""})),
        passes=model.head.passes,
        planned=model.planned,
        missing=model.missing,
        problems=tuple(dict.fromkeys(model.failures.values())),
        questions=tuple(results),
    )


def _said(votes: Sequence[Vote]) -> list[Said]:
    return [Said(vote.cell, vote.case, vote.rater, vote.chosen) for vote in votes if vote.chosen is not None]


def _repeats(votes: Sequence[ModelVote], protocol: Protocol) -> tuple[Interval | None, Interval | None]:
    of_cell: dict[str, list[ModelVote]] = {}
    for vote in votes:
        if vote.role == "main":
            of_cell.setdefault(vote.cell, []).append(vote)
    # From the third pass on, and for best of n, a cell may come in the order it had: that shows nothing of sides.
    twice = [(a, b) for answers in of_cell.values() for a, b in pairwise(answers) if a.order != b.order]
    if not twice:
        return None, None
    items, each = np.array([a.case for a, _ in twice]), np.arange(len(twice))
    alike = [a.chosen == b.chosen for a, b in twice]
    followed = [a.chosen != b.chosen and a.choice == b.choice for a, b in twice]
    stuck = share_interval(followed, each, items) if protocol.kind == "pair" else None
    return share_interval(alike, each, items), stuck


def _gold(protocol: Protocol, votes: Sequence[ModelVote]) -> tuple[int, int]:
    gold = [vote for vote in votes if vote.role == "gold"]
    return sum(vote.chosen == str(protocol.check(vote.cell).expected) for vote in gold), len(gold)


def _identical(votes: Sequence[ModelVote]) -> tuple[int, int]:
    same = [vote for vote in votes if vote.role == "identical"]
    return sum(vote.choice == "tie" for vote in same), len(same)
