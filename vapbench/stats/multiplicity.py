"""Many tests at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import FloatArray


def holm(p: npt.ArrayLike) -> FloatArray:
    """p-values adjusted by Holm's step-down procedure: below alpha, all rejections hold at once with 1 - alpha.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).

    Args:
        p: ``(K,)`` p-values of one family; name the family wherever the result is printed.

    Returns:
        ``(K,)`` adjusted p-values, at most 1.

    Raises:
        ValueError: a p-value outside [0, 1], or NaN.
    """
    values = np.asarray(p, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values must lie between 0 and 1")
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return adjusted
