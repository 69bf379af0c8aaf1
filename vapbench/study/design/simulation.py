"""What a study can find out, before anybody is asked: the real assigner, simulated raters, the real estimators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vapbench.stats.arrays import FloatArray, IntArray
from vapbench.stats.davidson import fit_davidson
from vapbench.stats.luce import fit_luce
from vapbench.stats.power import Voting, raters_needed
from vapbench.stats.simulate import Tastes, simulate_choices, simulate_pairs
from vapbench.stats.strengths import Strengths
from vapbench.study.design.assign import Coverage, Design, RaterState, Trial, next_trial, session
from vapbench.study.protocol import Protocol

WIN_RATES = (0.55, 0.6, 0.65, 0.7, 0.75)


@dataclass(frozen=True)
class Assumptions:
    """What the simulated population is like."""

    rater_sd: float = 0.5
    """Spread of raters' tastes, per method, on the log scale."""
    item_sd: float = 0.8
    """Spread of items, likewise."""
    ties: float = 0.5
    """nu of the Davidson model; 0 where the study has no ties."""
    dropout: float = 0.2
    """Share of raters who leave somewhere in the middle."""
    excluded: float = 0.1
    """Share of raters whom the rules exclude; their trials are given to others."""
    designs: int = 2
    """Runs of the assigner, each with other raters leaving."""
    replicates: int = 40
    """Studies simulated on each."""


@dataclass(frozen=True)
class Power:
    """What becomes of one pair of methods that are next to each other in strength."""

    win_rate: float
    """Share of decisive votes for the better one among average raters and items."""
    power: float
    """Share of simulated studies whose interval excludes "no difference"."""
    half_width: float
    """Median half width of the interval of the win probability, in [0, 1]."""


@dataclass(frozen=True)
class Forecast:
    """What the planner expects of one question's votes."""

    powers: tuple[Power, ...]
    votes: float
    """Main votes on the question."""
    votes_per_pair: float
    """Votes on each pair of methods (pair), or on all (best of n)."""
    least_per_cell: int
    most_per_cell: int
    left_share: float
    """Largest distance of a method's share of left sides (or first places) from balance."""
    raters_needed: tuple[int | None, ...]
    """Raters to recruit for a power of 0.8 at each win rate, by the closed form; None: more items are needed."""
    reason: str = ""
    """Why there will be no intervals."""


@dataclass(frozen=True)
class Trials:
    """Main trials of one question of a simulated study, as arrays over trials."""

    order: IntArray
    """``(N, k)`` method numbers from left to right."""
    rater: IntArray
    item: IntArray


def simulate_sessions(
    design: Design, raters: int, dropout: float, rng: np.random.Generator, excluded: float = 0.0
) -> list[list[Trial]]:
    """Let raters take trials at the same time, some of them leaving, some excluded, through the real assigner.

    Returns:
        Each rater's history; of the excluded an empty one.
    """
    coverage = Coverage.empty(design)
    states = [RaterState(f"simulated-{index}", index) for index in range(raters)]
    length = len(session(design.protocol, states[0].rater, 0))
    leaves = np.where(rng.random(raters) < dropout, rng.integers(1, max(2, length), raters), length)
    histories: list[list[Trial]] = [[] for _ in states]
    out = rng.random(raters) < excluded if excluded else np.zeros(raters, dtype=bool)
    active = list(range(raters))
    while active:
        place = int(rng.integers(len(active)))
        index = active[place]
        state = RaterState(states[index].rater, index, tuple(histories[index]))
        trial = next_trial(design, coverage, state) if len(histories[index]) < leaves[index] else None
        if trial is None:
            if out[index]:
                for given in histories[index]:
                    coverage.add(design, given, times=-1)
                histories[index] = []
            active[place] = active[-1]
            active.pop()
            continue
        coverage.add(design, trial)
        histories[index].append(trial)
    return histories


