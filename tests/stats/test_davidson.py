"""Specification of the Davidson and Luce models."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.stats.designs import SEVEN, random_pairs, seven_methods
from vapbench.stats.clusters import Covariance
from vapbench.stats.davidson import fit_davidson
from vapbench.stats.intervals import t_critical
from vapbench.stats.luce import fit_luce
from vapbench.stats.newton import components, maximise
from vapbench.stats.profile import separated
from vapbench.stats.shares import choice_share
from vapbench.stats.simulate import simulate_choices, simulate_pairs
from vapbench.stats.strengths import rank_intervals
from vapbench.stats.votes import LEFT, RIGHT, TIE, PairVotes, choices


def pair_votes(*rows: tuple[int, int, int], n: int = 3) -> PairVotes:
    left, right, outcome = (np.array(column) for column in zip(*rows, strict=True))
    index = np.arange(len(rows))
    return PairVotes(n, left, right, outcome, index % 6, index % 7)


def test_agrees_with_evalica_on_ties() -> None:
    evalica = pytest.importorskip("evalica")
    votes = seven_methods()
    winners = [{LEFT: evalica.Winner.X, TIE: evalica.Winner.Draw, RIGHT: evalica.Winner.Y}[o] for o in votes.outcome]
    oracle = evalica.newman(votes.left.tolist(), votes.right.tolist(), winners, tolerance=1e-15, limit=10_000)
    theirs = np.log(oracle.scores.loc[list(range(7))].to_numpy())
    fit = fit_davidson(votes, side_effect=False)
    assert fit.strength == pytest.approx(theirs - theirs.mean(), abs=1e-10)
    assert fit.point.ties == pytest.approx(2 * oracle.v, rel=1e-10)


def test_agrees_with_choix_without_ties() -> None:
    choix = pytest.importorskip("choix")
    votes = seven_methods()
    votes = votes.where(votes.outcome != TIE)
    won = np.where(votes.outcome == LEFT, votes.left, votes.right)
    lost = np.where(votes.outcome == LEFT, votes.right, votes.left)
    theirs = choix.ilsr_pairwise(7, list(zip(won.tolist(), lost.tolist(), strict=True)), tol=1e-13, max_iter=1000)
    fit = fit_davidson(votes, side_effect=False)
    assert fit.strength == pytest.approx(theirs - theirs.mean(), abs=1e-10)
    assert fit.point.ties == 0


def test_luce_on_subsets_agrees_with_choix() -> None:
    choix = pytest.importorskip("choix")
    rng = np.random.default_rng(3)
    shown = np.zeros((900, 7), dtype=bool)
    for row in shown:
        row[rng.choice(7, 3, replace=False)] = True
    votes = simulate_choices(SEVEN, np.arange(900) % 30, np.arange(900) % 24, rng, shown)
    data = [
        (int(credit.argmax()), tuple(np.flatnonzero(can & (credit == 0)).tolist()))
        for credit, can in zip(votes.credit, shown, strict=True)
    ]
    theirs = choix.ilsr_top1(7, data, tol=1e-13, max_iter=1000)
    assert fit_luce(votes).strength == pytest.approx(theirs - theirs.mean(), abs=1e-9)


def test_luce_shares_of_full_trials_are_the_pooled_choice_shares_with_the_same_intervals() -> None:
    rng = np.random.default_rng(4)
    votes = simulate_choices(SEVEN, np.repeat(np.arange(20), 48), np.tile(np.arange(48), 20), rng)
    shares, luce = choice_share(votes), fit_luce(votes).luce_shares()
    assert [share.estimate for share in luce] == pytest.approx(shares.share, abs=1e-9)
    assert luce[0].low == pytest.approx(shares.intervals[0].low, abs=2e-3)


def test_luce_on_pairs_is_bradley_terry() -> None:
    votes = seven_methods()
    votes = votes.where(votes.outcome != TIE)
    shown = np.zeros((len(votes), 7), dtype=bool)
    index = np.arange(len(votes))
    shown[index, votes.left] = shown[index, votes.right] = True
    won = np.where(votes.outcome == LEFT, votes.left, votes.right)
    luce = fit_luce(choices(won, 7, votes.rater, votes.item, shown))
    pairs = fit_davidson(votes, side_effect=False)
    assert luce.strength == pytest.approx(pairs.strength, abs=1e-9)
    ours, theirs = luce.difference(0, 6), pairs.difference(0, 6)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-8)


def test_two_methods_by_hand() -> None:
    # 60 wins, 30 losses, 10 ties, sides balanced: theta difference ln 2, nu = ties / sqrt(wins losses).
    rows = [(0, 1, LEFT)] * 30 + [(1, 0, RIGHT)] * 30 + [(0, 1, RIGHT)] * 15 + [(1, 0, LEFT)] * 15
    rows += [(0, 1, TIE)] * 5 + [(1, 0, TIE)] * 5
    fit = fit_davidson(pair_votes(*rows, n=2))
    assert fit.difference(0, 1).estimate == pytest.approx(math.log(2), abs=1e-9)
    assert fit.point.ties == pytest.approx(10 / math.sqrt(60 * 30), rel=1e-9)
    assert fit.point.side == pytest.approx(0, abs=1e-9)
    assert fit.win_probability(0, 1).estimate == pytest.approx(2 / 3, abs=1e-9)
    assert fit.luce_shares()[0].estimate == pytest.approx(2 / 3, abs=1e-9)


def test_recovers_what_made_the_votes() -> None:
    alike = replace(SEVEN, rater_sd=0.0, item_sd=0.0)
    rng = np.random.default_rng(1)
    fit = fit_davidson(simulate_pairs(alike, *random_pairs(7, 500, 200, 100, rng), rng))
    assert fit.strength == pytest.approx(SEVEN.strength, abs=0.05)
    assert fit.point.ties == pytest.approx(SEVEN.ties, abs=0.02)
    assert fit.point.side == pytest.approx(SEVEN.side, abs=0.03)


def test_relabelling_methods_relabels_the_result() -> None:
    votes = seven_methods()
    order = np.array([3, 0, 6, 2, 5, 1, 4])
    other = fit_davidson(replace(votes, left=order[votes.left], right=order[votes.right]))
    mine = fit_davidson(votes)
    assert other.strength[order] == pytest.approx(mine.strength, abs=1e-9)
    assert other.difference(3, 0).high == pytest.approx(mine.difference(0, 1).high, abs=1e-8)


def test_swapping_all_sides_flips_only_the_side_effect() -> None:
    votes = seven_methods()
    swapped = fit_davidson(replace(votes, left=votes.right, right=votes.left, outcome=-votes.outcome))
    mine = fit_davidson(votes)
    assert swapped.strength == pytest.approx(mine.strength, abs=1e-9)
    assert swapped.point.side == pytest.approx(-(mine.point.side or 0), abs=1e-9)


def test_repeating_every_vote_adds_no_confidence() -> None:
    votes = seven_methods()
    twice = votes.where(np.repeat(np.arange(len(votes)), 2))
    one, two = fit_davidson(votes).difference(0, 3), fit_davidson(twice).difference(0, 3)
    assert (two.estimate, two.low, two.high) == pytest.approx((one.estimate, one.low, one.high), abs=1e-8)


def test_a_method_that_always_wins_is_regularised_and_says_so() -> None:
    rows = [(0, 1, LEFT), (1, 0, RIGHT), (0, 2, LEFT), (1, 2, LEFT), (2, 1, LEFT), (2, 0, RIGHT)] * 4
    fit = fit_davidson(pair_votes(*rows))
    assert "regularised; separation" in fit.point.notes
    assert 0 < fit.difference(0, 1).estimate < 10


def test_methods_never_compared_are_not_invented() -> None:
    rows = [(a, b, outcome) for a, b in ((0, 1), (1, 0), (2, 3), (3, 2)) for outcome in (LEFT, RIGHT)] * 5
    fit = fit_davidson(pair_votes(*rows, n=4))
    assert [piece.tolist() for piece in fit.pieces] == [[0, 1], [2, 3]] and not fit.point.notes
    for across in (fit.difference(0, 2), fit.win_probability(1, 3)):
        assert (across.low, across.high, across.reason) == (None, None, "never compared, not even through others")
    assert np.isnan(fit.ranks().p[0, 2]) and not fit.ranks().better[0][2]
    assert sum(share.estimate for share in fit.luce_shares()[:2]) == pytest.approx(1), "within a piece"


def test_pieces_meet_through_other_methods() -> None:
    met = np.zeros((5, 5), dtype=bool)
    met[0, 3] = met[3, 4] = met[2, 1] = True
    assert [piece.tolist() for piece in components(met)] == [[0, 3, 4], [1, 2]]


def quasi_separated() -> PairVotes:
    """A never loses on the left: 24 of 24; on the right it wins 22 of 24."""
    index = np.arange(48)
    outcome = np.where(index < 24, LEFT, np.where(index < 46, RIGHT, LEFT))
    return PairVotes(2, (index >= 24) * 1, (index < 24) * 1, outcome, index % 48, index)


def test_separation_that_the_side_effect_makes_is_found() -> None:
    fit = fit_davidson(quasi_separated())
    assert fit.point.notes == ("regularised; separation",)
    assert fit.diverging == ((0, 1),) and fit.side_diverges and fit.side is not None and fit.side.low is None
    assert fit_davidson(quasi_separated(), side_effect=False).point.notes == (), "46 of 48 is no separation"


def test_intervals_of_separated_votes_are_those_of_the_profile_likelihood() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    fit = fit_davidson(quasi_separated())
    t = t_critical(0.95, fit.covariance.degrees)
    effect = fit.covariance.design_effect([1, -1])

    def fall(gap: float) -> float:
        # 24 wins of 24 on the left, 22 of 24 on the right; the side effect is free.
        def lost(side: float) -> float:
            left, right = gap + side, gap - side
            return float(24 * np.logaddexp(0, -left) + 22 * np.logaddexp(0, -right) + 2 * np.logaddexp(0, right))

        best = optimize.minimize_scalar(lost, bounds=(-20, 20), method="bounded", options={"xatol": 1e-10}).fun
        return 2 * (best - (22 * math.log(24 / 22) + 2 * math.log(12))) / effect

    known = fit.difference(0, 1)
    assert known.low == pytest.approx(optimize.brentq(lambda gap: fall(gap) - t * t, 0, 8), abs=2e-3)
    assert known.high == math.inf and fit.win_probability(0, 1).high == 1
    assert fit.ranks().text(0) == "1" and fit.ranks().p[0, 1] < 0.001


def test_votes_that_say_nothing_of_two_methods_leave_everything_possible() -> None:
    # 0 beats 1 and 2 always; of 1 and 2 nothing is known but through it.
    rows = [(0, 1, LEFT), (1, 0, RIGHT), (0, 2, LEFT), (2, 0, RIGHT)] * 6
    fit = fit_davidson(pair_votes(*rows))
    assert fit.difference(1, 2).low is None and "any difference possible" in fit.difference(1, 2).reason
    assert fit.difference(0, 1).low is not None and not fit.ranks().better[1][2]


@pytest.mark.parametrize("seed", range(6))
def test_whether_votes_are_separated_is_what_the_solver_would_find(seed: int) -> None:
    """The linear programme against the likelihood: it has a maximum exactly where no direction is endless."""
    rng = np.random.default_rng(seed)
    features = rng.integers(-1, 2, (6, 3, 3)).astype(float)
    counts = rng.integers(0, 2, (6, 3)).astype(float)
    direction = separated(features, counts)
    solution = maximise(features, counts[None], np.zeros(3))
    eigenvalues = np.linalg.eigvalsh(solution.information[0])
    assert (direction is not None) == (np.abs(solution.beta).max() > 8 or eigenvalues[0] < 1e-6)


def test_ranks_agree_with_the_multivariate_t_distribution() -> None:
    stats = pytest.importorskip("scipy.stats")
    matrix = np.array([[1.0, 0.3, 0.1], [0.3, 2.0, 0.2], [0.1, 0.2, 0.5]])
    covariance = Covariance(matrix, np.zeros((3, 3)), (("conditions", 9),))
    estimates = np.array([0.0, 2.5, 0.4])
    p = rank_intervals(estimates, covariance, draws=200_000).p
    pairs = np.array([[1, -1, 0], [1, 0, -1], [0, 1, -1]])
    spread = pairs @ matrix @ pairs.T
    errors = np.sqrt(np.diag(spread))
    drawn = stats.multivariate_t(np.zeros(3), spread, df=8, allow_singular=True).rvs(200_000, random_state=1)
    largest = np.abs(drawn / errors).max(axis=1)
    assert p[0, 1] == pytest.approx((largest >= 2.5 / errors[0]).mean(), abs=0.006)
    assert p[0, 2] == p[2, 0] == pytest.approx((largest >= 0.4 / errors[1]).mean(), abs=0.006)


def test_always_left_is_separation_too() -> None:
    rows = [(0, 1, LEFT), (1, 0, LEFT), (0, 2, LEFT), (2, 0, LEFT), (1, 2, LEFT), (2, 1, LEFT)] * 5
    fit = fit_davidson(pair_votes(*rows))
    assert "regularised; separation" in fit.point.notes
    assert fit.point.side is not None and fit.point.side > 1


def test_side_effect_is_left_out_where_the_design_cannot_tell_it() -> None:
    fit = fit_davidson(pair_votes(*([(0, 1, LEFT)] * 7 + [(0, 1, RIGHT)] * 4), n=2))
    assert fit.point.side is None and fit.side is None
    assert any("both ways round" in note for note in fit.point.notes)
    assert fit.difference(0, 1).estimate == pytest.approx(math.log(7 / 4), abs=1e-9)


def test_all_ties_are_equal_strengths() -> None:
    fit = fit_davidson(pair_votes((0, 1, TIE), (1, 2, TIE), (2, 0, TIE)))
    assert fit.strength.tolist() == [0, 0, 0] and fit.point.ties == math.inf


def test_ties_alone_are_no_proof_of_equality() -> None:
    votes = seven_methods()
    fit = fit_davidson(replace(votes, outcome=np.full(len(votes), TIE)))
    difference = fit.difference(0, 1)
    assert difference.low is None and difference.reason == "every vote is a tie, which gives no interval"
    assert fit.luce_shares()[0].high is None and fit.ranks().text(0) == "1-7"


def test_ties_alone_between_two_groups_leave_their_difference_wide() -> None:
    """Votes that are all alike have no spread: a sandwich would call ten ties the surest finding of all."""
    decided = [(0, 1, LEFT), (1, 0, RIGHT), (0, 1, LEFT), (1, 0, LEFT)] * 10 + [(2, 3, LEFT), (3, 2, LEFT)] * 20
    between = [(1, 2, TIE), (2, 1, TIE)] * 5
    fit = fit_davidson(pair_votes(*decided, *between, n=4))
    assert "some methods are joined to the rest by ties alone" in fit.point.notes
    joined = fit.win_probability(1, 2)
    assert joined.estimate == pytest.approx(0.5, abs=0.02)
    # One tie more says nothing against any preference that a tie of such methods allows.
    assert joined.low is not None and joined.high is not None and joined.low < 0.3 and joined.high > 0.7
    assert fit.luce_shares()[0].reason == "some methods are joined to the rest by ties alone, which gives no interval"
    met = fit_davidson(pair_votes(*decided, *between, (1, 2, LEFT), (2, 1, LEFT), n=4))
    assert met.point.notes == () and met.luce_shares()[0].low is not None


def test_few_raters_give_no_interval() -> None:
    difference = fit_davidson(seven_methods(raters=4, votes_each=200)).difference(0, 1)
    assert difference.low is None and "4 raters" in difference.reason


@pytest.mark.parametrize("outcome", [2, -2])
def test_unknown_outcomes_are_refused(outcome: int) -> None:
    with pytest.raises(ValueError, match="outcomes"):
        pair_votes((0, 1, outcome))


def test_a_method_against_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="meet itself"):
        pair_votes((1, 1, LEFT))
