"""How often the intervals of a preference study hold the truth, and its ranks keep their word, in a study as planned.

Of pairs, every cell (a pair of methods on a case) has as many votes, each of another rater; of the best of four, each
rater sees cases of his own. Raters and cases have tastes of their own. The truth is what endless raters and cases would
give. ``benchmarks/coverage.py`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np

from vapbench.stats.agreement import Level, canonical_outcomes, krippendorff_alpha
from vapbench.stats.arrays import BoolArray
from vapbench.stats.clusters import Interval
from vapbench.stats.davidson import BY_TIES, fit_davidson
from vapbench.stats.luce import fit_luce
from vapbench.stats.quality import side_bias
from vapbench.stats.shares import choice_share, mean_win_rate, win_share
from vapbench.stats.simulate import Tastes, simulate_choices, simulate_pairs
from vapbench.stats.votes import ChoiceVotes, PairVotes

FOUR = Tastes(strength=np.array([0.9, 0.4, 0.0, -0.7]), ties=0.5, side=0.15)
SEED = 2_051_020_888
EQUAL = replace(FOUR, strength=np.zeros(4))
HARDLY_JOINED = Tastes(strength=np.array([0.6, -0.3, -0.3]), ties=6.0, rater_sd=0.0, item_sd=0.0)
"""The first two are compared often, the last with the second a few times, most of them ties."""
_ENDLESS = 400_000
"""Votes, each of a rater and a case of its own, or two raters to a case, that stand for endless ones."""


@dataclass(frozen=True)
class Planned:
    """A study of four methods."""

    cases: int
    votes_per_cell: int
    each: int
    """Trials of a rater; a divisor of the number of cells."""

    @property
    def raters(self) -> int:
        """How many it takes."""
        return self.cases * 6 * self.votes_per_cell // self.each

    def votes(self, tastes: Tastes, rng: np.random.Generator) -> PairVotes:
        """One outcome of it: sides balanced in each cell, no rater twice at one."""
        pairs = np.array(list(combinations(range(4), 2)))
        cells = np.concatenate([rng.permutation(6 * self.cases) for _ in range(self.votes_per_cell)])
        turned = (np.arange(len(cells)) // (6 * self.cases) + rng.integers(0, 2, 6 * self.cases)[cells]) % 2 == 1
        shown = pairs[cells % 6]
        left, right = np.where(turned, shown[:, 1], shown[:, 0]), np.where(turned, shown[:, 0], shown[:, 1])
        return simulate_pairs(tastes, left, right, np.arange(len(cells)) // self.each, cells // 6, rng)


def estimates(votes: PairVotes) -> Iterator[tuple[str, float, float | None, float | None]]:
    """What a report prints with an interval: name, estimate, ends."""
    fit, methods = fit_davidson(votes), range(votes.n_methods)
    found: list[tuple[str, Interval | None]] = []
    found += [("strength difference", fit.difference(a, b)) for a, b in combinations(methods, 2)]
    found += [("win probability", fit.win_probability(a, b)) for a, b in combinations(methods, 2)]
    found += [("Luce share", each) for each in fit.luce_shares()]
    found += [("win share", each) for each in win_share(votes).intervals]
    found += [("win rate", each) for each in mean_win_rate(votes).intervals]
    found += [("left share", side_bias(votes)), ("left advantage", fit.side)]
    yield from ((name, each.estimate, each.low, each.high) for name, each in found if each)
    unit, value = canonical_outcomes(votes)
    decisive = value != 0
    variants: tuple[tuple[str, BoolArray, Level], ...] = (
        ("Krippendorff's alpha", np.ones(len(value), dtype=bool), "interval"),
        ("the same of decisive votes", decisive, "nominal"),
    )
    for name, kept, level in variants:
        alpha = krippendorff_alpha(unit[kept], votes.rater[kept], value[kept], level, item=votes.item[kept])
        yield name, float(alpha.alpha or 0.0), alpha.low, alpha.high


@cache
def truths() -> tuple[float, ...]:
    """The same numbers with endless raters and cases, in their order."""
    rng, pairs = np.random.default_rng(SEED), np.array(list(combinations(range(4), 2)))
    # Two raters to a case, for alpha; nobody else's taste is shared.
    case = np.arange(_ENDLESS) // 2
    shown, turned = pairs[case % 6], rng.random(_ENDLESS) < 0.5
    left, right = np.where(turned, shown[:, 1], shown[:, 0]), np.where(turned, shown[:, 0], shown[:, 1])
    votes = simulate_pairs(FOUR, left, right, np.arange(_ENDLESS), case, rng)
    return tuple(estimate for _, estimate, _, _ in estimates(votes))


def study_coverage(planned: Planned, trials: int) -> dict[str, float]:
    """Estimate -> how often its interval holds the truth."""
    rng, held = np.random.default_rng([SEED, planned.cases, planned.raters]), dict[str, list[bool]]()
    for _ in range(trials):
        for (name, _, low, high), truth in zip(estimates(planned.votes(FOUR, rng)), truths(), strict=True):
            held.setdefault(name, []).append(low is not None and high is not None and low <= truth <= high)
    return {name: float(np.mean(hits)) for name, hits in held.items()}


def told_apart(planned: Planned, trials: int) -> float:
    """How often any two of four equal methods have different ranks; 0.05 is claimed at most."""
    rng = np.random.default_rng([SEED, 4, planned.raters])
    return float(np.mean([max(fit_davidson(planned.votes(EQUAL, rng)).ranks().best) > 1 for _ in range(trials)]))


def joined_by_ties(few: int, trials: int) -> tuple[float, float]:
    """How often the difference of methods that ``few`` votes join is covered, and how often all of these are ties."""
    rng, held, alone = np.random.default_rng([SEED, few]), 0, 0
    often = 96
    index = np.arange(often + few)
    shown = np.where(index[:, None] < often, [[0, 1]], [[1, 2]])
    turned = (index + index // 12) % 2 == 1
    left, right = np.where(turned, shown[:, 1], shown[:, 0]), np.where(turned, shown[:, 0], shown[:, 1])
    truth = float(HARDLY_JOINED.strength[0] - HARDLY_JOINED.strength[2])
    for _ in range(trials):
        fit = fit_davidson(simulate_pairs(HARDLY_JOINED, left, right, index % 12, index // 12, rng))
        known = fit.difference(0, 2)
        alone += BY_TIES in fit.point.notes
        # Without an interval nothing is claimed.
        held += known.low is None or known.high is None or known.low <= truth <= known.high
    return held / trials, alone / trials


@dataclass(frozen=True)
class Chosen:
    """A study whose raters choose the best of four."""

    raters: int
    cases: int
    each: int
    """Cases a rater sees, drawn for each anew."""

    def votes(self, tastes: Tastes, rng: np.random.Generator) -> ChoiceVotes:
        """One outcome of it."""
        case = np.concatenate([rng.permutation(self.cases)[: self.each] for _ in range(self.raters)])
        return simulate_choices(tastes, np.repeat(np.arange(self.raters), self.each), case, rng)


def choice_estimates(votes: ChoiceVotes) -> Iterator[tuple[str, float, float | None, float | None]]:
    """What a report prints of such a study with an interval: name, estimate, ends."""
    fit = fit_luce(votes)
    found = [("choice share", each) for each in choice_share(votes).intervals]
    found += [("Luce share", each) for each in fit.luce_shares()]
    found += [("win probability", fit.win_probability(a, b)) for a, b in combinations(range(votes.n_methods), 2)]
    yield from ((name, each.estimate, each.low, each.high) for name, each in found)
    chosen = votes.credit.argmax(axis=1)
    alpha = krippendorff_alpha(votes.item, votes.rater, chosen)
    yield "Krippendorff's alpha (nominal)", float(alpha.alpha or 0.0), alpha.low, alpha.high


@cache
def choice_truths() -> tuple[float, ...]:
    """The same numbers with endless raters and cases, in their order."""
    # Two raters to a case, for alpha; nobody else's taste is shared.
    rng, case = np.random.default_rng(SEED), np.arange(_ENDLESS) // 2
    votes = simulate_choices(FOUR, np.arange(_ENDLESS), case, rng)
    return tuple(estimate for _, estimate, _, _ in choice_estimates(votes))


def choice_coverage(planned: Chosen, trials: int) -> dict[str, float]:
    """Estimate -> how often its interval holds the truth."""
    rng, held = np.random.default_rng([SEED, planned.cases, planned.raters]), dict[str, list[bool]]()
    for _ in range(trials):
        for (name, _, low, high), truth in zip(
            choice_estimates(planned.votes(FOUR, rng)), choice_truths(), strict=True
        ):
            held.setdefault(name, []).append(low is not None and high is not None and low <= truth <= high)
    return {name: float(np.mean(hits)) for name, hits in held.items()}


def chosen_apart(planned: Chosen, trials: int) -> float:
    """How often any two of four equal methods have different ranks; 0.05 is claimed at most."""
    rng = np.random.default_rng([SEED, 4, planned.raters])
    return float(np.mean([max(fit_luce(planned.votes(EQUAL, rng)).ranks().best) > 1 for _ in range(trials)]))
