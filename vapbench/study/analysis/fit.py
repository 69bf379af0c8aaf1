"""From votes to what they support: per question and method, with intervals that know who voted on what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from vapbench.errors import DataError, ErrorKind
from vapbench.stats.agreement import alpha_both_ways, canonical_outcomes, krippendorff_alpha, raw_agreement
from vapbench.stats.arrays import IntArray, LabelArray
from vapbench.stats.clusters import Interval
from vapbench.stats.davidson import BY_TIES, SEPARATION, Davidson, fit_davidson
from vapbench.stats.luce import fit_luce
from vapbench.stats.quality import circular_triads, side_bias
from vapbench.stats.shares import Shares, choice_share, mean_win_rate, win_share
from vapbench.stats.strengths import Ranks, Strengths
from vapbench.stats.votes import LEFT, RIGHT, TIE, ChoiceVotes, PairVotes
from vapbench.study.analysis.ballots import Ballots
from vapbench.study.analysis.quality import conducts, consenting, included
from vapbench.study.analysis.results import (
    Agreement,
    CategoryResult,
    CategoryShare,
    MethodResult,
    PairResult,
    QuestionResult,
    StudyResult,
)
from vapbench.study.design.assign import Design
from vapbench.study.protocol import TrialKind
from vapbench.study.votes import Vote, each_answer

Result = TypeVar("Result")
LEAST_CATEGORY_VOTES = 10
"""Votes on each method below which a category of cases has no shares of its own."""


@dataclass(frozen=True)
class Terms:
    """What the estimators need to know besides the votes."""

    kind: TrialKind
    names: Mapping[str, str]
    """Blind code -> method, in the order that numbers them."""
    questions: Mapping[str, str]
    """Key -> wording."""
    seed: int
    categories: Mapping[str, str] = field(default_factory=dict)
    """Case -> category; cases that are not listed have none."""
    notes: tuple[str, ...] = ()
    """What is doubtful about all votes."""

    @classmethod
    def of(cls, ballots: Ballots) -> Terms:
        """Those of a study."""
        protocol, names = ballots.protocol, ballots.key.names()
        wordings = {question.key: question.wording for question in protocol.asked}
        categories = {case.id: case.category for case in protocol.cases if case.category}
        return cls(protocol.kind, {code: names[code] for code in protocol.methods}, wordings, protocol.seed, categories)


def analyse(ballots: Ballots) -> StudyResult:
    """Apply the exclusion rules and estimate, question by question.

    The seed of the protocol seeds every draw, so equal votes give equal results.
    """
    people, terms = conducts(ballots), Terms.of(ballots)
    kept, all_votes = each_answer(included(ballots, people)), each_answer(consenting(ballots))
    repeats = each_answer(vote for vote in ballots.votes if vote.role == "repeat")
    questions = analyse_votes(terms, kept, repeats)
    everyone = questions if kept == all_votes else analyse_votes(terms, all_votes, repeats)
    target = len(Design(ballots.protocol).cells) * ballots.protocol.votes_per_cell
    return StudyResult(ballots, people, questions, everyone, target)


def analyse_votes(terms: Terms, votes: Sequence[Vote], repeats: Sequence[Vote] = ()) -> tuple[QuestionResult, ...]:
    """Estimate from main votes, question by question; questions without votes are left out.

    Args:
        terms: methods and questions.
        votes: main votes.
        repeats: repeated trials; those of raters without main votes do not count.
    """
    groups = {key: [vote for vote in votes if vote.question == key] for key in terms.questions}
    return tuple(
        _question(terms, key, group, [vote for vote in repeats if vote.question == key])
        for key, group in groups.items()
        if group
    )


def _question(terms: Terms, key: str, votes: Sequence[Vote], repeats: Sequence[Vote]) -> QuestionResult:
    try:
        found = _estimate(terms, votes)
        pieces = _pieces(terms, votes, found)
    except ArithmeticError as error:
        raise DataError(f"The votes on {key} cannot be analysed: {error}.", ErrorKind.INVALID, "votes") from error
    names = list(terms.names.values())
    whole = pieces[0].found.fit if len(pieces) == 1 else None
    return QuestionResult(
        question=key,
        wording=terms.questions[key],
        votes=len(votes),
        ties=sum(vote.choice == "tie" for vote in votes),
        raters=len({vote.rater for vote in votes}),
        items=len({vote.case for vote in votes}),
        methods=tuple(method for piece in pieces for method in piece.methods(found)),
        pieces=tuple(piece.names for piece in pieces),
        pairs=tuple(pair for piece in pieces for pair in piece.pairs()),
        categories=_categories(terms, votes, [m for piece in pieces for m in piece.members]),
        tie_odds=whole.point.ties if isinstance(whole, Davidson) else None,
        side=whole.side if isinstance(whole, Davidson) else None,
        left_share=found.left_share,
        agreement=_agreement(names, found, votes, repeats),
        notes=(*terms.notes, *_notes(pieces)),
    )


@dataclass(frozen=True, eq=False)
class _Piece:
    """Methods that were compared with each other, if only through others, analysed by themselves."""

    members: tuple[int, ...]
    """Numbers in the terms, strongest first."""
    order: tuple[int, ...]
    """The same, as the piece numbers them."""
    names: tuple[str, ...]
    found: _Found
    luce: tuple[Interval, ...]
    ranks: Ranks

    def methods(self, whole: _Found) -> Iterator[MethodResult]:
        """Shares are of all votes, the rest of the piece."""
        for name, m, own in zip(self.names, self.members, self.order, strict=True):
            group = "" if len(self.names) == len(whole.shown) else f" of {{{', '.join(self.names)}}}"
            rank = f"{self.ranks.text(own)}{group}" if len(self.names) > 1 else ""
            yield _method(name, m, own, rank, whole, self)

    def pairs(self) -> Iterator[PairResult]:
        """The stronger first in each."""
        named = list(zip(self.names, self.order, strict=True))
        for place, (name, a) in enumerate(named):
            for other, b in named[place + 1 :]:
                yield _pair((name, other), a, b, self.found, self.ranks)


def _pieces(terms: Terms, votes: Sequence[Vote], found: _Found) -> list[_Piece]:
    """Analyse each piece of the comparison graph alone: no tie, side effect or prior may carry over to another."""
    names, pieces = list(terms.names.values()), []
    for members in (piece.tolist() for piece in found.fit.pieces):
        part, own = terms, found
        if len(members) < 2:
            alone = Interval(float("nan"), None, None, None, "never compared with another method")
            nothing = Ranks((1,), (1,), np.full(1, np.nan), ((False,),), np.full((1, 1), np.nan), alone.reason)
            pieces.append(_Piece((members[0],), (0,), (names[members[0]],), found, (alone,), nothing))
            continue
        if len(members) < len(names):
            codes = [list(terms.names)[m] for m in members]
            part = replace(terms, names={code: terms.names[code] for code in codes})
            own = _estimate(part, [vote for vote in votes if vote.order[0] in codes])
        order = [int(m) for m in np.argsort(-own.fit.strength, kind="stable")]
        numbers = tuple(members[m] for m in order)
        ranks = own.fit.ranks(seed=terms.seed)
        pieces.append(
            _Piece(numbers, tuple(order), tuple(names[m] for m in numbers), own, own.fit.luce_shares(), ranks)
        )
    return pieces


@dataclass(frozen=True, eq=False)
class _Found:
    """What the estimators of either kind of trial give."""

    fit: Strengths
    share: Shares | None
    mean_win_rate: Shares | None
    wins: IntArray
    """``(n, n)``: votes for the row's method where both were shown."""
    ties: IntArray
    shown: IntArray
    left_share: Interval | None
    pairs: PairVotes | None
    notes: tuple[str, ...]


