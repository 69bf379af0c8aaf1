"""Specification of :mod:`vapbench.stats.intervals`."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapbench.stats.bootstrap import bootstrap_t
from vapbench.stats.intervals import (
    _small_sample,
    clustered_mean,
    clustered_share,
    fixed_conditions,
    mean_within,
    score_ends,
    t_critical,
)

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
    assert estimate.low is not None and estimate.high is not None
    t = t_critical(0.95, 6) * estimate.standard_error
    assert (estimate.mean - t, estimate.mean + t) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert estimate.low <= expected.low and estimate.high >= expected.high, "the wider of it and bootstrap-t"
    assert estimate.standard_error == pytest.approx(stats.sem(values), rel=1e-12)
    assert (estimate.n, estimate.clusters, estimate.reason) == (7, 7, "")


def test_hand_computed_clusters() -> None:
    # Mean 3; cluster sums of deviations: (1-3)+(2-3) = -3, (3-3) = 0, (4-3)+(5-3) = 3; Q = (9 + 0 + 9) / 25.
    # Q is the quadratic form x' M x of the clusters' means, so its mean and variance are traces of M and M M.
    w = np.array([0.4, 0.2, 0.4])
    centre = np.eye(3) - w
    m = centre.T @ np.diag(w**2) @ centre
    estimate = clustered_mean([1, 2, 3, 4, 5], ["a", "a", "b", "c", "c"])
    assert estimate.mean == 3
    assert estimate.standard_error == pytest.approx(math.sqrt(18 / 25 * (w @ w) / np.trace(m)), rel=1e-12)
    assert _small_sample((1, 2, 2)) == pytest.approx(((w @ w) / np.trace(m), np.trace(m) ** 2 / np.trace(m @ m)))
    assert _small_sample((2,) * 9) == pytest.approx((9 / 8, 8)), "equal sizes: the textbook"


def test_the_cluster_robust_error_agrees_with_statsmodels() -> None:
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(12), 4)
    values = rng.normal(size=12)[cluster] + rng.normal(size=48)
    fit = api.OLS(values, np.ones(48)).fit(cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False})
    ours = clustered_mean(values.tolist(), cluster.tolist())
    assert ours.standard_error == pytest.approx(fit.bse[0] * math.sqrt(12 / 11), rel=1e-9)


@pytest.mark.parametrize(("yes", "n"), [(1, 10), (9, 10), (37, 48), (3, 500)])
def test_the_score_interval_agrees_with_statsmodels(yes: int, n: int) -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    theirs = proportion.proportion_confint(yes, n, method="wilson")
    assert score_ends(yes / n, n, NormalDist().inv_cdf(0.975)) == pytest.approx(theirs, abs=1e-9)


def test_a_share_always_has_an_interval_inside_its_range() -> None:
    clusters = [i // 2 for i in range(14)]
    for yes in range(15):
        values = [1.0] * yes + [0.0] * (14 - yes)
        share = clustered_share(values, clusters)
        assert share.low is not None and share.high is not None
        assert 0 <= share.low <= share.mean <= share.high <= 1 and share.high - share.low > 0.05
    everything = clustered_share([1.0] * 14, clusters)
    assert (everything.low, everything.high) == pytest.approx((0.05 ** (1 / 7), 1)), "seven clusters, not 14 cases"
    # Every condition says yes to one of two cases: no spread between them, and still no certainty.
    alike = clustered_share([0.0, 1.0] * 7, clusters)
    assert (alike.low, alike.high) == pytest.approx(score_ends(0.5, 14, t_critical(0.95, 6)))
    with pytest.raises(ValueError, match="between 0 and 1"):
        clustered_share([2.0], ["a"])


def test_bounded_scores_have_intervals_inside_their_bounds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = np.round(rng.beta(4, 0.3, 14), 2).tolist()
        known = clustered_mean(values, [i // 2 for i in range(14)], bounds=(0, 1))
        if known.low is not None and known.high is not None:
            assert 0 <= known.low < known.mean < known.high <= 1


def test_fixed_conditions_are_chosen_by_the_plan() -> None:
    assert fixed_conditions(["a", "a", "b", "b"]) and fixed_conditions(["a"] * 9)
    assert not fixed_conditions(["a", "b", "b"]), "a condition of one case has no spread within"
    assert not fixed_conditions([i // 2 for i in range(12)]), "six conditions are enough"


def test_bootstrap_t_of_skewed_values_reaches_further_on_the_long_side() -> None:
    rng = np.random.default_rng(2)
    sums = np.exp(rng.normal(size=12))
    below, above = bootstrap_t(sums.tolist(), [1] * 12)
    assert above > 1.5 * below > 0
    assert bootstrap_t(rng.permutation(sums).tolist(), [1] * 12) == (below, above)
    # By its definition, with draws of our own; then as a share between bounds.
    draws = rng.choice(sums, (40_000, 12))
    mean, errors = sums.mean(), draws.std(axis=1, ddof=1) / math.sqrt(12)
    ratios = (draws.mean(axis=1) - mean) / errors
    expected = np.quantile(ratios, [0.975, 0.025]) * [1, -1]
    assert (below, above) == pytest.approx(expected.tolist(), rel=0.15)
    top = float(sums.max()) + 1
    room = draws.mean(axis=1) * (top - draws.mean(axis=1)) / (mean * (top - mean))
    bounded = np.quantile(ratios * np.sqrt(room), [0.975, 0.025]) * [1, -1]
    assert bootstrap_t(sums.tolist(), [1] * 12, bounds=(0, top)) == pytest.approx(bounded.tolist(), rel=0.15)


def test_t_between_whole_degrees_is_near_and_never_too_low() -> None:
    special = pytest.importorskip("scipy.special")
    for degrees in (1.3, 2.5, 3.3, 5.7, 12.4):
        true = special.stdtrit(degrees, 0.975)
        assert true <= t_critical(0.95, degrees) < true * (1.01 if degrees > 3 else 1.2)


def test_copies_within_a_condition_add_no_knowledge() -> None:
    once = clustered_mean([1.0, 4.0, 6.0, 2.0], "abcd")
    thrice = clustered_mean([1.0, 4.0, 6.0, 2.0] * 3, "abcd" * 3)
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), rel=1e-12)


@settings(deadline=None)
@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_cases_changes_no_digit(values: list[float], shuffler: random.Random) -> None:
    pairs = [(value, index % 3) for index, value in enumerate(values)]
    shuffled = shuffler.sample(pairs, len(pairs))
    forward, other = (clustered_mean([v for v, _ in p], [c for _, c in p]) for p in (pairs, shuffled))
    assert forward == other


@settings(deadline=None)
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
    covered, naive, trials = 0, 0, 800
    for _ in range(trials):
        shared = [generator.gauss(0, 1) for _ in range(24)]
        values = [shared[cluster] + generator.gauss(0, 1) for cluster in clusters]
        robust, independent = clustered_mean(values, clusters), clustered_mean(values, range(48))
        assert robust.low is not None and robust.high is not None
        assert independent.low is not None and independent.high is not None
        covered += robust.low <= 0 <= robust.high
        naive += independent.low <= 0 <= independent.high
    assert 0.935 <= covered / trials <= 0.97
    assert naive / trials < 0.92, "ignoring the clusters must be seen to fail"


def test_seeds_are_averaged_within_a_case() -> None:
    assert mean_within([("a", 1.0), ("b", 5.0), ("a", 3.0)]) == {"a": 2.0, "b": 5.0}
