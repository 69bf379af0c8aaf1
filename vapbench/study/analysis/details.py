"""What the answers say beyond who was preferred: how much better, both bad, reasons. Described, not tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vapbench.stats.clusters import Interval, bounded_mean_interval, share_interval
from vapbench.study.analysis.fit import Terms
from vapbench.study.analysis.lines import percent, table
from vapbench.study.analysis.quality import included
from vapbench.study.analysis.results import QuestionResult, StudyResult
from vapbench.study.protocol import Question
from vapbench.study.votes import Vote, each_answer


@dataclass(frozen=True)
class MethodDetails:
    """One method on one question."""

    method: str
    grade: Interval | None
    """Mean grade for it against whatever stood beside it, both bad as 0; None where no grades are asked for."""
    both_bad: Interval | None
    """Share of its votes that called both bad; None where that is no answer."""


@dataclass(frozen=True)
class PairDetails:
    """Two methods on one question."""

    a: str
    b: str
    grade: Interval | None
    """Mean grade, above 0 for ``a``."""
    both_bad: int
    """Votes that called both bad."""


@dataclass(frozen=True)
class TagDetails:
    """How often a reason was ticked in votes that showed a method."""

    tag: str
    method: str
    preferred: tuple[int, int]
    """Ticked, of votes that preferred the method."""
    passed_over: tuple[int, int]
    """Ticked, of votes that preferred another."""
    tied: tuple[int, int]
    """Ticked, of votes that preferred none."""


@dataclass(frozen=True)
class Details:
    """One question, methods and pairs in the order of its result."""

    question: str
    steps: int
    """Largest grade of the scale; 0: none are asked for."""
    methods: tuple[MethodDetails, ...]
    pairs: tuple[PairDetails, ...]
    tags: tuple[TagDetails, ...]
    """Tag by tag, each with every method."""


def details_of(result: StudyResult) -> tuple[Details, ...]:
    """Sum up the published analysis's votes, of the questions that ask for more than a choice."""
    terms, protocol = Terms.of(result.ballots), result.protocol
    votes = each_answer(included(result.ballots, result.people))
    return tuple(
        _of_question(terms, protocol.question(one.question), one, [v for v in votes if v.question == one.question])
        for one in result.questions
        if (asked := protocol.question(one.question)).steps or asked.both_bad or asked.tags
    )


def _of_question(terms: Terms, question: Question, result: QuestionResult, votes: Sequence[Vote]) -> Details:
    methods = []
    for method in result.methods:
        own = [vote for vote in votes if method.name in _shown(terms, vote)]
        bad = _share([vote.both_bad for vote in own], own) if question.both_bad else None
        methods.append(MethodDetails(method.name, _mean(terms, question, own, method.name), bad))
    pairs = []
    for pair in result.pairs:
        both = [vote for vote in votes if {pair.a, pair.b} == set(_shown(terms, vote))]
        bad_votes = sum(vote.both_bad for vote in both)
        pairs.append(PairDetails(pair.a, pair.b, _mean(terms, question, both, pair.a), bad_votes))
    tags = tuple(
        _tag(terms, text, number, method.name, votes)
        for number, text in enumerate(question.tags)
        for method in result.methods
    )
    return Details(question.key, question.steps, tuple(methods), tuple(pairs), tags)


def _tag(terms: Terms, text: str, number: int, method: str, votes: Sequence[Vote]) -> TagDetails:
    own = [vote for vote in votes if method in _shown(terms, vote)]

    def ticked(among: Sequence[Vote]) -> tuple[int, int]:
        return sum(number in vote.tags for vote in among), len(among)

    decisive = [(vote, terms.names[vote.chosen]) for vote in own if vote.chosen]
    return TagDetails(
        text,
        method,
        ticked([vote for vote, chosen in decisive if chosen == method]),
        ticked([vote for vote, chosen in decisive if chosen != method]),
        ticked([vote for vote in own if not vote.chosen]),
    )


def details_lines(details: Details) -> list[str]:
    """As plain text, below the question's own tables."""
    return [*_numbers(details), *_tags(details)]


def _tags(details: Details) -> list[str]:
    if not details.tags:
        return []
    rows = [
        (one.tag, one.method, *(f"{ticked} of {of}" for ticked, of in (one.preferred, one.passed_over, one.tied)))
        for one in details.tags
    ]
    header = ("reason ticked", "method", "preferred", "passed over", "tied")
    return ["", *table(header, rows)]


def _numbers(details: Details) -> list[str]:
    graded, bad = details.steps > 0, any(method.both_bad for method in details.methods)
    if not (graded or bad):
        return []
    header = ("method", *(("mean grade",) if graded else ()), *(("both bad %",) if bad else ()))
    rows = [
        (one.method, *((_signed(one.grade),) if graded else ()), *((percent(one.both_bad),) if bad else ()))
        for one in details.methods
    ]
    lines = ["", *table(header, rows), ""]
    header = ("pair", *(("mean grade",) if graded else ()), *(("both bad",) if bad else ()))
    duels = [
        (f"{one.a} over {one.b}", *((_signed(one.grade),) if graded else ()), *((f"{one.both_bad:,}",) if bad else ()))
        for one in details.pairs
    ]
    lines += [*table(header, duels), ""]
    if graded:
        lines.append(
            f"Mean grade: {-details.steps} to +{details.steps} for the first, or for the method against all; no "
            "difference and both bad are 0. Ranks and shares take from a grade which one is better, not by how much."
        )
    if bad:
        lines.append("Both bad: a tie for ranks and shares, and counted here; of a method, share of its votes.")
    return lines


def _shown(terms: Terms, vote: Vote) -> tuple[str, ...]:
    return tuple(terms.names[code] for code in vote.order)


def _mean(terms: Terms, question: Question, votes: Sequence[Vote], method: str) -> Interval | None:
    """Mean grade for a method, two-way cluster-robust."""
    if not question.steps or not votes:
        return None
    # Grades are for the right; both bad has none, and prefers nothing.
    grades = [(vote.grade or 0) * (1 if _shown(terms, vote)[1] == method else -1) for vote in votes]
    rater, item = np.array([vote.rater for vote in votes]), np.array([vote.case for vote in votes])
    return bounded_mean_interval(grades, (-question.steps, question.steps), rater, item)


def _share(outcomes: Sequence[bool], votes: Sequence[Vote]) -> Interval | None:
    if not votes:
        return None
    return share_interval(outcomes, np.array([vote.rater for vote in votes]), np.array([vote.case for vote in votes]))


def _signed(interval: Interval | None) -> str:
    if interval is None:
        return ""
    ends = "" if interval.low is None or interval.high is None else f" [{interval.low:+.2f}, {interval.high:+.2f}]"
    return f"{interval.estimate:+.2f}{ends}"
