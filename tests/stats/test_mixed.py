"""The mixed-effects fit: planted tastes are found, intervals cover, and where nothing can be fitted it says so."""

from __future__ import annotations

import numpy as np
import pytest

from vapbench.stats.clusters import Interval
from vapbench.stats.mixed import Mixed, fit_mixed
from vapbench.stats.simulate import Tastes, simulate_pairs
from vapbench.stats.votes import PairVotes

THETA = np.array([0.6, 0.0, -0.6])
PAIRS = ((0, 1), (0, 2), (1, 2))


def votes(random: np.random.Generator, raters: int = 20, items: int = 24, **tastes: float) -> PairVotes:
    """Three votes on each pair of three methods on each item."""
    rows, load = [], np.zeros(raters)
    for item in range(items):
        for pair in PAIRS:
            for rater in np.argsort(load + random.random(raters) / 2)[:3]:
                load[rater] += 1
                rows.append((*(pair if random.random() < 0.5 else pair[::-1]), int(rater), item))
    left, right, rater_of, item_of = np.array(rows).T
    return simulate_pairs(Tastes(THETA, **tastes), left, right, rater_of, item_of, random)


def differences(fit: Mixed) -> list[tuple[Interval, float]]:
    assert fit.strengths is not None, fit.reason
    return [(fit.strengths.difference(a, b), float(THETA[a] - THETA[b])) for a, b in PAIRS]


def test_tastes_of_raters_and_of_items_are_told_apart_and_sides_change_nothing() -> None:
    random = np.random.default_rng(0)
    given = votes(random, rater_sd=0.0, item_sd=1.5)
    fit = fit_mixed(given)
    assert fit.item_sd > 2 * fit.rater_sd and fit.strengths is not None
    assert fit.strengths.strength.argsort().tolist() == [2, 1, 0] and abs(fit.strengths.strength.sum()) < 1e-9
    swapped = fit_mixed(PairVotes(3, given.right, given.left, -given.outcome, given.rater, given.item))
    assert swapped.strengths is not None
    np.testing.assert_allclose(swapped.strengths.strength, fit.strengths.strength, atol=1e-3)


def test_too_few_raters_say_nothing_of_their_spread() -> None:
    fit = fit_mixed(votes(np.random.default_rng(0), raters=4))
    assert fit.strengths is None and "raters: 4" in fit.reason


@pytest.mark.slow
def test_spreads_are_rough() -> None:
    """What the report says of them: large ones come out smaller, none as a few tenths."""
    random = np.random.default_rng(0)

    def found(rater_sd: float, item_sd: float) -> tuple[float, float]:
        fits = [fit_mixed(votes(random, rater_sd=rater_sd, item_sd=item_sd)) for _ in range(20)]
        assert all(fit.strengths is not None for fit in fits), "each settles"
        return float(np.mean([fit.rater_sd for fit in fits])), float(np.mean([fit.item_sd for fit in fits]))

    raters, items = found(rater_sd=0.5, item_sd=0.8)
    assert 0.25 < raters < 0.5 and 0.45 < items < 0.8
    assert all(0.1 < none < 0.4 for none in found(rater_sd=0.0, item_sd=0.0))


@pytest.mark.slow
def test_intervals_cover_and_strengths_are_a_little_small() -> None:
    random = np.random.default_rng(0)
    found = [both for _ in range(60) for both in differences(fit_mixed(votes(random, rater_sd=0.5, item_sd=0.8)))]
    covered = np.mean([(interval.low or 0) <= truth <= (interval.high or 0) for interval, truth in found])
    assert 0.92 <= covered <= 0.99
    assert 0.8 <= np.mean([interval.estimate / truth for interval, truth in found]) <= 1
