"""Signs of careless voting: sides, times, circles. They flag; rules written down beforehand exclude."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import FloatArray, IntArray, codes
from vapbench.stats.clusters import Interval, share_interval
from vapbench.stats.votes import TIE, PairVotes


def side_bias(votes: PairVotes, confidence: float = 0.95) -> Interval:
    """Share of decisive votes for the left side, 1/2 without bias; two-way cluster-robust, logit scale.

    Raises:
        ValueError: every vote is a tie.
    """
    decisive = votes.outcome != TIE
    if not decisive.any():
        raise ValueError("every vote is a tie")
    left = votes.outcome[decisive] > 0
    return share_interval(left, votes.rater[decisive], votes.item[decisive], confidence)


@dataclass(frozen=True, eq=False)
class RaterSides:
    """Which side each rater chose."""

    raters: npt.NDArray[np.generic]
    """``(R,)`` labels, sorted."""
    left: IntArray
    """``(R,)`` votes for the left side."""
    decisive: IntArray
    """``(R,)`` votes that were no ties."""
    p: FloatArray
    """``(R,)`` exact two-sided binomial p-value of choosing sides by a fair coin; 1 without decisive votes."""


def straight_lining(votes: PairVotes) -> RaterSides:
    """Test each rater for always choosing one side. Sides must have been assigned by chance."""
    from scipy.special import bdtr

    raters, n_raters = codes(votes.rater)
    decisive = np.bincount(raters[votes.outcome != TIE], minlength=n_raters)
    left = np.bincount(raters[votes.outcome > 0], minlength=n_raters)
    # The fair coin is symmetric, so twice the smaller tail is the exact two-sided test.
    p = np.minimum(1.0, 2 * bdtr(np.minimum(left, decisive - left).astype(np.float64), decisive, 0.5))
    return RaterSides(np.unique(np.asarray(votes.rater)), left, decisive, np.where(decisive > 0, p, 1.0))


@dataclass(frozen=True, eq=False)
class Triads:
    """Sets of three methods that one rater compared all ways on one item, without ties."""

    raters: npt.NDArray[np.generic]
    """``(R,)`` labels, sorted."""
    complete: IntArray
    """``(R,)`` triads with three decisive votes."""
    circular: IntArray
    """``(R,)`` of these, a beats b beats c beats a. Votes by coin toss make one in four circular."""


def circular_triads(votes: PairVotes) -> Triads:
    """Count circular triads per rater. A pair that a rater voted on twice counts with the last vote."""
    raters, n_raters = codes(votes.rater)
    items, _ = codes(votes.item)
    winner = np.where(votes.outcome > 0, votes.left, votes.right)
    groups: dict[tuple[int, int], dict[tuple[int, int], int]] = {}
    for v in np.flatnonzero(votes.outcome != TIE):
        pair = (int(min(votes.left[v], votes.right[v])), int(max(votes.left[v], votes.right[v])))
        groups.setdefault((int(raters[v]), int(items[v])), {})[pair] = int(winner[v])
    complete, circular = np.zeros(n_raters, dtype=np.int64), np.zeros(n_raters, dtype=np.int64)
    for (rater, _), beats in groups.items():
        methods = sorted({method for pair in beats for method in pair})
        for triad in combinations(methods, 3):
            pairs = list(combinations(triad, 2))
            if all(pair in beats for pair in pairs):
                complete[rater] += 1
                # In a circle everybody wins once.
                circular[rater] += len({beats[pair] for pair in pairs}) == 3
    return Triads(np.unique(np.asarray(votes.rater)), complete, circular)


def kendall_zeta(wins: npt.ArrayLike) -> float:
    r"""Kendall and Babington Smith's coefficient of consistence of one full round robin.

    With :math:`a_i` wins each, circular triads are :math:`d = n(n-1)(2n-1)/12 - \frac12 \sum a_i^2`, and
    :math:`\zeta = 1 - 24d / (n^3 - n)` for odd :math:`n`, :math:`1 - 24d / (n^3 - 4n)` for even: 1 without circles, 0
    with as many as there can be ("On the Method of Paired Comparisons", Biometrika 31, 1940).

    Args:
        wins: ``(n,)`` wins of each method over every other, once each.

    Raises:
        ValueError: fewer than three methods, or wins that do not sum to ``n(n-1)/2``.
    """
    a = np.asarray(wins, dtype=np.float64)
    n = len(a)
    if n < 3 or a.sum() != n * (n - 1) / 2:
        raise ValueError("wins must be those of a full round robin of at least three methods, without ties")
    d = n * (n - 1) * (2 * n - 1) / 12 - (a**2).sum() / 2
    return float(1 - 24 * d / (n**3 - (n if n % 2 else 4 * n)))


@dataclass(frozen=True, eq=False)
class FastVotes:
    """How often each rater voted before they can have watched."""

    raters: npt.NDArray[np.generic]
    """``(R,)`` labels, sorted."""
    votes: IntArray
    """``(R,)``."""
    fast: IntArray
    """``(R,)`` votes below the floor."""

    def flagged(self, share: float = 0.2) -> npt.NDArray[np.bool_]:
        """``(R,)``: more than ``share`` of the votes are too fast."""
        return np.asarray(self.fast > share * self.votes)


def time_floor(
    seconds: npt.ArrayLike, clip_seconds: npt.ArrayLike, rater: npt.ArrayLike, factor: float = 0.9
) -> FastVotes:
    """Count votes that came before ``factor`` of the longest clip can have played.

    Args:
        seconds: ``(N,)`` from showing the trial to the vote, by the server's clock.
        clip_seconds: ``(N,)`` or one number: the longest clip of the trial.
        rater: ``(N,)`` labels.
        factor: below 1, as clocks and loops leave a little room.
    """
    raters, n_raters = codes(rater)
    fast = np.asarray(seconds, dtype=np.float64) < factor * np.asarray(clip_seconds, dtype=np.float64)
    return FastVotes(
        np.unique(np.asarray(rater)),
        np.bincount(raters, minlength=n_raters),
        np.bincount(raters[fast], minlength=n_raters),
    )