def _estimate(terms: Terms, votes: Sequence[Vote]) -> _Found:
    return _from_pairs(terms, votes) if terms.kind == "pair" else _from_choices(terms, votes)


def _from_pairs(terms: Terms, votes: Sequence[Vote]) -> _Found:
    data = pair_votes(terms, votes)
    fit = fit_davidson(data)
    counts = data.counts()
    wins = counts[:, :, 0] + counts[:, :, 2].T
    ties = counts[:, :, 1] + counts[:, :, 1].T
    shown = np.bincount(np.concatenate([data.left, data.right]), minlength=data.n_methods)
    return _Found(
        fit,
        win_share(data),
        _unless_impossible(lambda: mean_win_rate(data)),
        wins.astype(np.int64),
        ties.astype(np.int64),
        shown,
        _unless_impossible(lambda: side_bias(data)),
        data,
        fit.point.notes,
    )


def _from_choices(terms: Terms, votes: Sequence[Vote]) -> _Found:
    data = choice_votes(terms, votes)
    fit = fit_luce(data)
    shown = data.shown if data.shown is not None else np.ones(data.credit.shape, dtype=bool)
    chosen = (data.credit == 1).astype(np.int64)
    tied = ((data.credit > 0) & (data.credit < 1)).astype(np.int64)
    return _Found(
        fit,
        _unless_impossible(lambda: choice_share(data)),
        None,
        chosen.T @ shown.astype(np.int64),
        tied.T @ tied,
        shown.sum(axis=0),
        None,
        None,
        fit.notes,
    )


