"""Assignment: every cell filled evenly, no side favoured, gold and repeats where the protocol says."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from tests.study.conftest import make_protocol
from vapbench.study.design.assign import Coverage, Design, RaterState, Trial, next_trial, trials_left
from vapbench.study.design.simulation import simulate_sessions
from vapbench.study.protocol import Protocol


def run(protocol: Protocol, raters: int, dropout: float = 0.0) -> tuple[Design, Coverage, list[RaterState]]:
    """All raters at once, in an order that changes from trial to trial, some leaving halfway."""
    design = Design(protocol)
    coverage = Coverage.empty(design)
    chance = random.Random(1)
    states = [RaterState(f"rater-{index}", index) for index in range(raters)]
    leaving = {index for index in range(raters) if chance.random() < dropout}
    active = list(range(raters))
    while active:
        index = chance.choice(active)
        state = states[index]
        trial = next_trial(design, coverage, state)
        if trial is None or (index in leaving and len(state.history) > trials_left(design, state)):
            active.remove(index)
            continue
        coverage.add(design, trial)
        states[index] = RaterState(state.rater, index, (*state.history, trial))
    return design, coverage, states


def main_trials(states: list[RaterState]) -> list[Trial]:
    return [trial for state in states for trial in state.history if trial.role == "main"]


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_cells_are_filled_evenly_and_sides_balanced(dropout: float) -> None:
    protocol = make_protocol()
    design, coverage, states = run(protocol, raters=14, dropout=dropout)
    assert coverage.taken.max() - coverage.taken.min() <= 1
    assert (abs(2 * coverage.first_left - coverage.taken) <= 1).all()
    left = Counter(trial.order[0] for trial in main_trials(states))
    shown = Counter(code for trial in main_trials(states) for code in trial.order)
    assert all(abs(left[code] / shown[code] - 0.5) < 0.05 for code in protocol.methods)
    if not dropout:
        assert all(trials_left(design, state) == 0 for state in states)
        assert coverage.missing(design) == 0


def test_no_rater_sees_a_cell_twice_but_in_repeats() -> None:
    _, _, states = run(make_protocol(), raters=6)
    for state in states:
        cells = [trial.cell for trial in state.history if trial.role == "main"]
        assert len(set(cells)) == len(cells)


def test_repeats_swap_sides_at_a_distance() -> None:
    protocol = make_protocol()
    _, _, states = run(protocol, raters=10)
    repeats = [(state, place) for state in states for place, t in enumerate(state.history) if t.role == "repeat"]
    assert len(repeats) == 10 * 2 * 2
    for state, place in repeats:
        trial = state.history[place]
        assert trial.repeats is not None
        source = state.history[trial.repeats]
        assert source.role == "main"
        assert place - trial.repeats >= protocol.session.repeat_distance
        assert (trial.order, trial.media) == (source.order[::-1], source.media[::-1])
        assert trial.cell == source.cell


def test_passes_are_separate_and_their_order_counterbalanced() -> None:
    _, _, states = run(make_protocol(), raters=4)
    for state in states:
        asked = [trial.question for trial in state.history]
        assert sum(a != b for a, b in pairwise(asked)) == 1
    assert Counter(state.history[0].question for state in states) == {"semantic": 2, "overall": 2}


def test_training_comes_first_and_gold_is_spread() -> None:
    _, _, states = run(make_protocol(), raters=8)
    for state in states:
        half = [trial for trial in state.history if trial.question == state.history[0].question]
        assert [trial.role for trial in half[:2]] == ["training", "training"]
        gold = [place for place, trial in enumerate(half) if trial.role == "gold"]
        assert len(gold) == 3
        assert gold[0] < 12 < gold[-1]
        assert len({half[place].cell for place in gold}) == 3
    sides = Counter(trial.order[0] for state in states for trial in state.history if trial.role == "gold")
    assert 12 < sides["0"] < 36


def test_best_of_n_puts_each_method_in_each_place_equally_often() -> None:
    protocol = make_protocol(kind="best_of_n", ties=False, cases=16, trials=16)
    _, _, states = run(protocol, raters=9)
    places = Counter((place, code) for trial in main_trials(states) for place, code in enumerate(trial.order))
    assert set(places.values()) == {9 * 2 * 16 // 4}
    assert len({trial.order for trial in main_trials(states)}) > 12


def test_the_same_state_gives_the_same_trial_and_another_seed_another_study() -> None:
    _, _, states = run(make_protocol(), raters=3)
    assert run(make_protocol(), raters=3)[2] == states
    assert run(make_protocol(seed=8), raters=3)[2] != states


def test_a_lease_given_back_is_given_out_again() -> None:
    design = Design(make_protocol(votes_per_cell=1))
    coverage = Coverage.empty(design)
    trial = Trial("main", design.cells[0].id, "case-0", "semantic", design.cells[0].methods, ("a", "b"))
    coverage.taken[:] = 1
    coverage.add(design, trial)
    coverage.add(design, trial, times=-1)
    assert coverage.missing(design) == 0
    coverage.add(design, trial, times=-1)
    assert coverage.missing(design) == 1
    state = RaterState("rater", 0)
    while (following := next_trial(design, coverage, state)).role != "main":
        assert following is not None
        state = RaterState("rater", 0, (*state.history, following))
    assert following.cell == trial.cell


def test_a_method_without_a_video_is_left_out_of_that_case_alone() -> None:
    whole = make_protocol(methods=3, cases=4)
    case = whole.cases[0]
    part = case.model_copy(update={"candidates": dict(list(case.candidates.items())[:2])})
    design = Design(whole.model_copy(update={"cases": (part, *whole.cases[1:])}))
    assert Counter(cell.case for cell in design.cells if cell.question == "overall") == {
        "case-0": 1, "case-1": 3, "case-2": 3, "case-3": 3
    }  # fmt: skip


def test_a_rater_who_has_seen_every_cell_is_finished() -> None:
    protocol = make_protocol(methods=2, cases=3, trials=20, repeats=0)
    _, _, (state,) = run(protocol, raters=1)
    assert Counter(trial.role for trial in state.history) == {"main": 6, "gold": 6, "training": 4}


def test_identical_trials_show_one_video_twice_once_in_each_part_of_a_pass() -> None:
    design = Design(make_protocol(identical=2))
    places = []
    for history in simulate_sessions(design, 12, 0.0, np.random.default_rng(0)):
        for question in ("semantic", "overall"):
            asked = [trial for trial in history if trial.question == question and trial.role != "training"]
            same = [place for place, trial in enumerate(asked) if trial.role == "identical"]
            assert len(same) == 2
            places.append([place / len(asked) for place in same])
            for place in same:
                assert len(set(asked[place].media)) == 1
                assert sorted(asked[place].order) == ["0", "1"]
    first, second = np.array(places).T
    assert first.max() <= 0.55 and second.min() >= 0.4
    (usual,) = simulate_sessions(Design(make_protocol()), 1, 0.0, np.random.default_rng(0))
    assert not any(trial.role == "identical" for trial in usual)
