"""The forecast: more of an effect is found more often, and better known the more people vote."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from tests.study.conftest import make_protocol
from vapbench.study.analysis.text import check_share_lines, underpowered
from vapbench.study.design.assign import Design
from vapbench.study.design.planning import idle_rules
from vapbench.study.design.simulation import Assumptions, Forecast, Power, forecast, simulate_sessions
from vapbench.study.protocol import Exclusions

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
    weak = Forecast((Power(0.55, 0.05, 0.2), Power(0.75, 0.41, 0.2)), 40, 40, 2, 3, 0.02, (None, 80))
    (line, _) = underpowered(weak)
    assert "even 75:25 is told apart in 41 of 100" in line and "--votes-per-cell" in line
    assert underpowered(replace(weak, powers=(Power(0.75, 0.8, 0.2),))) == []


def test_the_closed_form_agrees_with_the_simulation() -> None:
    protocol = make_protocol(cases=48, trials=24, raters=30)
    needed = forecast(protocol, replace(QUICK, replicates=1)).raters_needed[3]
    assert needed is not None
    found = forecast(protocol.model_copy(update={"raters": needed}), replace(QUICK, designs=2, replicates=40))
    assert 0.7 < found.powers[3].power < 0.92


def test_what_no_number_of_raters_finds_takes_more_cases() -> None:
    few, many = (forecast(make_protocol(cases=n, trials=12), QUICK).raters_needed for n in (8, 48))
    assert few[0] is None and many[4] is not None
    assert list(many[2:]) == sorted(many[2:], reverse=True, key=lambda raters: raters or 10_000)


def test_whoever_is_excluded_leaves_room_for_others() -> None:
    design = Design(make_protocol(cases=12, trials=20))
    histories = simulate_sessions(design, 30, 0.0, np.random.default_rng(0), excluded=0.3)
    kept = [history for history in histories if history]
    assert 12 < len(kept) < 28
    votes = Counter(trial.cell for history in kept for trial in history if trial.role == "main")
    assert min(votes[cell.id] for cell in design.cells) >= design.protocol.votes_per_cell


def test_checks_that_take_more_than_a_third_are_warned_of() -> None:
    (line,) = check_share_lines(1 - 7 / 12)
    assert line.startswith("Warning: 42% of a session's")
    (line,) = check_share_lines(1 - 20 / 25)
    assert line.startswith("20% of")


def test_too_few_raters_are_told_so() -> None:
    assert "at least 5" in forecast(make_protocol(cases=8, trials=12, raters=3), QUICK).reason


def test_a_study_that_everybody_may_leave_has_a_forecast() -> None:
    nobody = Assumptions(excluded=0.9999, designs=1, replicates=1)
    found = forecast(make_protocol(raters=1), nobody)
    assert (found.votes, found.least_per_cell, found.most_per_cell, found.powers) == (0, 0, 0, ())
    assert "too few raters" in found.reason
    assert {forecast(make_protocol(raters=1), seed=seed).powers for seed in range(4)} == {()}


def test_a_rule_that_a_session_has_too_few_trials_for_is_said_to_be_idle() -> None:
    few = make_protocol(cases=8, trials=3, repeats=1, exclusions=Exclusions(gold_trials=7))
    assert [rule.partition(" never")[0] for rule in idle_rules(few)] == [
        "the rule on known answers",
        "the rule on repeats",
        "the rule on answers for one side",
    ]
    assert "at least 7, and a session has 6 (study.yaml: exclusions.gold_trials)" in idle_rules(few)[0]
    assert idle_rules(make_protocol(cases=16, trials=24)) == []
