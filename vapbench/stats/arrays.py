"""Array types and the encoding of labels, for the modules of this room."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
LabelArray = npt.NDArray[np.int64] | npt.NDArray[np.str_]
"""What names raters, items, conditions: integers or strings."""


def codes(labels: npt.ArrayLike) -> tuple[IntArray, int]:
    """Number labels from 0.

    Args:
        labels: ``(N,)`` integers or strings.

    Returns:
        ``(N,)`` numbers in the labels' sorted order, and how many different labels there are.
    """
    array = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"labels must be one-dimensional, got shape {array.shape}")
    if array.size and np.issubdtype(array.dtype, np.integer) and 0 <= array.min() and array.max() <= 4 * array.size:
        # Counting is linear where sorting is not: a million votes are encoded in milliseconds.
        seen = np.bincount(array) > 0
        return (np.cumsum(seen) - 1)[array].astype(np.int64), int(seen.sum())
    found, numbers = np.unique(array, return_inverse=True)
    return numbers.astype(np.int64).reshape(-1), len(found)


def group_sums(values: FloatArray, groups: IntArray, count: int) -> FloatArray:
    """Sum rows by group: ``(N, P)`` values and ``(N,)`` groups give ``(count, P)`` sums."""
    columns = [np.bincount(groups, weights=column, minlength=count) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float64)