def pair_votes(terms: Terms, votes: Sequence[Vote]) -> PairVotes:
    """Main votes of a pair study, methods numbered as in the terms."""
    number = {code: n for n, code in enumerate(terms.names)}
    outcome = {0: LEFT, 1: RIGHT, "tie": TIE}
    return PairVotes(
        len(number),
        np.array([number[vote.order[0]] for vote in votes], dtype=np.int64),
        np.array([number[vote.order[1]] for vote in votes], dtype=np.int64),
        np.array([outcome[vote.choice] for vote in votes], dtype=np.int64),
        np.array([vote.rater for vote in votes]),
        np.array([vote.case for vote in votes]),
    )


def choice_votes(terms: Terms, votes: Sequence[Vote]) -> ChoiceVotes:
    """Main votes of a best-of-n study; a tie is split among all that were shown."""
    number = {code: n for n, code in enumerate(terms.names)}
    shown = np.zeros((len(votes), len(number)), dtype=bool)
    credit = np.zeros(shown.shape)
    for row, vote in enumerate(votes):
        for code in vote.order:
            shown[row, number[code]] = True
            credit[row, number[code]] = 1 / len(vote.order) if vote.choice == "tie" else vote.chosen == code
    rater, item = np.array([vote.rater for vote in votes]), np.array([vote.case for vote in votes])
    return ChoiceVotes(credit, rater, item, None if shown.all() else shown)


def _method(name: str, m: int, own: int, rank: str, whole: _Found, piece: _Piece) -> MethodResult:
    """One method: ``m`` of all, ``own`` of its piece."""
    share = whole.share
    effect = float(share.design_effect[m]) if share else float("nan")
    first = float(piece.ranks.first[own])
    return MethodResult(
        name,
        int(whole.shown[m]),
        share.intervals[m] if share else None,
        float(share.bound[m]) if share else 1.0,
        whole.mean_win_rate.intervals[m] if whole.mean_win_rate else None,
        piece.luce[own],
        float(piece.found.fit.elo()[own]),
        rank,
        first if np.isfinite(first) else None,
        effect if np.isfinite(effect) else None,
    )


def _pair(names: tuple[str, str], a: int, b: int, found: _Found, ranks: Ranks) -> PairResult:
    return PairResult(
        *names,
        int(found.wins[a, b]),
        int(found.ties[a, b]),
        int(found.wins[b, a]),
        found.fit.win_probability(a, b),
        ranks.better[a][b] or ranks.better[b][a],
        None if ranks.reason else float(ranks.p[a, b]),
    )


def _notes(pieces: Sequence[_Piece]) -> tuple[str, ...]:
    """What a reader must know of the fits, methods by name."""
    said = []
    if len(pieces) > 1:
        groups = ", ".join("{" + ", ".join(piece.names) + "}" for piece in pieces)
        said.append(f"the comparisons fall into {groups}: nothing is known, ranked or compared across them")
    for piece in pieces:
        where = f"{{{', '.join(piece.names)}}}: " if len(pieces) > 1 else ""
        said += [where + _named(note, piece) for note in piece.found.notes if len(piece.names) > 1]
    return tuple(said)


def _named(note: str, piece: _Piece) -> str:
    """A note of a fit, and what has no finite fit by name."""
    fit = piece.found.fit
    if note == BY_TIES:
        return f"{note} (intervals by profile likelihood)"
    if note != SEPARATION:
        return note
    names = dict(zip(piece.order, piece.names, strict=True))
    ends = [f"{names[a]} over {names[b]}" for a, b in fit.diverging] if isinstance(fit, Davidson) else []
    if isinstance(fit, Davidson) and fit.side_diverges:
        ends.append("the advantage of a side")
    what = f"no finite number fits {', '.join(ends)}; " if ends else ""
    return f"{note} ({what}intervals by profile likelihood)"


