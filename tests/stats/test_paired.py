"""Specification of paired comparisons, adjustment for many tests, and power."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapbench.stats.multiplicity import holm
from vapbench.stats.paired import bootstrap_mean, fair_coin_p, mcnemar, paired_difference, sign_flip
from vapbench.stats.power import design_effect, votes_for_shares, votes_per_pair


def test_exact_sign_flip_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    x = np.random.default_rng(0).normal(0.6, 1, 12)
    theirs = stats.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf)
    # scipy doubles the smaller tail; of a symmetric distribution that is the same.
    assert sign_flip(x, np.arange(12)) == (pytest.approx(theirs.pvalue, rel=1e-9), True)


def test_monte_carlo_comes_near_the_exact_p() -> None:
    x = np.random.default_rng(1).normal(0.5, 1, 17)
    p, exact = sign_flip(x, np.arange(17), 40_000)
    signs = 1 - 2 * ((np.arange(2**17)[:, None] >> np.arange(17)) & 1)
    assert not exact
    assert p == pytest.approx((np.abs(signs @ x) >= abs(x.sum()) - 1e-9).mean(), abs=0.006)


def test_conditions_flip_as_wholes() -> None:
    # Two conditions: however many cases they have, only four patterns exist, and half are as far out.
    p, exact = sign_flip(np.ones(40), np.repeat([0, 1], 20))
    assert (p, exact) == (0.5, True)


def test_no_difference_is_no_evidence() -> None:
    result = paired_difference([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0, 1, 2])
    assert result.p == 1 and result.ties == 3 and result.low is None


def test_hand_computed_comparison() -> None:
    a, b = [3.0, 4.0, 5.0, 9.0, 6.0, 7.0], [1.0, 3.0, 2.0, 5.0, 6.0, 8.0]
    result = paired_difference(a, b, ["x", "x", "y", "z", "v", "w"])
    assert (result.mean, result.median) == (1.5, 1.5)
    assert (result.wins, result.losses, result.ties, result.n, result.clusters) == (4, 1, 1, 6, 5)
    assert result.low is not None and result.high is not None and result.low < 1.5 < result.high
    # Cluster sums 3, 3, 4, 0, -1: of 16 patterns of the four that differ, those with |sum| >= 9 are 9, 11 both ways.
    assert result.p == pytest.approx(4 / 16) and result.exact


def test_bca_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    x = np.random.default_rng(3).exponential(size=30)
    # Unseeded, for scipy 1.15 renamed the argument; limits vary by 0.002 between runs.
    theirs = stats.bootstrap((x,), np.mean, method="BCa", n_resamples=50_000).confidence_interval
    assert bootstrap_mean(x, np.arange(30), replicates=50_000) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_clustered_interval_is_wider_than_one_that_ignores_conditions() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=24), 8) + rng.normal(size=192) * 0.1
    clustered, naive = bootstrap_mean(x, np.arange(192) // 8), bootstrap_mean(x, np.arange(192))
    assert clustered[0] is not None and naive[0] is not None
    assert clustered[1] - clustered[0] > 2 * (naive[1] - naive[0])


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


def test_mcnemar_is_the_exact_binomial_test() -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = np.repeat([1, 0, 1, 0], [9, 2, 30, 7]), np.repeat([0, 1, 1, 0], [9, 2, 30, 7])
    result = mcnemar(a, b)
    assert (result.only_a, result.only_b) == (9, 2)
    assert result.p == pytest.approx(stats.binomtest(2, 11).pvalue, rel=1e-12)
    assert mcnemar([1, 0], [1, 0]).p == 1
    with pytest.raises(ValueError, match="yes-or-no"):
        mcnemar([0.5], [1])


@pytest.mark.parametrize(("heads", "tosses"), [(0, 0), (0, 1), (7, 20), (20, 20), (2_450, 5_000)])
def test_a_fair_coin_has_the_exact_binomial_p(heads: int, tosses: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    known = stats.binomtest(heads, tosses).pvalue if tosses else 1.0
    assert fair_coin_p(heads, tosses) == fair_coin_p(tosses - heads, tosses) == pytest.approx(known, rel=1e-12)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.1, float("nan")])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_raw_and_the_bonferroni_p(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-15).all()
    assert (adjusted <= np.minimum(1, np.array(p) * len(p)) + 1e-12).all()
    assert (np.argsort(adjusted, kind="stable") == np.argsort(p, kind="stable")).all() or len(set(adjusted)) < len(p)


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
