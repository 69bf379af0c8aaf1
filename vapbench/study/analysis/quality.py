"""Quality control by the protocol's own rules, after the last vote: who is excluded, who is flagged, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vapbench.files.text import counted
from vapbench.stats.agreement import rater_agreement
from vapbench.stats.paired import fair_coin_p
from vapbench.study.analysis.ballots import Ballots
from vapbench.study.protocol import Protocol
from vapbench.study.rules import broken_rules, gold_right, sides, too_fast
from vapbench.study.votes import Vote, each_answer


@dataclass(frozen=True)
class Conduct:
    """How one rater voted."""

    rater: str
    votes: int
    """Main votes."""
    gold: tuple[int, int]
    """Right answers, and gold trials."""
    repeats: tuple[int, int]
    """Equal answers, and repeated trials."""
    identical: tuple[int, int, int]
    """Identical videos: said to be no different, the first preferred, another preferred."""
    fast: tuple[int, int]
    """Votes below the time floor, and votes timed (main, repeat and gold)."""
    left: tuple[int, int]
    """Votes for the first place, and decisive votes (main and repeat)."""
    side_p: float
    """Exact binomial p-value of so one-sided a choice by chance; 1 for best-of-n."""
    alike: tuple[int, int]
    """Trials with one answer to all of several questions, and trials with several answers (main and repeat): simple
    nondifferentiation (Kim et al., Social Science Computer Review 37, 2019)."""
    outlier_z: float | None
    """Robust z of agreement with the others; None where nobody else judged the same."""
    excluded: tuple[str, ...]
    """Why the votes are left out of the main analysis; empty: they are in."""
    flags: tuple[str, ...]
    """What an editor should look at; excludes nothing."""


def conducts(ballots: Ballots) -> tuple[Conduct, ...]:
    """Apply the protocol's exclusion rules to every rater, in order of arrival."""
    of_rater: dict[str, list[Vote]] = {rater.rater: [] for rater in ballots.raters}
    for vote in ballots.votes:
        of_rater[vote.rater].append(vote)
    z = _outliers(consenting(ballots))
    said = {rater.rater: _standing(rater.status, rater.excluded) for rater in ballots.raters}
    return tuple(
        _conduct(ballots.protocol, rater, votes, z.get(rater), said[rater])
        for rater, votes in of_rater.items()
        if votes
    )


def included(ballots: Ballots, people: Sequence[Conduct]) -> tuple[Vote, ...]:
    """Main votes of raters who are not excluded: what the published analysis is made from."""
    out = {person.rater for person in people if person.excluded}
    return tuple(vote for vote in main_votes(ballots.votes) if vote.rater not in out)


def consenting(ballots: Ballots) -> tuple[Vote, ...]:
    """Main votes of everybody who stayed: the consent form promises the others that no analysis has theirs."""
    left = {rater.rater for rater in ballots.raters if rater.status == "withdrawn"}
    return tuple(vote for vote in main_votes(ballots.votes) if vote.rater not in left)


def main_votes(votes: Sequence[Vote]) -> tuple[Vote, ...]:
    """Votes on the design's cells, repeats and checks left out."""
    return tuple(vote for vote in votes if vote.role == "main")


def unit_and_answer(vote: Vote) -> tuple[str, str]:
    """What was judged, and the answer, whichever side it was shown on: a blind code, or ``tie``."""
    return vote.cell, vote.chosen or "tie"


def _standing(status: str, excluded: str) -> tuple[str, ...]:
    reasons = [f"excluded by an administrator: {excluded}"] if excluded else []
    if status in ("withdrawn", "screened_out", "evicted"):
        reasons.append(status.replace("_", " "))
    return tuple(reasons)


def _conduct(
    protocol: Protocol, rater: str, votes: Sequence[Vote], z: float | None, standing: tuple[str, ...]
) -> Conduct:
    rules = protocol.exclusions
    gold, repeats, fast = gold_right(protocol, votes), _repeats(votes), too_fast(protocol, votes)
    left, side_p = sides(protocol, votes)
    excluded = (*standing, *broken_rules(protocol, votes))
    identical, flags = _identical(votes), []
    if repeats[1] >= rules.repeat_trials and repeats[0] < rules.repeat_agreement * repeats[1]:
        flags.append(f"repeats: {repeats[0]} of {repeats[1]} answered alike")
    same, left_one, right_one = identical
    if not same and left_one + right_one >= rules.identical_trials and not (left_one and right_one):
        side = "left" if left_one else "right"
        flags.append(f"identical videos: told apart {counted(left_one + right_one, 'time')}, always for the {side}")
    if z is not None and z < rules.outlier_z:
        flags.append(f"agreement with others: z = {z:.1f}")
    alike = _alike(votes)
    flags += _straight_lines(protocol, votes, alike)
    main = sum(vote.role == "main" for vote in votes)
    return Conduct(rater, main, gold, repeats, identical, fast, left, side_p, alike, z, excluded, tuple(flags))


def _alike(votes: Sequence[Vote]) -> tuple[int, int]:
    given = [[_said(answer) for answer in each_answer((vote,))] for vote in votes if vote.role in ("main", "repeat")]
    several = [answers for answers in given if len(answers) > 1]
    return sum(len(set(answers)) == 1 for answers in several), len(several)


def _said(vote: Vote) -> tuple[int | str, int, bool]:
    """All that was said of a question: another grade for the same side is another answer, and so is "both are bad"."""
    return vote.choice, vote.grade or 0, vote.both_bad


def _straight_lines(protocol: Protocol, votes: Sequence[Vote], alike: tuple[int, int]) -> Iterator[str]:
    """Answers that may not have been thought about: checks and exclusion rules look at the planned questions alone."""
    rules = protocol.exclusions
    answers = [vote for vote in each_answer(votes) if vote.role in ("main", "repeat")]
    for question in protocol.asked:
        own = [vote for vote in answers if vote.question == question.key]
        (left, decisive), side_p = sides(protocol, own)
        if len(set(map(_said, own))) == 1 and fair_coin_p(len(own), len(own)) < rules.side_p:
            yield f"{question.key}: the same answer in all {counted(len(own), 'trial')}"
        elif question in protocol.also and decisive >= rules.side_trials and side_p < rules.side_p:
            yield f"{question.key}: {left} of {counted(decisive, 'vote')} for the left"
    same, several = alike
    if same == several and fair_coin_p(same, several) < rules.side_p:
        yield f"one answer to all questions of a trial, in all {counted(several, 'trial')}"


def _repeats(votes: Sequence[Vote]) -> tuple[int, int]:
    first = {vote.cell: unit_and_answer(vote) for vote in votes if vote.role == "main"}
    equal = [
        first[vote.cell] == unit_and_answer(vote) for vote in votes if vote.role == "repeat" and vote.cell in first
    ]
    return sum(equal), len(equal)


def _identical(votes: Sequence[Vote]) -> tuple[int, int, int]:
    choices = [vote.choice for vote in votes if vote.role == "identical"]
    same, left = choices.count("tie"), choices.count(0)
    return same, left, len(choices) - same - left


def _outliers(main: Sequence[Vote]) -> Mapping[str, float]:
    if not main:
        return {}
    unit, answer = zip(*map(unit_and_answer, main), strict=True)
    numbers = {name: number for number, name in enumerate(sorted(set(answer)))}
    found = rater_agreement(
        np.array(unit), np.array([vote.rater for vote in main]), np.array([numbers[name] for name in answer])
    )
    return {str(rater): float(z) for rater, z in zip(found.raters, found.robust_z, strict=True) if np.isfinite(z)}
