"""How many votes, conditions and cases tell methods apart. Closed forms; a study's plan simulates its real design."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from statistics import NormalDist

from vapbench.stats.flips import least_p
from vapbench.stats.intervals import FEWEST_CONDITIONS, t_critical

MOST_CONDITIONS = 5_000
MOST_RATERS = 5_000
_LOGISTIC_VARIANCE = math.pi**2 / 3
_SHRINKS = (16 * math.sqrt(3) / (15 * math.pi)) ** 2
"""How a normal spread draws a logistic curve's middle towards 1/2 (the logit as a probit of this scale)."""


@dataclass(frozen=True)
class Spread:
    """How the difference of two methods varies from case to case."""

    sd: float = 1.0
    """Standard deviation over cases, of one seed each; differences are then in the same unit."""
    between: float = 0.4
    """Part of the variance that conditions differ by: what more cases of a condition cannot average away."""
    seeds: float = 0.3
    """Part of the variance that is of the seed alone: what more seeds average away."""

    def error(self, conditions: int, cases: int, seeds: int) -> float:
        """Standard error of the mean difference over ``conditions`` of ``cases`` each."""
        within = max(0.0, 1 - self.between - self.seeds) + self.seeds / seeds
        return self.sd * math.sqrt((self.between + within / cases) / conditions)


def smallest_difference(
    conditions: int,
    cases: int = 2,
    methods: int = 2,
    seeds: int = 1,
    spread: Spread | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
) -> float | None:
    r"""The smallest true mean difference that ranks of a column find.

    .. math:: (t_{1-\alpha/2K} + t_{power})\, s, \qquad K = \tbinom{methods}{2}

    with t on the conditions less one: of one pair what the sign-flip test finds, of many an upper bound, as max-t knows
    how they depend on each other. Fewer than six conditions are analysed by case
    (:func:`vapbench.stats.intervals.fixed_conditions`): the difference is then one in these conditions.

    Args:
        conditions: of the task.
        cases: of each condition.
        methods: that are ranked.
        seeds: of each case.
        spread: how differences vary; None: in units of their standard deviation.
        power: probability of finding it.
        alpha: level of all pairs together.

    Returns:
        The difference in the unit of ``spread``; None if no difference, however large, can be found.
    """
    _check(alpha, power, max(1, methods - 1), 1.0)
    if min(conditions, cases, seeds) < 1:
        raise ValueError("conditions, cases and seeds must be 1 or more")
    fixed = conditions < FEWEST_CONDITIONS and cases > 1
    units = conditions * cases if fixed else conditions
    if least_p(units) >= alpha:
        return None
    error = (spread or Spread()).error(units, 1 if fixed else cases, seeds)
    pairs = math.comb(max(methods, 2), 2)
    return (t_critical(1 - alpha / pairs, units - 1) + t_critical(2 * power - 1, units - 1)) * error


def conditions_needed(
    difference: float,
    cases: int = 2,
    methods: int = 2,
    seeds: int = 1,
    spread: Spread | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
) -> int | None:
    """The fewest conditions, six or more, that find a difference; None if 5,000 do not.

    Arguments as :func:`smallest_difference`.

    Raises:
        ValueError: a difference of 0, or another argument out of range.
    """
    if difference == 0:
        raise ValueError("no number of conditions tells equal methods apart")

    def found(conditions: int) -> bool:
        least = smallest_difference(conditions, cases, methods, seeds, spread, power, alpha)
        return least is not None and least <= abs(difference)

    sizes = range(FEWEST_CONDITIONS, MOST_CONDITIONS + 1)
    place = bisect.bisect_left(sizes, True, key=found)
    return sizes[place] if place < len(sizes) else None


def votes_per_pair(
    win_rate: float, alpha: float = 0.05, power: float = 0.8, comparisons: int = 1, design_effect: float = 1.0
) -> int:
    r"""Decisive votes on a pair that detect a win rate other than 1/2.

    .. math:: n = \Bigl(\frac{z_{1-\alpha/2K}\,\frac12 + z_{1-\beta} \sqrt{p(1-p)}}{p - \frac12}\Bigr)^2 \times DEFF

    Args:
        win_rate: true share of decisive votes for the better method, in (0, 1), not 1/2.
        alpha: two-sided level of the family.
        power: probability of detecting it.
        comparisons: size :math:`K` of the family; Holm's worst case is Bonferroni.
        design_effect: see :func:`design_effect`.

    Raises:
        ValueError: an argument out of range; no number of votes tells equal methods apart.
    """
    _check(alpha, power, comparisons, design_effect)
    if not 0 < win_rate < 1 or win_rate == 0.5:
        raise ValueError(f"a win rate of {win_rate} cannot be planned for; it must lie in (0, 1) and not be 1/2")
    z_alpha, z_beta = _quantile(1 - alpha / comparisons / 2), _quantile(power)
    spread = z_alpha * 0.5 + z_beta * math.sqrt(win_rate * (1 - win_rate))
    return math.ceil((spread / (win_rate - 0.5)) ** 2 * design_effect)


