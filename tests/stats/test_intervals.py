"""Specification of :mod:`vapbench.stats.intervals`."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapbench.stats.intervals import clustered_mean, mean_within, t_critical

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 17, 47, 48, 500, 999])
def test_t_critical_agrees_with_scipy(confidence: float, degrees: int) -> None:
    special = pytest.importorskip("scipy.special")
    assert t_critical(confidence, degrees) == pytest.approx(special.stdtrit(degrees, (1 + confidence) / 2), rel=1e-9)


def test_t_critical_reproduces_the_printed_table() -> None:
    assert [round(t_critical(0.95, d), 3) for d in (1, 2, 5, 10, 30)] == [12.706, 4.303, 2.571, 2.228, 2.042]


def test_one_value_per_cluster_is_the_t_interval_of_the_mean() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = [61.2, 70.1, 55.5, 83.9, 77.0, 64.4, 90.3]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    estimate = clustered_mean(values, list(range(len(values))))
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert estimate.standard_error == pytest.approx(stats.sem(values), rel=1e-12)
    assert (estimate.n, estimate.clusters, estimate.reason) == (7, 7, "")


def test_hand_computed_clusters() -> None:
    # Mean 3; cluster sums of deviations: (1-3)+(2-3) = -3, (3-3) = 0, (4-3)+(5-3) = 3.
    # Variance = 3/2 * (9 + 0 + 9) / 25 = 1.08; t with 2 degrees of freedom is 4.302653.
    estimate = clustered_mean([1, 2, 3, 4, 5], ["a", "a", "b", "c", "c"])
    assert estimate.mean == 3
    assert estimate.standard_error == pytest.approx(math.sqrt(1.08), rel=1e-12)
    assert estimate.high == pytest.approx(3 + 4.30265272991 * math.sqrt(1.08), rel=1e-9)


def test_copies_within_a_condition_add_no_knowledge() -> None:
    once = clustered_mean([1.0, 4.0, 6.0, 2.0], "abcd")
    thrice = clustered_mean([1.0, 4.0, 6.0, 2.0] * 3, "abcd" * 3)
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), rel=1e-12)


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_cases_changes_no_digit(values: list[float], shuffler: random.Random) -> None:
    pairs = [(value, index % 3) for index, value in enumerate(values)]
    shuffled = shuffler.sample(pairs, len(pairs))
    forward, other = (clustered_mean([v for v, _ in p], [c for _, c in p]) for p in (pairs, shuffled))
    assert forward == other


@given(VALUES, st.floats(0.1, 100), st.floats(-100, 100))
def test_scaling_and_shifting_go_through(values: list[float], scale: float, shift: float) -> None:
    clusters = [index % 3 for index in range(len(values))]
    plain = clustered_mean(values, clusters)
    moved = clustered_mean([scale * value + shift for value in values], clusters)
    assert moved.mean == pytest.approx(scale * plain.mean + shift, rel=1e-9, abs=1e-6)
    if plain.standard_error and moved.standard_error:
        assert moved.standard_error == pytest.approx(scale * plain.standard_error, rel=1e-6, abs=1e-6)


def test_one_condition_gives_no_interval_and_says_so() -> None:
    estimate = clustered_mean([1.0, 2.0, 3.0], ["a"] * 3)
    assert estimate.mean == 2
    assert estimate.low is estimate.high is estimate.standard_error is None
    assert "one condition" in estimate.reason


@pytest.mark.parametrize("values", [[0.1] * 7, [1.0] * 7, [0.1, 0.3, 0.3, 0.1]])
def test_no_spread_between_conditions_is_no_certainty(values: list[float]) -> None:
    clusters = list(range(7)) if len(values) == 7 else ["a", "a", "b", "b"]
    estimate = clustered_mean(values, clusters)
    assert estimate.low is None and "do not differ" in estimate.reason


@pytest.mark.parametrize(
    ("values", "clusters", "confidence"),
    [([], [], 0.95), ([1.0], [], 0.95), ([math.nan, 1.0], "ab", 0.95), ([1.0, 2.0], "ab", 1.0)],
)
def test_nonsense_is_refused(values: list[float], clusters: list[str], confidence: float) -> None:
    with pytest.raises(ValueError):
        clustered_mean(values, clusters, confidence)


def test_intervals_cover_as_often_as_they_claim() -> None:
    # 24 conditions of two cases that share half their variance, as in the published benchmark: 48 cases.
    generator = random.Random(20510)
    clusters = [index // 2 for index in range(48)]
    covered, naive, trials = 0, 0, 1500
    for _ in range(trials):
        shared = [generator.gauss(0, 1) for _ in range(24)]
        values = [shared[cluster] + generator.gauss(0, 1) for cluster in clusters]
        robust, independent = clustered_mean(values, clusters), clustered_mean(values, range(48))
        assert robust.low is not None and robust.high is not None
        assert independent.low is not None and independent.high is not None
        covered += robust.low <= 0 <= robust.high
        naive += independent.low <= 0 <= independent.high
    assert 0.935 <= covered / trials <= 0.965
    assert naive / trials < 0.92, "ignoring the clusters must be seen to fail"


def test_seeds_are_averaged_within_a_case() -> None:
    assert mean_within([("a", 1.0), ("b", 5.0), ("a", 3.0)]) == {"a": 2.0, "b": 5.0}
