"""How many votes a study needs. Closed forms for a first idea; a simulation through the real design for the plan."""

from __future__ import annotations

import math
from statistics import NormalDist


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


def _quantile(probability: float) -> float:
    return NormalDist().inv_cdf(probability)


def _check(alpha: float, power: float, comparisons: int, effect: float) -> None:
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise ValueError("alpha and power must lie in (0, 1)")
    if comparisons < 1 or effect <= 0:
        raise ValueError("a family has at least one comparison, and a design effect is positive")
