"""Specification of agreement and of the signs of careless voting."""

from __future__ import annotations

import numpy as np
import pytest

from tests.stats.designs import seven_methods
from vapbench.stats.agreement import Level, canonical_outcomes, krippendorff_alpha, rater_agreement, raw_agreement
from vapbench.stats.quality import circular_triads, side_bias
from vapbench.stats.votes import LEFT, RIGHT, TIE, PairVotes

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", example C: four observers, twelve units.
TEXTBOOK = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def long_form(text: str) -> tuple[list[int], list[int], list[float]]:
    cells = [
        (unit, rater, float(value))
        for rater, line in enumerate(text.split("\n")[1:-1])
        for unit, value in enumerate(line.split())
        if value != "."
    ]
    units, raters, values = zip(*cells, strict=True)
    return list(units), list(raters), list(values)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("interval", 0.849)])
def test_alpha_of_the_textbook(level: Level, alpha: float) -> None:
    assert krippendorff_alpha(*long_form(TEXTBOOK), level).alpha == pytest.approx(alpha, abs=5e-4)


@pytest.mark.parametrize("level", ["nominal", "interval"])
def test_alpha_agrees_with_the_krippendorff_package(level: Level) -> None:
    package = pytest.importorskip("krippendorff")
    rng = np.random.default_rng(2)
    table = np.clip(np.round(rng.normal(size=60) + rng.normal(size=(9, 60))), -1, 1)
    table[rng.random(table.shape) < 0.6] = np.nan
    rater, unit = np.nonzero(~np.isnan(table))
    ours = krippendorff_alpha(unit, rater, table[rater, unit], level)
    assert ours.alpha == pytest.approx(package.alpha(table, level_of_measurement=level), abs=1e-12)
    assert ours.low is not None and ours.high is not None and ours.alpha is not None
    assert ours.low < ours.alpha < ours.high


def test_alpha_of_coin_tosses_is_zero_and_its_intervals_say_so_in_95_of_100_studies() -> None:
    unit, rater = np.repeat(np.arange(200), 3), np.tile(np.arange(3), 200) + 3 * (np.repeat(np.arange(200), 3) % 10)
    held = 0
    for seed in range(200):
        alpha = krippendorff_alpha(unit, rater, np.random.default_rng(seed).integers(0, 2, 600))
        assert alpha.low is not None and alpha.high is not None and alpha.high - alpha.low < 0.3
        held += alpha.low < 0 < alpha.high
    assert 180 <= held <= 198


def test_full_agreement_is_as_certain_as_the_raters_are_many() -> None:
    unit, rater = (axis.ravel() for axis in np.indices((40, 6)))
    alpha = krippendorff_alpha(unit, rater, unit % 2)
    assert (alpha.alpha, alpha.high) == (1, 1)
    assert alpha.low == pytest.approx(1 - (1 - 0.05 ** (1 / 6)) / 0.5), "as six may miss"


def test_four_raters_give_no_interval() -> None:
    unit, rater = (axis.ravel() for axis in np.indices((40, 4)))
    alpha = krippendorff_alpha(unit, rater, (unit + (rater == 0)) % 2)
    assert alpha.alpha is not None and alpha.low is None
    assert alpha.reason == "4 raters give no interval; at least 5 are needed"


def test_no_alpha_where_nothing_could_disagree() -> None:
    assert krippendorff_alpha([0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1]).reason == "every vote is the same"
    assert krippendorff_alpha([0, 1], [0, 1], [1, 0]).reason == "no unit has two votes"


def test_repeated_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        krippendorff_alpha([0, 0], [5, 5], [1, 1])


def test_sides_do_not_matter_for_agreement() -> None:
    votes = PairVotes(2, np.array([0, 1]), np.array([1, 0]), np.array([LEFT, RIGHT]), np.arange(2), np.zeros(2, int))
    units, values = canonical_outcomes(votes)
    assert len(set(units)) == 1 and values.tolist() == [1, 1]
    assert raw_agreement(units, votes.rater, values) == 1


def test_a_contrarian_stands_out() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 60)
    said = np.where(rng.random((12, 60)) < 0.85, truth, 1 - truth)
    said[4] = 1 - truth
    rater, unit = np.indices(said.shape)
    result = rater_agreement(unit.ravel(), rater.ravel(), said.ravel())
    assert result.robust_z[4] < -3 and result.raters[4] == 4
    assert (np.delete(result.robust_z, 4) > -3).all()


def test_side_bias_is_found_and_its_interval_is_clustered() -> None:
    votes = seven_methods()
    assert (fair := side_bias(votes)).low is not None and fair.low < 0.53
    always = votes.where(votes.outcome == LEFT)
    one_sided = side_bias(always)
    assert one_sided.estimate == one_sided.high == 1
    fewest = min(len(set(always.rater)), len(set(always.item)))
    assert one_sided.low == pytest.approx(0.05 ** (1 / fewest)), "no variance is seen, but not everything is known"
    with pytest.raises(ValueError, match="tie"):
        side_bias(votes.where(votes.outcome == TIE))


def test_circles_are_counted_per_rater() -> None:
    left, right = np.array([0, 1, 2] * 2), np.array([1, 2, 0] * 2)
    outcome = np.array([LEFT, LEFT, LEFT, LEFT, LEFT, RIGHT])
    triads = circular_triads(PairVotes(3, left, right, outcome, np.repeat([7, 9], 3), np.zeros(6, int)))
    assert triads.raters.tolist() == [7, 9]
    assert triads.complete.tolist() == [1, 1] and triads.circular.tolist() == [1, 0]


def test_coin_tosses_make_one_triad_in_four_circular() -> None:
    rng = np.random.default_rng(0)
    left, right = np.tile([0, 1, 2], 2000), np.tile([1, 2, 0], 2000)
    votes = PairVotes(
        3, left, right, rng.choice([LEFT, RIGHT], 6000), np.zeros(6000, int), np.repeat(np.arange(2000), 3)
    )
    assert circular_triads(votes).circular[0] / 2000 == pytest.approx(0.25, abs=0.03)
