"""What people preferred, as a column of a table: shares of votes with two-way intervals and rank intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from vapbench.errors import DataError, ErrorKind
from vapbench.files.text import counted
from vapbench.report.model import Cell, Footer, TableModel, places_of
from vapbench.report.read.columns import Column
from vapbench.report.tables.agreement import HumanVote, as_labelled

if TYPE_CHECKING:
    from vapbench.stats.shares import Shares

PREFERENCE = "preference_rate"
CHOICE = Column(PREFERENCE, 0, title="Preference rate", higher_is_better=True, unit="%", scale=100, digits=1)
WINS = replace(CHOICE, metric=f"{PREFERENCE}[wins]", title="Mean win rate")


@dataclass(frozen=True)
class Preference:
    """One question's votes on the cases of a table."""

    column: Column
    """:data:`CHOICE`: of all methods shown, how often each was chosen. :data:`WINS`: of pairs, mean over opponents."""
    methods: tuple[str, ...]
    shares: Shares
    votes: int
    raters: int
    cases: int

    @property
    def footer(self) -> str:
        """What a reader must know."""
        how = (
            f"how often a method was chosen of the {len(self.methods)} shown, every case weighing the same"
            if self.column.metric == PREFERENCE
            else "rate of wins, the mean over opponents, ties counting half"
        )
        interval = self.shares.covariance.reason or "intervals and ranks clustered two ways, by rater and case"
        return (
            f"{self.column.title}: {how}; {counted(self.votes, 'vote')} of {counted(self.raters, 'rater')} on "
            f"{counted(self.cases, 'case')}; "
            f"{interval}. Bold may be first by its rank interval."
        )


def with_votes(model: TableModel, votes: Sequence[HumanVote]) -> TableModel:
    """The table with a column for each question people were asked on its cases.

    Rows that no vote showed have no number in it. Floors and ceilings are not ranked, as in every column.

    Raises:
        DataError: a question's trials showed neither all methods nor all pairs: such votes give strengths
            (``vapbench study report``), not shares.
    """
    labels = {row.label for row in model.rows}
    votes = as_labelled(votes, model)
    here = [vote for vote in votes if vote.case in model.conditions and labels.issuperset(vote.shown)]
    questions = list(dict.fromkeys(vote.question for vote in here))
    for question in questions:
        found = preference([vote for vote in here if vote.question == question])
        if len(questions) > 1:
            found = replace(found, column=replace(found.column, title=f"{found.column.title} ({question})"))
        model = _with(model, found)
    return model


def preference(votes: Sequence[HumanVote]) -> Preference:
    """Shares of the votes on one question."""
    import numpy as np

    from vapbench.stats.shares import choice_share, mean_win_rate
    from vapbench.stats.votes import LEFT, RIGHT, TIE, ChoiceVotes, PairVotes

    methods = tuple(dict.fromkeys(method for vote in votes for method in vote.shown))
    number = {method: place for place, method in enumerate(methods)}
    raters, cases = np.array([vote.rater for vote in votes]), np.array([vote.case for vote in votes])
    trials = {frozenset(vote.shown) for vote in votes}
    if trials == {frozenset(methods)}:
        ties = np.full(len(methods), 1 / len(methods))
        credit = np.array([ties if v.chosen is None else np.eye(len(methods))[number[v.chosen]] for v in votes])
        column, shares = CHOICE, choice_share(ChoiceVotes(credit, raters, cases))
    elif trials == {frozenset(pair) for pair in combinations(methods, 2)}:
        outcome = [TIE if v.chosen is None else LEFT if v.chosen == v.shown[0] else RIGHT for v in votes]
        left, right = (np.array([number[vote.shown[side]] for vote in votes]) for side in (0, 1))
        column, shares = WINS, mean_win_rate(PairVotes(len(methods), left, right, np.array(outcome), raters, cases))
    else:
        raise DataError(
            f"The votes on {votes[0].question!r} showed neither all methods at once nor all pairs, so there is no "
            "share to tabulate; see their strengths: vapbench study report --help",
            ErrorKind.MISSING,
            "question",
        )
    return Preference(column, methods, shares, len(votes), len(set(raters)), len(set(cases)))


def _with(model: TableModel, found: Preference) -> TableModel:
    from vapbench.stats.strengths import rank_intervals

    competing = [row.label for row in model.rows if row.competes and row.label in found.methods]
    ranked = [found.methods.index(label) for label in competing]
    means = [float(found.shares.share[place]) for place in ranked]
    places = dict(zip(competing, places_of(found.column, means), strict=True))
    spans: dict[str, tuple[int, int]] = {}
    if len(ranked) > 1 and not found.shares.covariance.reason:
        import numpy as np

        pick = np.eye(len(found.methods))[ranked]
        ranks = rank_intervals(found.shares.share[ranked], found.shares.covariance.transformed(pick))
        spans = dict(zip(competing, zip(ranks.best, ranks.worst, strict=True), strict=True))
    absent = Cell(None, None, None, 0, found.cases, reason="not among the methods voted on", votes=found.votes)
    cells = []
    for row, line in zip(model.rows, model.cells, strict=True):
        cell = absent
        if row.label in found.methods:
            known = found.shares.intervals[found.methods.index(row.label)]
            cell = Cell(
                min(known.estimate, 1.0),
                known.low,
                known.high,
                found.cases,
                found.cases,
                no_interval=known.reason,
                place=places.get(row.label),
                ranks=spans.get(row.label),
                votes=found.votes,
            )
        cells.append((*line, cell))
    return replace(
        model,
        columns=(*model.columns, found.column),
        cells=tuple(cells),
        scores=tuple((*line, {}) for line in model.scores),
        footers=(*model.footers, Footer("votes", found.footer)),
    )
