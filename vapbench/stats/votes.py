"""Votes of a preference study as arrays: what every estimator of this room takes.

Methods are numbered ``0 .. n_methods-1``; raters and items are named by integers or strings. An *item* is a
benchmark case (a reference, a first frame, a prompt), whatever methods were shown for it. Questions are
analysed apart: one object holds the votes on one question.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vapbench.stats.arrays import BoolArray, FloatArray, IntArray, LabelArray

LEFT, TIE, RIGHT = 1, 0, -1
"""Outcomes of a pairwise vote. "Both bad" says nothing about strength: pass it as a tie, and count it apart."""


@dataclass(frozen=True, eq=False)
class PairVotes:
    """Pairwise votes, one per entry of each ``(N,)`` array."""

    n_methods: int
    left: IntArray
    """Method shown on the left."""
    right: IntArray
    outcome: IntArray
    """:data:`LEFT`, :data:`TIE` or :data:`RIGHT`."""
    rater: LabelArray
    item: LabelArray

    def __post_init__(self) -> None:
        """Check shapes and ranges.

        Raises:
            ValueError: lengths differ, a method or outcome does not exist, or a method meets itself.
        """
        _same_length(self.left, self.right, self.outcome, self.rater, self.item)
        for side in (self.left, self.right):
            _methods_exist(side, self.n_methods)
        if not np.isin(self.outcome, (LEFT, TIE, RIGHT)).all():
            raise ValueError("outcomes must be LEFT (1), TIE (0) or RIGHT (-1)")
        if (np.asarray(self.left) == np.asarray(self.right)).any():
            raise ValueError("a method cannot meet itself; keep trials with identical clips out of the votes")

    def __len__(self) -> int:
        """Number of votes."""
        return len(self.left)

    def where(self, keep: npt.ArrayLike) -> PairVotes:
        """The votes that ``keep``, ``(N,)`` booleans or indices, selects."""
        k = np.asarray(keep)
        return replace(
            self,
            left=self.left[k],
            right=self.right[k],
            outcome=self.outcome[k],
            rater=self.rater[k],
            item=self.item[k],
        )

    def credit(self) -> FloatArray:
        """``(N, n_methods)``: 1 for the chosen method, one half each for a tie, 0 elsewhere."""
        credit = np.zeros((len(self), self.n_methods))
        votes = np.arange(len(self))
        credit[votes, self.left] = (1 + self.outcome) / 2
        credit[votes, self.right] = (1 - self.outcome) / 2
        return credit

    def counts(self) -> FloatArray:
        """``(n_methods, n_methods, 3)``: votes by left method, right method, and left wins, tie, right wins."""
        n = self.n_methods
        cell = (np.asarray(self.left) * n + self.right) * 3 + 1 - self.outcome
        return np.bincount(cell, minlength=3 * n * n).astype(np.float64).reshape(n, n, 3)


@dataclass(frozen=True, eq=False)
class ChoiceVotes:
    """Votes that choose among several methods, one per row."""

    credit: FloatArray
    """``(N, n_methods)``: 1 for the chosen method; ``1/k`` for each of ``k`` methods tied for best. Rows sum to 1."""
    rater: LabelArray
    """``(N,)``."""
    item: LabelArray
    """``(N,)``."""
    shown: BoolArray | None = None
    """``(N, n_methods)``: which methods the trial showed; None: always all."""

    def __post_init__(self) -> None:
        """Check shapes.

        Raises:
            ValueError: lengths differ, a row does not sum to 1, or a method was chosen that was not shown.
        """
        if self.credit.ndim != 2:
            raise ValueError(f"credit must have shape (votes, methods), got {self.credit.shape}")
        _same_length(self.credit, self.rater, self.item)
        if (self.credit < 0).any() or not np.allclose(self.credit.sum(axis=1), 1):
            raise ValueError("each row of credit must be non-negative and sum to 1; leave out votes without a choice")
        if self.shown is not None:
            if self.shown.shape != self.credit.shape:
                raise ValueError(f"shown has shape {self.shown.shape}, credit {self.credit.shape}")
            if (self.credit[~self.shown] > 0).any():
                raise ValueError("a method was chosen that was not shown")

    def __len__(self) -> int:
        return len(self.credit)

    @property
    def n_methods(self) -> int:
        """Number of methods."""
        return int(self.credit.shape[1])

    def where(self, keep: npt.ArrayLike) -> ChoiceVotes:
        """The votes that ``keep``, ``(N,)`` booleans or indices, selects."""
        k = np.asarray(keep)
        shown = None if self.shown is None else self.shown[k]
        return ChoiceVotes(self.credit[k], self.rater[k], self.item[k], shown)


def choices(
    chosen: npt.ArrayLike, n_methods: int, rater: LabelArray, item: LabelArray, shown: BoolArray | None = None
) -> ChoiceVotes:
    """Votes with one chosen method each.

    Args:
        chosen: ``(N,)`` chosen methods.
        n_methods: number of methods.
        rater: ``(N,)``.
        item: ``(N,)``.
        shown: ``(N, n_methods)`` booleans; None if every trial showed all methods.
    """
    picked = np.asarray(chosen, dtype=np.int64)
    _methods_exist(picked, n_methods)
    return ChoiceVotes(np.eye(n_methods)[picked], rater, item, shown)


def _same_length(*arrays: npt.NDArray[np.generic]) -> None:
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise ValueError(f"arrays of votes differ in length: {sorted(lengths)}")
    if lengths == {0}:
        raise ValueError("there are no votes")


def _methods_exist(methods: IntArray, n_methods: int) -> None:
    if not np.issubdtype(np.asarray(methods).dtype, np.integer):
        raise ValueError("methods must be integers")
    if methods.min() < 0 or methods.max() >= n_methods:
        raise ValueError(f"methods must lie between 0 and {n_methods - 1}")
