"""Maximum likelihood of choice models on counts: many data sets at once, by damped Newton steps.

A choice model gives alternative ``k`` of situation ``s`` the probability ``softmax_k(x_sk . beta)``. Bradley-Terry,
Davidson and Luce are such models with different features ``x``, so one solver serves them; and because it works on
counts per situation, a million votes cost what a thousand do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vapbench.stats.arrays import BoolArray, FloatArray, IntArray

MAX_STEPS = 60
LIMIT = 15.0
"""A log-odds beyond this is separation, not an estimate: odds of three million to one."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Fits of ``B`` data sets with ``P`` parameters."""

    beta: FloatArray
    """``(B, P)``."""
    converged: BoolArray
    """``(B,)``: gradient zero, parameters finite."""
    information: FloatArray
    """``(B, P, P)`` negative Hessian at ``beta``, with the prior's part."""
    log_likelihood: FloatArray
    """``(B,)``, without the prior."""


def maximise(
    features: FloatArray,
    counts: FloatArray,
    start: FloatArray,
    available: BoolArray | None = None,
    precision: FloatArray | None = None,
    offset: FloatArray | None = None,
) -> Solution:
    r"""Maximise :math:`\sum_{s,k} n_{sk} \log p_{sk}(\beta) - \frac12 \sum_p \lambda_p \beta_p^2`.

    Args:
        features: ``(S, K, P)``.
        counts: ``(B, S, K)`` non-negative, not necessarily whole.
        start: ``(P,)``.
        available: ``(S, K)``: which alternatives exist; None: all.
        precision: ``(P,)`` prior precision :math:`\lambda`; None: no prior.
        offset: ``(B, S, K)`` added to the log-odds; None: nothing.
    """
    batch, width = len(counts), features.shape[2]
    ridge = np.zeros(width) if precision is None else precision
    flat = features.reshape(-1, width)
    squares = (flat[:, :, None] * flat[:, None, :]).reshape(-1, width * width)
    problem = _Problem(features, squares, ridge)
    gap = _gap(available, offset, batch)
    beta = np.tile(start, (batch, 1))
    tolerance = 1e-9 * np.maximum(counts.sum(axis=(1, 2)), 1)
    active = np.arange(batch)
    converged = np.zeros(batch, dtype=bool)
    for _ in range(MAX_STEPS):
        here = counts[active]
        gradient, information = problem.derivatives(beta[active], here, gap[active])
        done = np.abs(gradient).max(axis=1) < tolerance[active]
        converged[active[done]] = True
        active, here, gradient, information = active[~done], here[~done], gradient[~done], information[~done]
        if not len(active):
            break
        step = _solve(information, gradient)
        beta[active] = _backtrack(problem, beta[active], step, here, gap[active])
    _, information = problem.derivatives(beta, counts, gap)
    converged &= np.abs(beta).max(axis=1, initial=0) < LIMIT
    return Solution(beta, converged, information, problem.log_likelihood(beta, counts, gap))


def log_likelihood(
    features: FloatArray, counts: FloatArray, available: BoolArray | None, offset: FloatArray
) -> FloatArray:
    """Of a model without free parameters, ``features`` ``(S, K, 0)``; arguments as :func:`maximise`."""
    problem = _Problem(features, np.zeros((0, 0)), np.zeros(0))
    return problem.log_likelihood(np.zeros((len(counts), 0)), counts, _gap(available, offset, len(counts)))


def sum_zero_basis(n: int) -> FloatArray:
    """``(n, n-1)`` orthonormal columns that sum to 0 (Helmert)."""
    from scipy.linalg import helmert

    return np.asarray(helmert(n).T)


def strongly_connected(beats: BoolArray) -> bool:
    """Whether every group of methods is both preferred to and passed over for the rest: finite strengths exist.

    Args:
        beats: ``(n, n)``: whether the row's method was ever preferred to the column's. Ford, "Solution of a Ranking
            Problem from Binary Comparisons", American Mathematical Monthly 64 (1957).
    """
    from scipy.sparse.csgraph import connected_components

    pieces, _ = connected_components(beats, connection="strong")
    return bool(pieces == 1)


