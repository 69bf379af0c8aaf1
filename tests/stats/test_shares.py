"""Specification of choice and win shares, their intervals, and ranks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stats.designs import SEVEN, seven_methods
from vapbench.stats.clusters import Covariance, share_interval, two_way_covariance
from vapbench.stats.davidson import fit_davidson
from vapbench.stats.intervals import clustered_share, edge_reach, t_critical
from vapbench.stats.shares import choice_share, mean_win_rate, print_shares, win_share
from vapbench.stats.simulate import simulate_choices
from vapbench.stats.strengths import rank_intervals
from vapbench.stats.votes import LEFT, TIE, ChoiceVotes, PairVotes, choices

PAPER = {"VACE": 0.6, "depth": 0.7, "flow": 1.8, "i2v": 6.9, "lora": 13.1, "commercial": 38.2, "vap": 38.7}

CLUSTERS = (("raters", 30), ("items", 30))


def crossed(raters: int = 20, items: int = 48, seed: int = 0) -> ChoiceVotes:
    rng = np.random.default_rng(seed)
    return simulate_choices(SEVEN, np.repeat(np.arange(raters), items), np.tile(np.arange(items), raters), rng)


def test_the_papers_column_comes_out_of_selections() -> None:
    # 40 raters on 48 items: 1,920 selections, as near to the published percentages as whole votes can be.
    wanted = np.array(list(PAPER.values())) / 100 * 1920
    counts = np.floor(wanted).astype(int)
    counts[np.argsort(counts - wanted)[: 1920 - counts.sum()]] += 1
    chosen = np.repeat(np.arange(7), counts)
    chosen = np.random.default_rng(0).permutation(chosen)
    shares = choice_share(choices(chosen, 7, np.repeat(np.arange(40), 48), np.tile(np.arange(48), 40)))
    assert print_shares(shares.share) == [f"{value}" for value in PAPER.values()]
    # What the paper prints first and second cannot be told apart.
    gap = shares.difference(6, 5)
    assert gap.low is not None and gap.high is not None and gap.low < 0 < gap.high


def test_every_item_weighs_the_same_however_often_it_was_judged() -> None:
    votes = choices([0, 1, 1, 1, 1], 2, np.arange(5), np.array([0, 1, 1, 1, 1]))
    shares = choice_share(votes)
    assert shares.share.tolist() == [0.5, 0.5]
    assert shares.pooled.tolist() == [0.2, 0.8]


def test_ties_split_the_vote() -> None:
    credit = np.array([[0.5, 0.5, 0], [1, 0, 0]])
    assert choice_share(ChoiceVotes(credit, np.arange(2), np.zeros(2, int))).share.tolist() == [0.75, 0.25, 0]


def test_one_vote_per_rater_and_item_is_the_textbook_variance() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 1))
    covariance = two_way_covariance((x - x.mean()) / 50, np.arange(50), rng.permutation(50))
    # R/(R-1) + I/(I-1) - 1 of the uncorrected variance of the mean.
    assert covariance.variance([1]) == pytest.approx(float(x.var()) / 50 * (2 * 50 / 49 - 1))


def test_two_way_variance_by_hand() -> None:
    # Raters 0, 1 on items 0, 1: sums by rater 3, -3; by item 1, -1; the four cells 1, 4, 4, 1 squared.
    scores = np.array([[1.0], [2.0], [0.0], [-3.0]])
    covariance = two_way_covariance(scores, [0, 0, 1, 1], [0, 1, 0, 1])
    assert covariance.matrix[0, 0] == pytest.approx(2 * (9 + 9) + 2 * (1 + 1) - (1 + 4 + 0 + 9))
    assert covariance.floor[0, 0] == pytest.approx(14)


def test_intervals_stay_inside_and_have_a_bound_at_the_edge() -> None:
    index = np.arange(600)
    votes = choices((index // 20 + index % 20) % 2, 3, index % 20, index // 20)
    never = choice_share(votes).intervals[2]
    assert never.estimate == never.low == 0
    # Twenty raters, thirty items: what twenty independent clusters may have missed.
    assert never.high == pytest.approx(1 - 0.05 ** (1 / 20), rel=1e-9)
    for interval in choice_share(crossed()).intervals:
        assert interval.low is not None and interval.high is not None
        assert 0 < interval.low < interval.estimate < interval.high < 1


def test_design_effect_shows_that_votes_are_not_independent() -> None:
    assert choice_share(crossed()).design_effect[0] > 2


def test_pairwise_wins_cannot_exceed_the_share_of_pairs() -> None:
    left, right = np.triu_indices(7, 1)
    # Method 0 wins everything.
    votes = PairVotes(7, left, right, np.full(21, LEFT), np.arange(21) % 6, np.arange(21) % 6)
    shares = win_share(votes)
    assert shares.share[0] == pytest.approx(2 / 7) == shares.bound[0]
    assert mean_win_rate(votes).share[0] == 1


def test_win_shares_sum_to_one_and_win_rates_average_one_half() -> None:
    votes = seven_methods()
    assert win_share(votes).share.sum() == pytest.approx(1)
    rates = mean_win_rate(votes)
    assert rates.share.mean() == pytest.approx(0.5)
    assert rates.share[0] > rates.share[6]


def test_meeting_weak_methods_more_often_gains_no_win_rate() -> None:
    # 0 beats 2 always and ties with 1; 1 does the same but met 2 only twice.
    rows = [(0, 2, LEFT)] * 10 + [(1, 2, LEFT)] * 2 + [(0, 1, TIE)] * 4
    left, right, outcome = (np.array(column) for column in zip(*rows, strict=True))
    votes = PairVotes(3, left, right, outcome, np.arange(16) % 8, np.arange(16) % 8)
    assert mean_win_rate(votes).share.tolist() == [0.75, 0.75, 0]
    assert win_share(votes).share[0] > win_share(votes).share[1]


def test_few_items_give_no_interval() -> None:
    interval = choice_share(crossed(items=3)).intervals[0]
    assert interval.low is None and "3 items" in interval.reason


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=12), st.integers(0, 2))
def test_printed_shares_always_sum_to_a_hundred(weights: list[float], digits: int) -> None:
    shares = [weight / math.fsum(weights) for weight in weights]
    printed = print_shares(shares, digits)
    assert sum(round(float(text) * 10**digits) for text in printed) == 100 * 10**digits
    for text, share in zip(printed, shares, strict=True):
        assert abs(float(text) - 100 * share) < 10.0**-digits + 1e-9


def test_ranks_of_a_clear_order() -> None:
    ranks = rank_intervals(np.array([9.0, 5.0, 0.0]), Covariance(np.eye(3) * 0.01, np.eye(3) * 0.01, CLUSTERS))
    assert [ranks.text(m) for m in range(3)] == ["1", "2", "3"]
    assert ranks.first[0] == 1


def test_ranks_of_what_cannot_be_told_apart_are_shared() -> None:
    ranks = rank_intervals(np.array([5.0, 4.9, 0.0]), Covariance(np.eye(3) * 0.1, np.eye(3) * 0.1, CLUSTERS))
    assert [ranks.text(m) for m in range(3)] == ["1-2", "1-2", "3"]
    assert 0.5 < ranks.first[0] < 0.8


def test_two_methods_need_the_ordinary_t_interval() -> None:
    # One pair is no family: certainty must begin where the t interval of the difference excludes 0.
    covariance = Covariance(np.eye(2) / 2, np.eye(2) / 2, (("raters", 20),))
    edge = t_critical(0.95, 19)
    assert rank_intervals(np.array([edge * 1.03, 0]), covariance).best == (1, 2)
    assert rank_intervals(np.array([edge * 0.97, 0]), covariance).best == (1, 1)


def test_ranks_are_seeded_and_without_clusters_nothing_is_certain() -> None:
    fit = fit_davidson(seven_methods())
    assert fit.ranks(seed=3).first.tolist() == fit.ranks(seed=3).first.tolist()
    unknown = rank_intervals(np.array([9.0, 0.0]), Covariance(np.eye(2), np.eye(2), (("raters", 3), ("items", 30))))
    assert [unknown.text(m) for m in range(2)] == ["1-2", "1-2"] and "3 raters" in unknown.reason


def test_ranks_of_a_hundred_methods_take_no_seconds() -> None:
    ranks = rank_intervals(np.arange(100.0), Covariance(np.eye(100) * 0.01, np.eye(100) * 0.01, CLUSTERS))
    assert ranks.best == tuple(range(100, 0, -1))


def test_ties_alone_have_shares_without_intervals() -> None:
    """Half and half of nothing but ties is no certainty: [50, 50] would say that everything is known."""
    left, right = np.tile([0, 1], 20), np.tile([1, 0], 20)
    votes = PairVotes(2, left, right, np.full(40, TIE), np.arange(40) % 8, np.arange(40) // 8)
    for shares in (win_share(votes), mean_win_rate(votes)):
        assert shares.share.tolist() == pytest.approx([0.5, 0.5])
        assert all(known.low is None and "alike" in known.reason for known in shares.intervals)


def test_nothing_and_everything_are_bounded_by_clusters_alike() -> None:
    """Never chosen, always left, every case yes: one bound for all of them, by the number of clusters."""
    votes = choices(np.zeros(60, dtype=int), 2, np.arange(60) % 10, np.arange(60) // 10)
    never = choice_share(votes).intervals[1]
    assert (never.low, never.high) == pytest.approx((0, edge_reach(6)))
    assert share_interval(np.ones(60), np.arange(60) % 10, np.arange(60) // 10).low == pytest.approx(1 - edge_reach(6))
    assert clustered_share([1.0] * 60, [i // 10 for i in range(60)]).low == pytest.approx(1 - edge_reach(6))