def votes_for_shares(
    a: float, b: float, alpha: float = 0.05, power: float = 0.8, comparisons: int = 1, design_effect: float = 1.0
) -> int:
    r"""Best-of-n votes that tell two choice shares apart.

    .. math::
        N = \Bigl(\frac{z_{1-\alpha/2K} \sqrt{a+b} + z_{1-\beta} \sqrt{a+b-(a-b)^2}}{a-b}\Bigr)^2 \times DEFF

    Both shares come from the same votes, hence the covariance in the variances.

    Raises:
        ValueError: shares that are equal, negative, or sum to more than 1; another argument out of range.
    """
    _check(alpha, power, comparisons, design_effect)
    if a == b or min(a, b) < 0 or a + b > 1:
        raise ValueError(f"shares {a} and {b} cannot be planned for; they must differ and sum to at most 1")
    gap = a - b
    spread = _quantile(1 - alpha / comparisons / 2) * math.sqrt(a + b) + _quantile(power) * math.sqrt(a + b - gap**2)
    return math.ceil((spread / gap) ** 2 * design_effect)


def design_effect(votes_per_rater: float, votes_per_item: float, rater_rho: float, item_rho: float) -> float:
    r"""Variance over that of independent votes, about :math:`1 + (m_r - 1) \rho_r + (m_i - 1) \rho_i`.

    Args:
        votes_per_rater: on the comparison in question.
        votes_per_item: likewise.
        rater_rho: correlation of two votes of one rater.
        item_rho: correlation of two votes on one item.
    """
    return 1 + max(votes_per_rater - 1, 0) * rater_rho + max(votes_per_item - 1, 0) * item_rho


@dataclass(frozen=True)
class Voting:
    """How a study asks: what closed forms need to know of it."""

    votes: float
    """Usable votes on a question by each rater."""
    methods: int
    items: int
    two: bool = True
    """Whether two methods are compared at a time, not all."""
    rater_sd: float = 0.5
    """Spread of raters' tastes, per method, on the log scale."""
    item_sd: float = 0.8
    """Spread of items, likewise."""
    ties: float = 0.5
    """nu of the Davidson model; 0 where ties are no answer."""

    @property
    def pairs(self) -> int:
        """Pairs of methods that the votes are spread over; 0 where all are shown at once."""
        return math.comb(self.methods, 2) if self.two else 0

    def correlations(self) -> tuple[float, float]:
        """Correlation of two votes on one pair of methods by one rater, and on one item."""
        rater, item = 2 * self.rater_sd**2, 2 * self.item_sd**2
        whole = rater + item + _LOGISTIC_VARIANCE
        return rater / whole, item / whole

    def seen_logit(self, logit: float) -> float:
        """Log-odds in the crowd, of what has ``logit`` for an average rater and item."""
        return logit / math.sqrt(1 + _SHRINKS * 2 * (self.rater_sd**2 + self.item_sd**2))


def raters_needed(voting: Voting, win_rate: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """The fewest raters who tell two neighbouring methods apart; None if 5,000 do not, as with too few items.

    Args:
        voting: the study. Of pairs :func:`votes_per_pair`, else :func:`votes_for_shares` of the best two of equally
            spaced methods, each with the :func:`design_effect` that so many raters give.
        win_rate: share of decisive votes for the better of two, among average raters and items; not 1/2.
        alpha: two-sided level, of this pair alone.
        power: probability of detecting it.
    """
    rater_rho, item_rho = voting.correlations()
    gap = voting.seen_logit(math.log(win_rate / (1 - win_rate)))
    if voting.pairs:
        votes, rate = voting.votes / voting.pairs * 2 / (2 + voting.ties), 1 / (1 + math.exp(-gap))
    else:
        votes, weights = voting.votes, [math.exp(-gap * place) for place in range(voting.methods)]
        first, second = (weight / sum(weights) for weight in weights[:2])

    def enough(raters: int) -> bool:
        effect = design_effect(votes, raters * votes / voting.items, rater_rho, item_rho)
        if voting.pairs:
            return raters * votes >= votes_per_pair(rate, alpha, power, design_effect=effect)
        return raters * votes >= votes_for_shares(first, second, alpha, power, design_effect=effect)

    return bisect.bisect_left(range(1, MOST_RATERS + 1), True, key=enough) + 1 if enough(MOST_RATERS) else None


def _quantile(probability: float) -> float:
    return NormalDist().inv_cdf(probability)


def _check(alpha: float, power: float, comparisons: int, effect: float) -> None:
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise ValueError("alpha and power must lie in (0, 1)")
    if comparisons < 1 or effect <= 0:
        raise ValueError("a family has at least one comparison, and a design effect is positive")