def forecast(protocol: Protocol, assumptions: Assumptions = Assumptions(), seed: int = 0) -> Forecast:
    """Simulate the study and estimate from it as the report will.

    The methods are assumed equally far apart, so that neighbours have the given win rate.

    Args:
        protocol: the study; the question that comes first is simulated, as all have equal designs.
        assumptions: what raters and items are like.
        seed: of the simulation.
    """
    rng = np.random.default_rng(seed)
    design = Design(protocol)
    question = protocol.questions[0].key
    runs = [
        trials_of(
            design, simulate_sessions(design, protocol.raters, assumptions.dropout, rng, assumptions.excluded), question
        )
        for _ in range(assumptions.designs)
    ]
    powers, reason = [], ""
    for rate in WIN_RATES:
        outcomes = [
            outcome
            for run in runs
            for _ in range(assumptions.replicates)
            for outcome in _neighbours(protocol, run, rate, assumptions, rng)
        ]
        known = [(low, high) for low, high in outcomes if low is not None and high is not None]
        if not known:
            reason = "too few raters or items for an interval (at least 5 of each)"
            break
        found = sum(low > 0.5 for low, _ in known) / len(outcomes)
        powers.append(Power(rate, found, float(np.median([(high - low) / 2 for low, high in known]))))
    counts = [np.bincount(_cell_numbers(design, run)) for run in runs]
    votes = float(np.mean([len(run.rater) for run in runs]))
    pairs = math.comb(len(protocol.methods), 2) if protocol.kind == "pair" else 1
    return Forecast(
        tuple(powers),
        votes,
        votes / pairs,
        int(min(_least(design, run, question) for run in runs)),
        int(max(count.max(initial=0) for count in counts)),
        max((_imbalance(run, len(protocol.methods)) for run in runs if len(run.rater)), default=0.0),
        raters_for(protocol, assumptions),
        reason,
    )


def raters_for(protocol: Protocol, assumptions: Assumptions) -> tuple[int | None, ...]:
    """Raters to recruit for a power of 0.8 at each of :data:`WIN_RATES`, sessions being as long as planned."""
    kept = (1 - assumptions.dropout / 2) * protocol.session.trials
    voting = Voting(
        kept,
        len(protocol.methods),
        len(protocol.cases),
        protocol.kind == "pair",
        assumptions.rater_sd,
        assumptions.item_sd,
        assumptions.ties if protocol.ties else 0.0,
    )
    needed = [raters_needed(voting, rate) for rate in WIN_RATES]
    return tuple(None if raters is None else math.ceil(raters / (1 - assumptions.excluded)) for raters in needed)


def trials_of(design: Design, histories: Sequence[Sequence[Trial]], question: str) -> Trials:
    """The main trials of one question, as arrays."""
    number = {code: n for n, code in enumerate(design.protocol.methods)}
    items = {case.id: n for n, case in enumerate(design.protocol.cases)}
    rows = [
        (rater, items[trial.case], tuple(number[code] for code in trial.order))
        for rater, history in enumerate(histories)
        for trial in history
        if trial.role == "main" and trial.question == question
    ]
    return Trials(
        np.array([order for _, _, order in rows], dtype=np.int64).reshape(len(rows), -1 if rows else 2),
        np.array([rater for rater, _, _ in rows], dtype=np.int64),
        np.array([item for _, item, _ in rows], dtype=np.int64),
    )


def fit_simulated(
    protocol: Protocol, trials: Trials, win_rate: float, assumptions: Assumptions, rng: np.random.Generator
) -> Strengths:
    """Vote on trials and fit the study's model to the votes."""
    n = len(protocol.methods)
    strength: FloatArray = -math.log(win_rate / (1 - win_rate)) * np.arange(n, dtype=np.float64)
    ties = assumptions.ties if protocol.ties else 0.0
    tastes = Tastes(strength, ties=ties, rater_sd=assumptions.rater_sd, item_sd=assumptions.item_sd)
    if protocol.kind == "pair":
        left, right = trials.order[:, 0], trials.order[:, 1]
        return fit_davidson(simulate_pairs(tastes, left, right, trials.rater, trials.item, rng))
    return fit_luce(simulate_choices(tastes, trials.rater, trials.item, rng))


def _neighbours(
    protocol: Protocol, trials: Trials, win_rate: float, assumptions: Assumptions, rng: np.random.Generator
) -> list[tuple[float | None, float | None]]:
    pairs = len(protocol.methods) - 1
    if not len(trials.rater):
        # Of few raters all may have left or been excluded.
        return [(None, None)] * pairs
    fit = fit_simulated(protocol, trials, win_rate, assumptions, rng)
    intervals = [fit.win_probability(m, m + 1) for m in range(pairs)]
    return [(interval.low, interval.high) for interval in intervals]


def _cell_numbers(design: Design, trials: Trials) -> IntArray:
    n = len(design.protocol.methods)
    sets = (1 << np.sort(trials.order, axis=1)).sum(axis=1)
    numbers: IntArray = np.unique(trials.item * (1 << n) + sets, return_inverse=True)[1].reshape(-1)
    return numbers


def _least(design: Design, trials: Trials, question: str) -> int:
    counts = np.bincount(_cell_numbers(design, trials))
    return int(counts.min()) if len(counts) == len(design.of_question[question]) else 0


def _imbalance(trials: Trials, methods: int) -> float:
    first = np.bincount(trials.order[:, 0], minlength=methods)
    shown = np.bincount(trials.order.reshape(-1), minlength=methods)
    return float(np.abs(first / np.maximum(shown, 1) - 1 / trials.order.shape[1]).max())