def components(met: BoolArray) -> list[IntArray]:
    """Pieces of the comparison graph: of methods of different pieces nothing is known, however many votes there are.

    Args:
        met: ``(n, n)``: whether the two were ever compared, in either direction.

    Returns:
        Numbers of the methods of each piece, in order of their first.
    """
    from scipy.sparse.csgraph import connected_components

    pieces, labels = connected_components(met, directed=False)
    return [np.flatnonzero(labels == piece) for piece in range(pieces)]


def basis_of(pieces: Sequence[IntArray]) -> FloatArray:
    """``(n, n - pieces)`` orthonormal columns that sum to 0 within every piece."""
    n = sum(map(len, pieces))
    basis, column = np.zeros((n, n - len(pieces))), 0
    for piece in pieces:
        width = len(piece) - 1
        basis[piece, column : column + width] = sum_zero_basis(len(piece))
        column += width
    return basis


def _gap(available: BoolArray | None, offset: FloatArray | None, batch: int) -> FloatArray:
    """What is added to the log-odds, ``(B, S, K)`` or what broadcasts to it."""
    gap = np.zeros((batch, 1, 1)) if offset is None else offset
    return gap if available is None else gap + np.where(available, 0.0, -np.inf)


@dataclass(frozen=True, eq=False)
class _Problem:
    features: FloatArray
    squares: FloatArray
    """``(S * K, P * P)`` outer products of the features."""
    ridge: FloatArray

    def log_probabilities(self, beta: FloatArray, gap: FloatArray) -> FloatArray:
        logits = np.tensordot(beta, self.features, axes=(1, 2)) + gap
        top = logits.max(axis=2, keepdims=True)
        return np.asarray(logits - top - np.log(np.exp(logits - top).sum(axis=2, keepdims=True)))

    def log_likelihood(self, beta: FloatArray, counts: FloatArray, gap: FloatArray) -> FloatArray:
        logs = self.log_probabilities(beta, gap)
        return np.asarray(np.where(counts > 0, counts * np.where(np.isfinite(logs), logs, 0), 0).sum(axis=(1, 2)))

    def objective(self, beta: FloatArray, counts: FloatArray, gap: FloatArray) -> FloatArray:
        return np.asarray(self.log_likelihood(beta, counts, gap) - 0.5 * (self.ridge * beta**2).sum(axis=1))

    def derivatives(self, beta: FloatArray, counts: FloatArray, gap: FloatArray) -> tuple[FloatArray, FloatArray]:
        situations, alternatives, width = self.features.shape
        flat = self.features.reshape(situations * alternatives, width)
        probabilities = np.exp(self.log_probabilities(beta, gap))
        totals = counts.sum(axis=2)
        expected = (totals[:, :, None] * probabilities).reshape(len(beta), -1)
        gradient = (counts.reshape(len(beta), -1) - expected) @ flat - self.ridge * beta
        means = (probabilities.transpose(1, 0, 2) @ self.features).transpose(1, 0, 2)
        weighted = means * totals[:, :, None]
        information = (expected @ self.squares).reshape(-1, width, width) - weighted.transpose(0, 2, 1) @ means
        return np.asarray(gradient), np.asarray(information + np.diag(self.ridge))


def _solve(information: FloatArray, gradient: FloatArray) -> FloatArray:
    # A nearly flat direction gets a bounded step instead of an exception; the caller sees it not converge.
    width = information.shape[1]
    scale = np.trace(information, axis1=1, axis2=2)[:, None, None] / width
    step = np.linalg.solve(information + (1e-12 * scale + 1e-300) * np.eye(width), gradient[:, :, None])[:, :, 0]
    size = np.abs(step).max(axis=1, keepdims=True)
    return np.asarray(np.where(size > 5, step * (5 / np.maximum(size, 5)), step))


def _backtrack(
    problem: _Problem, beta: FloatArray, step: FloatArray, counts: FloatArray, gap: FloatArray
) -> FloatArray:
    before = problem.objective(beta, counts, gap)
    slack = 1e-12 * np.maximum(np.abs(before), 1)
    length = np.ones(len(beta))
    for _ in range(30):
        worse = problem.objective(beta + length[:, None] * step, counts, gap) < before - slack
        if not worse.any():
            break
        length[worse] /= 2
    return np.asarray(beta + length[:, None] * step)
