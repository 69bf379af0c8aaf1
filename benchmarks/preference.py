"""Print how long the preference model takes: a fit, a million votes; and what its intervals cover."""

from __future__ import annotations

import statistics as st
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.stats.designs import SEVEN, random_pairs
from tests.stats.test_coverage import coverage, davidson_once, population_shares, population_strengths, shares_once
from vapbench.stats.davidson import fit_davidson
from vapbench.stats.simulate import simulate_pairs
from vapbench.stats.votes import PairVotes


def votes(raters: int, each: int) -> PairVotes:
    """Votes on seven methods and 48 items."""
    rng = np.random.default_rng(0)
    return simulate_pairs(SEVEN, *random_pairs(7, raters, each, 48, rng), rng)


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Median wall time; the first round warms up."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return st.median(times[1:])


def main() -> None:
    """Print each figure beside its aim."""
    usual, many = votes(60, 50), votes(1000, 1000)
    print(f"fit, 7 methods, 3,000 votes   {seconds(lambda: fit_davidson(usual), 50) * 1000:6.1f} ms (aim: 5)")
    print(f"fit, 1,000,000 votes          {seconds(lambda: fit_davidson(many), 3):6.2f} s  (aim: 2)")
    if "--coverage" not in sys.argv:
        return
    truth, shares = population_strengths(), population_shares()
    for raters, each in ((20, 60), (50, 40), (100, 30)):
        covered = coverage(1000, davidson_once(raters, each, truth))
        print(f"95 % intervals of differences, {raters:3} raters x {each} votes: cover {covered:.1%}")
    for raters in (20, 60):
        covered = coverage(1000, shares_once(raters, shares))
        print(f"95 % intervals of choice shares, {raters:3} raters x 48 items: cover {covered:.1%}")


if __name__ == "__main__":
    main()
