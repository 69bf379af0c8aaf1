r"""Bootstrap-t for the mean of clustered values: it learns from the data how skewed Student's ratio is.

Scores that crowd at one end of their range are skewed, and the t interval of few conditions then covers far less than
it says. Efron, "Nonparametric standard errors and confidence intervals" (1981); Hall, "Theoretical Comparison of
Bootstrap Confidence Intervals", Annals of Statistics 16 (1988).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from vapbench.stats.arrays import FloatArray

REPLICATES = 999


def bootstrap_t(
    sums: Sequence[float],
    sizes: Sequence[int],
    confidence: float = 0.95,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[float, float]:
    r"""How many standard errors a mean may be above and below the truth, clusters drawn with replacement.

    The ratio is :math:`(\bar x^* - \bar x) / s^*`. Between bounds :math:`a` and :math:`b` the standard error of a
    resample is taken as it would be at the sample's mean, :math:`s^* \sqrt{(\bar x - a)(b - \bar x) / ((\bar x^* - a)(b
    - \bar x^*))}`: a mean near a bound varies little because it is near.

    Args:
        sums: ``C`` sums of values by cluster.
        sizes: ``C`` numbers of values.
        confidence: of the interval.
        bounds: what values can be.

    Returns:
        The quantile for the lower end and the one for the upper, both positive for a mean that varies both ways;
        infinite where so many resamples have no spread that it cannot be told. The order of the clusters changes
        nothing, as they are sorted, and the draws are the same for every mean of ``C`` clusters.
    """
    pairs = np.array(sorted(zip(sizes, sums, strict=True)), dtype=np.float64)
    n, s = pairs[:, 0], pairs[:, 1]
    (mean,), (error,) = _mean_and_error(np.ones((1, len(n))), s, n)
    means, errors = _mean_and_error(_draws(len(n)), s, n)
    if np.isfinite(bounds).all():
        room = np.maximum((means - bounds[0]) * (bounds[1] - means), 0)
        errors = np.where(room > 0, errors / np.sqrt(np.where(room > 0, room, 1)), 0)
        errors = errors * np.sqrt((mean - bounds[0]) * (bounds[1] - mean))
    gaps, flat = means - mean, errors <= 1e-9 * error
    ratios = gaps / np.where(flat, 1, errors)
    # A resample without spread is endlessly far out, unless it has the sample's very mean.
    far = np.where(np.abs(gaps) <= 1e-9 * error, 0.0, np.where(gaps > 0, np.inf, -np.inf))
    ratios = np.sort(np.where(flat, far, ratios))
    cut = max(1, int((len(ratios) + 1) * (1 - confidence) / 2))
    return float(ratios[-cut]), float(-ratios[cut - 1])


def _mean_and_error(weights: FloatArray, sums: FloatArray, sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and cluster-robust standard error under ``(B, C)`` weights of the clusters."""
    total = weights @ sizes
    mean = (weights @ sums) / total
    # Centred first: sums of squares of large numbers with a small spread would cancel.
    centre = float(sums.sum() / sizes.sum())
    rest, shift = sums - sizes * centre, mean - centre
    squares = weights @ rest**2 - 2 * shift * (weights @ (rest * sizes)) + shift**2 * (weights @ sizes**2)
    count = len(sizes)
    return mean, np.sqrt(np.maximum(squares, 0) * count / (count - 1)) / total


@lru_cache(maxsize=64)
def _draws(clusters: int) -> FloatArray:
    rng = np.random.default_rng(clusters)
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=REPLICATES).astype(np.float64)
