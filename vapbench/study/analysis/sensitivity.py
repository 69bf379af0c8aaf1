"""A second opinion on each question of a pair study: the mixed-effects fit beside the Davidson model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vapbench.errors import ErrorKind, UsageError
from vapbench.stats.clusters import Interval
from vapbench.stats.mixed import fit_mixed
from vapbench.study.analysis.fit import Terms, pair_votes
from vapbench.study.analysis.lines import percent, table
from vapbench.study.analysis.quality import included
from vapbench.study.analysis.results import QuestionResult, StudyResult
from vapbench.study.votes import Vote, each_answer


@dataclass(frozen=True)
class MixedPair:
    """Two methods, the one that the main analysis has first first."""

    a: str
    b: str
    win_probability: Interval
    """That an average rater prefers ``a`` on an average item, in a decisive vote."""


@dataclass(frozen=True)
class MixedResult:
    """One question."""

    question: str
    pairs: tuple[MixedPair, ...]
    rater_sd: float | None
    """Spread of raters' tastes, per method, on the log scale."""
    item_sd: float | None
    reason: str = ""
    """Why there is no fit."""


def mixed_results(result: StudyResult) -> tuple[MixedResult, ...]:
    """Fit the votes of the published analysis again, with random effects of raters and items.

    Raises:
        UsageError: no pair study.
    """
    if result.protocol.kind != "pair":
        raise UsageError(
            "--mixed is for pair studies: its model has two results and a tie.", ErrorKind.CONFLICT, "mixed"
        )
    votes, terms = each_answer(included(result.ballots, result.people)), Terms.of(result.ballots)
    return tuple(
        _fit(terms, question, [vote for vote in votes if vote.question == question.question])
        for question in result.questions
    )


def mixed_lines(results: Sequence[MixedResult]) -> list[str]:
    """As plain text."""
    lines: list[str] = []
    for result in results:
        lines += ["", f"{result.question}, mixed effects (sensitivity)"]
        if result.reason:
            lines.append(f"Not fitted: {result.reason}.")
            continue
        rows = [(f"{pair.a} over {pair.b}", percent(pair.win_probability)) for pair in result.pairs]
        lines += table(("pair", "win probability %, average rater and item"), rows)
        lines.append(
            f"Spread (SD, log-strength): {result.rater_sd:.2f} among raters, {result.item_sd:.2f} among items; rough: "
            "large ones come out smaller, and none at all as a few tenths."
        )
        turned = [f"{pair.a} and {pair.b}" for pair in result.pairs if pair.win_probability.estimate < 0.5]
        lines.append(f"Other order than above: {', '.join(turned) or 'none'}.")
    return lines


def _fit(terms: Terms, question: QuestionResult, votes: Sequence[Vote]) -> MixedResult:
    if len(question.pieces) > 1 or any("separation" in note for note in question.notes):
        return MixedResult(question.question, (), None, None, "no finite strengths fit all methods")
    fit = fit_mixed(pair_votes(terms, votes))
    if fit.strengths is None:
        return MixedResult(question.question, (), None, None, fit.reason)
    place = {name: number for number, name in enumerate(terms.names.values())}
    strengths = fit.strengths
    pairs = tuple(
        MixedPair(pair.a, pair.b, strengths.win_probability(place[pair.a], place[pair.b])) for pair in question.pairs
    )
    return MixedResult(question.question, pairs, fit.rater_sd, fit.item_sd)
