"""Whether 95 % intervals cover 95 %: raters and items drawn anew, the truth known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tests.stats.designs import SEVEN, random_pairs
from vapbench.stats.arrays import FloatArray
from vapbench.stats.clusters import Covariance, Interval
from vapbench.stats.davidson import Davidson, fit_davidson, fit_davidson_counts
from vapbench.stats.shares import choice_share
from vapbench.stats.simulate import simulate_choices, simulate_pairs

ITEMS = 48


def population_strengths() -> FloatArray:
    """What the model estimates with endless raters and items: strengths that fit the average probabilities."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    spread = math.sqrt(2 * (SEVEN.rater_sd**2 + SEVEN.item_sd**2))
    counts = np.zeros((7, 7, 3))
    for a in range(7):
        for b in range(7):
            if a != b:
                gap = SEVEN.strength[a] - SEVEN.strength[b] + spread * nodes
                odds = np.stack(
                    [np.exp((gap + SEVEN.side) / 2), np.full_like(gap, SEVEN.ties), np.exp(-(gap + SEVEN.side) / 2)]
                )
                counts[a, b] = 1e6 * (odds / odds.sum(axis=0)) @ weights
    return fit_davidson_counts(counts).strength


def population_shares() -> FloatArray:
    rng = np.random.default_rng(99)
    spread = math.sqrt(SEVEN.rater_sd**2 + SEVEN.item_sd**2)
    utility = SEVEN.strength + spread * rng.normal(size=(2_000_000, 7)) + rng.gumbel(size=(2_000_000, 7))
    return np.bincount(utility.argmax(axis=1), minlength=7) / len(utility)


def coverage(trials: int, once: Callable[[np.random.Generator], list[tuple[Interval, float]]]) -> float:
    hits = [
        interval.low is not None and interval.high is not None and interval.low <= truth <= interval.high
        for seed in range(trials)
        for interval, truth in once(np.random.default_rng(seed))
    ]
    return float(np.mean(hits))


def davidson_once(raters: int, votes_each: int, truth: FloatArray) -> Callable[..., list[tuple[Interval, float]]]:
    def once(rng: np.random.Generator) -> list[tuple[Interval, float]]:
        fit = fit_davidson(simulate_pairs(SEVEN, *random_pairs(7, raters, votes_each, ITEMS, rng), rng))
        return [(fit.difference(0, b), float(truth[0] - truth[b])) for b in range(1, 7)]

    return once


def shares_once(raters: int, truth: FloatArray) -> Callable[..., list[tuple[Interval, float]]]:
    def once(rng: np.random.Generator) -> list[tuple[Interval, float]]:
        rater, item = np.repeat(np.arange(raters), ITEMS), np.tile(np.arange(ITEMS), raters)
        shares = choice_share(simulate_choices(SEVEN, rater, item, rng))
        return [(shares.intervals[m], float(truth[m])) for m in (0, 1)]

    return once


@pytest.mark.slow
@pytest.mark.parametrize(("raters", "votes_each"), [(20, 60), (50, 40), (100, 30)])
def test_davidson_differences_cover(raters: int, votes_each: int) -> None:
    covered = coverage(1000, davidson_once(raters, votes_each, population_strengths()))
    assert 0.93 <= covered <= 0.97, f"{covered:.1%}"


@pytest.mark.slow
@pytest.mark.parametrize("raters", [20, 60])
def test_choice_shares_cover(raters: int) -> None:
    covered = coverage(1000, shares_once(raters, population_shares()))
    assert 0.93 <= covered <= 0.97, f"{covered:.1%}"


def test_intervals_that_ignore_raters_and_items_cover_far_less() -> None:
    truth = population_strengths()
    two_way = davidson_once(50, 40, truth)

    def independent(rng: np.random.Generator) -> list[tuple[Interval, float]]:
        fit = fit_davidson(simulate_pairs(SEVEN, *random_pairs(7, 50, 40, ITEMS, rng), rng))
        floor = Covariance(fit.covariance.floor, fit.covariance.floor, (("votes", 1000),))
        naive = Davidson(fit.strength, floor, fit.point, None, fit.votes, pieces=fit.pieces)
        return [(naive.difference(0, b), float(truth[0] - truth[b])) for b in range(1, 7)]

    assert coverage(40, independent) < 0.88
    assert coverage(40, two_way) > 0.88
