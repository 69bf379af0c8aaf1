"""Specification of paired comparisons, adjustment for many tests, and power."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from vapbench.stats.paired import PairedDifference, Pairs, fair_coin_p, paired_differences
from vapbench.stats.power import (
    Spread,
    conditions_needed,
    design_effect,
    smallest_difference,
    votes_for_shares,
    votes_per_pair,
)


def paired_difference(a: npt.ArrayLike, b: npt.ArrayLike, cluster: npt.ArrayLike, *, seed: int = 0) -> PairedDifference:
    """Two methods by themselves, which makes a family of one."""
    return paired_differences([Pairs(a, b, cluster)], seed=seed)[0]


def test_no_difference_is_no_evidence() -> None:
    result = paired_difference([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0, 1, 2])
    assert result.p == 1 and result.ties == 3 and result.low is None


def test_no_spread_has_no_interval_and_says_so() -> None:
    result = paired_difference(np.full(14, 0.3), np.zeros(14), np.arange(14) // 2)
    assert result.p == 2 / 2**7 and result.low is None and "is the same in all conditions" in result.reason


def test_families_may_have_different_cases() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1.0, 1, 14), np.zeros(14)
    whole, part = Pairs(a, b, np.arange(14) // 2), Pairs(a[2:], b[2:], np.arange(2, 14) // 2)
    first, second = paired_differences([whole, part])
    assert (first.n, first.clusters, second.n, second.clusters) == (14, 7, 12, 6)
    assert first.p == paired_difference(*whole).p and second.p == paired_difference(*part).p
    assert first.adjusted >= first.p and second.adjusted >= second.p
    assert paired_differences([]) == []


def test_yes_or_no_scores_get_the_exact_mcnemar_test() -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = np.repeat([1, 0, 1], [9, 2, 5]), np.repeat([0, 1, 1], [9, 2, 5])
    result = paired_difference(a, b, np.arange(16))
    assert (result.wins, result.losses) == (9, 2) and result.exact
    assert result.p == pytest.approx(stats.binomtest(2, 11).pvalue, rel=1e-12)
    table = pytest.importorskip("statsmodels.stats.contingency_tables").mcnemar([[5, 9], [2, 0]], exact=True)
    assert result.p == pytest.approx(table.pvalue, rel=1e-12)
    # Copies within a condition change nothing, where the test of single cases would say 3e-5.
    assert paired_difference(np.repeat(a, 3), np.repeat(b, 3), np.repeat(np.arange(16), 3)).p == result.p


def test_hand_computed_comparison() -> None:
    a, b = [3.0, 4.0, 5.0, 9.0, 6.0, 7.0], [1.0, 3.0, 2.0, 5.0, 6.0, 8.0]
    result = paired_difference(a, b, ["x", "x", "y", "z", "v", "w"])
    assert (result.mean, result.median) == (1.5, 1.5)
    assert (result.wins, result.losses, result.ties, result.n, result.clusters) == (4, 1, 1, 6, 5)
    assert result.low is None and result.reason == "5 conditions are too few"
    # Cluster sums 3, 3, 4, 0, -1: of 16 patterns of the four that differ, those with |sum| >= 9 are 9, 11 both ways.
    assert result.p == pytest.approx(4 / 16) and result.exact


def test_comparisons_are_seeded_and_antisymmetric() -> None:
    rng = np.random.default_rng(5)
    a, b, cluster = rng.normal(size=60), rng.normal(size=60), np.arange(60) // 2
    forth, back = paired_difference(a, b, cluster, seed=4), paired_difference(b, a, cluster, seed=4)
    assert forth == paired_difference(a, b, cluster, seed=4)
    assert forth.low is not None and back.high is not None
    assert (forth.mean, forth.low, forth.p) == pytest.approx((-back.mean, -back.high, back.p), abs=1e-12)


@pytest.mark.parametrize("bad", [[], [float("nan")]])
def test_what_cannot_be_compared_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one|finite"):
        paired_difference(bad, bad, list(range(len(bad))))


@pytest.mark.parametrize(("heads", "tosses"), [(0, 0), (0, 1), (7, 20), (20, 20), (2_450, 5_000)])
def test_a_fair_coin_has_the_exact_binomial_p(heads: int, tosses: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    known = stats.binomtest(heads, tosses).pvalue if tosses else 1.0
    assert fair_coin_p(heads, tosses) == fair_coin_p(tosses - heads, tosses) == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize(
    ("p", "single", "six", "twenty_one"),
    [(0.55, 783, 1208, 1502), (0.60, 194, 300, 373), (0.65, 85, 132, 164), (0.70, 47, 73, 91)],
)
def test_votes_per_pair(p: float, single: int, six: int, twenty_one: int) -> None:
    assert votes_per_pair(p) == votes_per_pair(1 - p) == single
    # The printed table rounds where whole votes must be rounded up.
    assert abs(votes_per_pair(p, comparisons=6) - six) <= 1
    assert abs(votes_per_pair(p, comparisons=21) - twenty_one) <= 1
    assert abs(votes_per_pair(p, design_effect=2) - 2 * single) <= 1


@pytest.mark.parametrize(("a", "b", "n"), [(0.40, 0.35, 2352), (0.40, 0.30, 547), (0.387, 0.131, 60)])
def test_votes_for_shares(a: float, b: float, n: int) -> None:
    assert abs(votes_for_shares(a, b) - n) <= 1


def test_the_papers_two_leaders_need_a_quarter_of_a_million_votes() -> None:
    assert votes_for_shares(0.387, 0.382) == pytest.approx(241_429, abs=2)


def test_planning_for_equal_methods_is_refused() -> None:
    with pytest.raises(ValueError, match="1/2"):
        votes_per_pair(0.5)
    with pytest.raises(ValueError, match="differ"):
        votes_for_shares(0.3, 0.3)


def test_design_effect() -> None:
    assert design_effect(1, 1, 0.5, 0.5) == 1
    assert design_effect(11, 5, 0.1, 0.05) == pytest.approx(2.2)


def test_the_smallest_difference_is_found_four_times_in_five() -> None:
    """The closed form against the real engine: two methods, ten conditions of two cases."""
    spread = Spread(between=0.4, seeds=0.0)
    least = smallest_difference(10, cases=2, spread=spread)
    assert least is not None
    rng, found = np.random.default_rng(0), []
    cluster = np.arange(20) // 2
    for _ in range(300):
        gaps = rng.normal(0, np.sqrt(0.4), 10)[cluster] + rng.normal(least, np.sqrt(0.6), 20)
        found.append(paired_difference(gaps, np.zeros(20), cluster).p < 0.05)
    assert 0.74 <= np.mean(found) <= 0.87


def test_more_of_anything_shows_less_and_some_tasks_show_nothing() -> None:
    usual = smallest_difference(24, cases=2, methods=7)
    assert usual is not None
    usually: dict[str, Any] = {"conditions": 24, "cases": 2, "methods": 7}
    for more in ({"conditions": 48}, {"cases": 4}, {"seeds": 3}, {"methods": 2}):
        other = smallest_difference(**(usually | more))
        assert other is not None and other < usual
    assert smallest_difference(5, cases=1) is None and smallest_difference(2, cases=2) is None
    assert smallest_difference(5, cases=2) is not None, "ten cases of these conditions"
    needed = conditions_needed(usual, cases=2, methods=7)
    assert needed == 24
    assert conditions_needed(0.001) is None
    with pytest.raises(ValueError, match="equal methods"):
        conditions_needed(0)
