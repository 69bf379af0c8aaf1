"""Agreement of a model with people and of people with each other: by hand, and how often intervals cover."""

from __future__ import annotations

import numpy as np
import pytest

from vapbench.stats.concordance import Concordance, Said, concordance


def test_units_weigh_alike_and_are_the_same_for_both() -> None:
    people = [
        *(Said("u", "i", rater, answer) for rater, answer in (("a", 1), ("b", 1), ("c", 2))),
        *(Said("v", "j", rater, answer) for rater, answer in (("a", 1), ("b", 2))),
        Said("w", "k", "a", 1),  # one person: says nothing of people, so nothing is asked of the model here
        Said("x", "l", "a", 1),
        Said("x", "l", "b", 1),  # the model said nothing
        Said("u", "i", "a", 2),  # a person's first vote counts
    ]
    model = [Said("u", "i", "m", 1), Said("u", "i", "m", 2), Said("v", "j", "m", 1), Said("w", "k", "m", 1)]
    found = concordance(people, model)
    assert found is not None and (found.units, found.pairs) == (2, (8, 4))
    assert found.with_people.estimate == pytest.approx((3 / 6 + 1 / 2) / 2)
    assert found.among_people.estimate == pytest.approx((1 / 3 + 0) / 2)
    assert found.difference.estimate == pytest.approx(0.5 - 1 / 6)
    assert "give no interval" in found.with_people.reason


def test_without_common_units_there_is_nothing() -> None:
    assert concordance([Said("u", "i", "a", 1)], [Said("u", "i", "m", 1)]) is None


def simulate(random: np.random.Generator, raters: int, items: int, rater_sd: float, item_sd: float) -> Concordance:
    theta = np.array([0.8, 0.0, -0.8])
    tastes, cases = random.normal(0, rater_sd, (raters, 3)), random.normal(0, item_sd, (items, 3))
    load = np.zeros(raters)
    people, model = [], []
    for item in range(items):
        for a, b in ((0, 1), (0, 2), (1, 2)):
            for rater in np.argsort(load + random.random(raters) / 2)[:3]:
                load[rater] += 1
                utility = theta + cases[item] + tastes[rater]
                answer = a if random.random() < 1 / (1 + np.exp(utility[b] - utility[a])) else b
                people.append(Said((item, a, b), item, int(rater), answer))
            for _ in range(2):
                answer = a if random.random() < 1 / (1 + np.exp(theta[b] - theta[a])) else b
                model.append(Said((item, a, b), item, "model", answer))
    found = concordance(people, model)
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("raters", "items", "rater_sd", "item_sd"),
    [(20, 24, 0.5, 0.8), (20, 24, 1.5, 0.8), (10, 12, 0.5, 0.8), (20, 24, 0, 0)],
)
def test_intervals_cover(raters: int, items: int, rater_sd: float, item_sd: float) -> None:
    random = np.random.default_rng(0)
    studies = [simulate(random, raters, items, rater_sd, item_sd) for _ in range(300)]
    for name in ("with_people", "among_people", "difference"):
        intervals = [getattr(study, name) for study in studies]
        truth = np.mean([interval.estimate for interval in intervals])
        covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
        assert 0.925 <= covered <= 0.985, (name, covered)
