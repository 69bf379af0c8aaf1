"""Signs of careless voting: sides and circles."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import IntArray, codes
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
