"""Designs and populations that several test files vote through."""

from __future__ import annotations

import numpy as np

from vapbench.stats.arrays import IntArray
from vapbench.stats.simulate import Tastes, simulate_pairs
from vapbench.stats.votes import PairVotes

SEVEN = Tastes(strength=np.array([1.6, 1.4, 0.5, 0.0, -0.8, -1.1, -1.6]), ties=0.5, side=0.15)


def random_pairs(
    methods: int, raters: int, votes_each: int, items: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Left, right, rater, item of ``raters * votes_each`` trials, every pair equally often up to one."""
    pairs = np.array([(a, b) for a in range(methods) for b in range(a + 1, methods)])
    total = raters * votes_each
    shown = pairs[np.arange(total) % len(pairs)]
    shown = shown[rng.permutation(total)]
    swap = rng.random(total) < 0.5
    left, right = np.where(swap, shown[:, 1], shown[:, 0]), np.where(swap, shown[:, 0], shown[:, 1])
    return left, right, np.repeat(np.arange(raters), votes_each), rng.permutation(np.arange(total) % items)


def seven_methods(raters: int = 30, votes_each: int = 40, items: int = 24, seed: int = 0) -> PairVotes:
    rng = np.random.default_rng(seed)
    return simulate_pairs(SEVEN, *random_pairs(7, raters, votes_each, items, rng), rng)
