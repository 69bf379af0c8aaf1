"""Specification of the sign-flip engine: exact, joint, and of one mind with its intervals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from vapbench.stats.arrays import FloatArray
from vapbench.stats.flips import flip_interval, flip_ranks, flip_tests, least_p


def brute_force(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """p-values and step-down adjusted ones, by the definition, all 2^C patterns."""
    norm = np.sqrt((sums**2).sum(axis=0))
    observed = np.abs(sums.sum(axis=0)) / norm
    flipped = np.array([np.abs(np.array(signs) @ sums) / norm for signs in product((1, -1), repeat=len(sums))])
    p = (flipped >= observed - 1e-9).mean(axis=0)
    adjusted, least = np.empty(len(norm)), 0.0
    for k in np.argsort(-observed):
        rest = observed <= observed[k] + 1e-12
        least = max(least, (flipped[:, rest].max(axis=1) >= observed[k] - 1e-9).mean())
        adjusted[k] = least
    return p, adjusted


@pytest.mark.parametrize("clusters", [4, 7, 10])
def test_tests_are_what_their_definition_says(clusters: int) -> None:
    rng = np.random.default_rng(clusters)
    sums = np.round(rng.normal(size=(clusters, 6)) + np.linspace(0, 1.5, 6) + rng.normal(size=(clusters, 1)), 1)
    found = flip_tests(sums)
    p, adjusted = brute_force(sums)
    assert found.exact
    assert found.p == pytest.approx(p) and found.adjusted == pytest.approx(adjusted)


def test_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    x = np.random.default_rng(0).normal(0.6, 1, 12)
    theirs = stats.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf)
    # scipy doubles the smaller tail; of a symmetric distribution that is the same.
    assert flip_tests(x[:, None]).p[0] == pytest.approx(theirs.pvalue, rel=1e-9)


def test_drawn_patterns_come_near_the_exact_p_and_are_never_zero() -> None:
    x = np.random.default_rng(1).normal(0.5, 1, 17)
    found = flip_tests(x[:, None])
    signs = 1 - 2 * ((np.arange(2**17)[:, None] >> np.arange(17)) & 1)
    assert not found.exact
    assert found.p[0] == pytest.approx((np.abs(signs @ x) >= abs(x.sum()) - 1e-9).mean(), abs=0.01)
    assert flip_tests(np.ones((40, 1))).p[0] == pytest.approx(1 / 10_001)


def test_differences_that_are_always_zero_are_no_evidence_and_disturb_nothing() -> None:
    x = np.random.default_rng(3).normal(1, 1, (7, 1))
    with_zero = flip_tests(np.hstack([x, np.zeros((7, 1))]))
    assert with_zero.p[1] == with_zero.adjusted[1] == 1
    assert with_zero.adjusted[0] == flip_tests(x).p[0]


def test_many_columns_cost_less_than_holm_where_conditions_are_few() -> None:
    rng = np.random.default_rng(4)
    sums = np.hstack([np.full((7, 1), 1.0) + rng.normal(0, 0.05, (7, 1)), rng.normal(size=(7, 6))])
    found = flip_tests(sums)
    assert found.p[0] == 2 / 2**7 and found.adjusted[0] < 0.05 < 7 * found.p[0]


@pytest.mark.parametrize(("clusters", "methods"), [(6, 3), (9, 6), (24, 5), (20, 101)])
def test_ranks_follow_from_tests_of_all_pairs(clusters: int, methods: int) -> None:
    rng = np.random.default_rng(methods)
    scores = np.round(rng.normal(50, 1, (clusters, methods)) + np.arange(methods) * 3 / methods, 2)
    ranks = flip_ranks(scores)
    first, second = np.triu_indices(methods, 1)
    gaps = scores[:, first] - scores[:, second]
    if methods > 100:
        # So many pairs that fewer patterns are drawn: the same ones for the tests.
        assert len(set(ranks.worst)) > 1 and min(ranks.best) == 1 and max(ranks.worst) == methods
        return
    certain = flip_tests(gaps).adjusted < 0.05
    worse = [sum(certain[k] and (m == second[k] if gaps[:, k].sum() > 0 else m == first[k])
                 for k in range(len(first))) for m in range(methods)]  # fmt: skip
    assert list(ranks.best) == [1 + count for count in worse]


@pytest.mark.parametrize("clusters", [5, 6, 7, 11, 20])
def test_the_interval_excludes_zero_exactly_where_the_test_rejects(clusters: int) -> None:
    rng = np.random.default_rng(clusters)
    rejected = 0
    for _ in range(150):
        sizes = rng.integers(1, 4, clusters).astype(float)
        sums = np.round(rng.normal(0.5, 1, clusters), 1) * sizes
        ends, p = flip_interval(sums, sizes), flip_tests(sums[:, None]).p[0]
        assert (p < 0.05) == (ends is not None and not ends[0] <= 0 <= ends[1])
        rejected += p < 0.05
    assert rejected > 0 or clusters < 6


def test_the_interval_is_the_set_of_means_that_are_not_rejected() -> None:
    rng = np.random.default_rng(8)
    sizes = rng.integers(1, 4, 9).astype(float)
    sums = rng.normal(size=9) * sizes
    ends = flip_interval(sums, sizes)
    assert ends is not None
    for theta in np.linspace(ends[0] - 0.2, ends[1] + 0.2, 101):
        kept = flip_tests((sums - theta * sizes)[:, None]).p[0] >= 0.05
        assert kept == (ends[0] <= theta <= ends[1]) or min(abs(theta - ends[0]), abs(theta - ends[1])) < 1e-9


def test_too_few_clusters_have_no_interval() -> None:
    assert flip_interval(np.arange(5.0), np.ones(5)) is None and least_p(5) > 0.05 > least_p(6)


def test_equal_methods_are_rarely_told_apart() -> None:
    """Family-wise error of ranks, nine equal methods with skewed scores; max-t by the normal distribution had .26."""
    rng = np.random.default_rng(5)
    wrong = [len(set(flip_ranks(rng.exponential(size=(7, 9)) + rng.normal(size=(7, 1))).best)) > 1 for _ in range(400)]
    assert 0.02 <= np.mean(wrong) <= 0.08