def _categories(terms: Terms, votes: Sequence[Vote], order: Sequence[int]) -> tuple[CategoryResult, ...]:
    groups: dict[str, list[Vote]] = {}
    for vote in votes:
        groups.setdefault(terms.categories.get(vote.case, "none"), []).append(vote)
    if len(groups) < 2:
        return ()
    return tuple(_category(terms, name, groups[name], order) for name in sorted(groups))


def _category(terms: Terms, name: str, votes: Sequence[Vote], order: Sequence[int]) -> CategoryResult:
    names, codes_of = list(terms.names.values()), list(terms.names)
    shown = [sum(code in vote.order for vote in votes) for code in codes_of]
    shares: Sequence[Interval | None] = [None] * len(names)
    note = ""
    if min(shown) < LEAST_CATEGORY_VOTES:
        note = f"fewer than {LEAST_CATEGORY_VOTES} votes on a method, so no shares"
    else:
        try:
            found = _estimate(terms, votes)
        except ArithmeticError as error:
            note = f"cannot be analysed: {error}"
        else:
            chosen, pieces = found.share if terms.kind == "best_of_n" else None, _pieces(terms, votes, found)
            if chosen or len(pieces) == 1:
                shares = chosen.intervals if chosen else found.fit.luce_shares()
            reasons = (share.reason for share in shares if share and share.reason)
            note = "; ".join(dict.fromkeys((*_notes(pieces), *reasons)))
    methods = tuple(CategoryShare(names[m], shown[m], shares[m]) for m in order)
    raters, items = len({vote.rater for vote in votes}), len({vote.case for vote in votes})
    return CategoryResult(name, len(votes), raters, items, methods, note)


def _agreement(names: Sequence[str], found: _Found, votes: Sequence[Vote], repeats: Sequence[Vote]) -> Agreement:
    rater = np.array([vote.rater for vote in votes])
    first = {(vote.rater, vote.cell): vote.chosen for vote in votes}
    again = [vote for vote in repeats if (vote.rater, vote.cell) in first]
    same = sum(first[vote.rater, vote.cell] == vote.chosen for vote in again)
    if found.pairs is None:
        unit = np.array([vote.cell for vote in votes])
        numbers = {code: n for n, code in enumerate(sorted({vote.chosen or "" for vote in votes}))}
        value = np.array([numbers[vote.chosen or ""] for vote in votes])
        once = _first_of_each(rater, unit)
        unit, rater, value = unit[once], rater[once], value[once]
        alpha = krippendorff_alpha(unit, rater, value)
        return Agreement(alpha, None, None, raw_agreement(unit, rater, value), (same, len(again)), None)
    # Which of two methods counts as +1 is a choice that alpha depends on: it is the first by name.
    place = np.argsort(np.argsort(names, kind="stable"))
    named = replace(found.pairs, left=place[found.pairs.left], right=place[found.pairs.right])
    unit, value = canonical_outcomes(named)
    once = _first_of_each(rater, unit)
    unit, rater, value, item = unit[once], rater[once], value[once], named.item[once]
    decisive = value != 0
    triads = circular_triads(found.pairs)
    return Agreement(
        krippendorff_alpha(unit, rater, value, "interval", item=item),
        alpha_both_ways(unit, rater, value),
        krippendorff_alpha(unit[decisive], rater[decisive], value[decisive], item=item[decisive])
        if decisive.any()
        else None,
        raw_agreement(unit, rater, value),
        (same, len(again)),
        (int(triads.circular.sum()), int(triads.complete.sum())),
    )


def _first_of_each(rater: LabelArray, unit: LabelArray) -> IntArray:
    """Places of each rater's first vote on each unit: imported judges may have judged one twice, sides swapped."""
    _, first = np.unique(np.stack([rater, unit], axis=1), axis=0, return_index=True)
    return np.sort(first)


def _unless_impossible(estimate: Callable[[], Result]) -> Result | None:
    try:
        return estimate()
    except ValueError:
        return None
