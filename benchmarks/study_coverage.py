"""How often the intervals of a preference study hold the truth, and its ranks keep their word, in a study as planned.

Every cell (a pair of methods on a case) has as many votes, each of another rater; raters and cases have tastes of their
own. The truth is what endless raters and cases would give. ``benchmarks/coverage.py`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np

from vapbench.stats.agreement import canonical_outcomes, krippendorff_alpha
from vapbench.stats.clusters import Interval
from vapbench.stats.davidson import fit_davidson
from vapbench.stats.quality import side_bias
from vapbench.stats.shares import mean_win_rate, win_share
from vapbench.stats.simulate import Tastes, simulate_pairs
from vapbench.stats.votes import PairVotes

FOUR = Tastes(strength=np.array([0.9, 0.4, 0.0, -0.7]), ties=0.5, side=0.15)
SEED = 2_051_020_888
EQUAL = replace(FOUR, strength=np.zeros(4))
_ENDLESS = 400_000
"""Votes, each of a rater and a case of its own, or two raters to a case, that stand for endless ones."""
_REPLICATES = 400


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


def estimates(
    votes: PairVotes, replicates: int = _REPLICATES
) -> Iterator[tuple[str, float, float | None, float | None]]:
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
    alpha = krippendorff_alpha(unit, votes.rater, value, "interval", replicates=replicates)
    yield "Krippendorff's alpha", float(alpha.alpha or 0.0), alpha.low, alpha.high


@cache
def truths() -> tuple[float, ...]:
    """The same numbers with endless raters and cases, in their order."""
    rng, pairs = np.random.default_rng(SEED), np.array(list(combinations(range(4), 2)))
    # Two raters to a case, for alpha; nobody else's taste is shared.
    case = np.arange(_ENDLESS) // 2
    shown, turned = pairs[case % 6], rng.random(_ENDLESS) < 0.5
    left, right = np.where(turned, shown[:, 1], shown[:, 0]), np.where(turned, shown[:, 0], shown[:, 1])
    votes = simulate_pairs(FOUR, left, right, np.arange(_ENDLESS), case, rng)
    return tuple(estimate for _, estimate, _, _ in estimates(votes, replicates=2))


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
