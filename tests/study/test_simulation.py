"""The forecast: more of an effect is found more often, and better known the more people vote."""

from __future__ import annotations

from dataclasses import replace

from tests.study.conftest import make_protocol
from vapbench.study.analysis.text import underpowered
from vapbench.study.design.simulation import Assumptions, Forecast, Power, forecast

QUICK = Assumptions(designs=1, replicates=12)


def test_power_grows_with_the_effect_and_intervals_shrink_with_raters() -> None:
    few = forecast(make_protocol(cases=16, trials=24, raters=10), QUICK)
    many = forecast(make_protocol(cases=16, trials=24, raters=40), QUICK)
    assert [power.win_rate for power in many.powers] == [0.55, 0.6, 0.65, 0.7, 0.75]
    assert many.powers[-1].power > many.powers[0].power
    assert many.powers[-1].power > 0.5
    assert all(b.half_width < a.half_width for a, b in zip(few.powers, many.powers, strict=True))
    assert many.least_per_cell >= many.most_per_cell - 3
    assert many.left_share < 0.05
    assert many.votes_per_pair * 6 == many.votes


def test_equal_seeds_give_equal_forecasts() -> None:
    protocol = make_protocol(cases=8, kind="best_of_n", ties=False, trials=8, raters=8)
    quick = Assumptions(designs=1, replicates=2)
    assert forecast(protocol, quick, seed=3) == forecast(protocol, quick, seed=3)


def test_a_study_that_would_miss_a_large_difference_is_said_to() -> None:
    weak = Forecast((Power(0.55, 0.05, 0.2), Power(0.75, 0.41, 0.2)), 40, 40, 2, 3, 0.02)
    (line, _) = underpowered(weak)
    assert "even 75:25 is told apart in 41 of 100" in line and "--votes-per-cell" in line
    assert underpowered(replace(weak, powers=(Power(0.75, 0.8, 0.2),))) == []


def test_too_few_raters_are_told_so() -> None:
    assert "at least 5" in forecast(make_protocol(cases=8, trials=12, raters=3), QUICK).reason
