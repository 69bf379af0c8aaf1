"""Whether 95 % intervals cover 95 %: raters and items drawn anew, the truth known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.agreement_coverage import JUDGED, Judged, agreement_coverage
from benchmarks.coverage import (
    NORMAL,
    POPULATIONS,
    SKEWED,
    Graded,
    Scores,
    comparisons,
    grade_coverage,
    mean_coverage,
    ranks_error,
    separated_coverage,
)
from benchmarks.study_coverage import (
    Chosen,
    Planned,
    choice_coverage,
    chosen_apart,
    joined_by_ties,
    study_coverage,
    told_apart,
)
from tests.stats.designs import SEVEN, random_pairs
from vapbench.stats.arrays import FloatArray
from vapbench.stats.clusters import Covariance, Interval
from vapbench.stats.davidson import Davidson, _solve, fit_davidson
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
    model, solution, notes = _solve(counts, side_effect=True)
    return model.point(solution, notes).strength


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


@pytest.mark.parametrize("scores", POPULATIONS, ids=lambda scores: scores.name)
def test_intervals_of_seven_conditions_hold(scores: Scores) -> None:
    assert mean_coverage(scores, 7, unequal=False, trials=300) >= 0.92
    assert mean_coverage(scores, 7, unequal=True, trials=150) >= 0.92


@pytest.mark.parametrize("scores", [NORMAL, SKEWED], ids=lambda scores: scores.name)
def test_equal_methods_and_equal_columns_are_rarely_told_apart(scores: Scores) -> None:
    assert ranks_error(scores, 9, 7, unequal=False, trials=250) <= 0.09
    compared = comparisons(scores, 7, unequal=True, trials=150)
    assert compared.any_wrong <= 0.09 and compared.covers >= 0.91


def test_fewer_than_six_conditions_are_conservative_about_themselves() -> None:
    assert mean_coverage(NORMAL, 4, unequal=False, trials=250) >= 0.92
    assert ranks_error(NORMAL, 5, 4, unequal=False, trials=150) <= 0.1


def test_what_holm_cannot_find_in_seven_columns_is_found() -> None:
    assert comparisons(NORMAL, 7, unequal=False, trials=60, gap=8.0).found > 0.8


@pytest.mark.parametrize("graded", [Graded(3, 1.0, 2), Graded(2, 4.0, 1)], ids=["middle", "near the end"])
def test_mean_grades_are_covered(graded: Graded) -> None:
    assert grade_coverage(graded, 8, 24, 12, 200) >= 0.91


def test_separated_votes_are_covered() -> None:
    assert separated_coverage(0.95, 48, 60) >= 0.9


@pytest.mark.slow
def test_what_a_report_of_a_study_prints_is_covered() -> None:
    planned = Planned(24, 3, 36)
    covered = study_coverage(planned, 300)
    assert len(covered) == 9 and min(covered.values()) >= 0.92, covered
    assert told_apart(planned, 300) <= 0.09


@pytest.mark.slow
def test_what_a_report_of_a_best_of_n_study_prints_is_covered() -> None:
    planned = Chosen(36, 24, 12)
    covered = choice_coverage(planned, 300)
    assert len(covered) == 4 and min(covered.values()) >= 0.92, covered
    assert chosen_apart(planned, 300) <= 0.1


@pytest.mark.slow
def test_methods_that_a_few_votes_join_are_not_told_apart_too_surely() -> None:
    covered, ties_alone = joined_by_ties(4, 300)
    assert covered >= 0.93 and 0.1 < ties_alone < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("judged", JUDGED, ids=lambda judged: judged.name)
def test_what_is_printed_of_a_metric_beside_people_is_covered(judged: Judged) -> None:
    covered = agreement_coverage(judged, 7, 12, 14, 200)
    assert len(covered) == 3 and min(covered.values()) >= 0.91, covered


@pytest.mark.slow
@pytest.mark.parametrize("conditions", [7, 10, 27, 48])
@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize("scores", POPULATIONS, ids=lambda scores: scores.name)
def test_intervals_hold_at_every_size(scores: Scores, unequal: bool, conditions: int) -> None:
    covered = mean_coverage(scores, conditions, unequal, 2_000)
    # Shares are discrete, and conservative where they are.
    assert 0.925 <= covered <= (1.0 if scores.share or unequal else 0.975), f"{covered:.1%}"


@pytest.mark.slow
@pytest.mark.parametrize("conditions", [7, 10, 24, 48])
@pytest.mark.parametrize("methods", [2, 9, 14])
def test_family_wise_error_of_ranks(methods: int, conditions: int) -> None:
    error = ranks_error(NORMAL, methods, conditions, False, 1_000)
    assert 0.02 <= error <= 0.07, f"{error:.1%}"


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
