r"""The Davidson model: Bradley-Terry with ties, and an advantage of the left side.

For method :math:`a` on the left and :math:`b` on the right, with strengths :math:`\theta`, tie parameter
:math:`\nu = e^\eta` and side effect :math:`\delta`,

.. math::
    P(\text{left}) : P(\text{tie}) : P(\text{right})
    = e^{\theta_a + \delta/2} : \nu\, e^{(\theta_a + \theta_b)/2} : e^{\theta_b - \delta/2}

Davidson, "On Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison Experiments", JASA 65
(1970); Davidson and Beaver, "On Extending the Bradley-Terry Model to Incorporate Within-Pair Order Effects",
Biometrics 33 (1977). Identified by :math:`\sum \theta = 0`. Standard errors are two-way cluster-robust.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from vapbench.stats.arrays import FloatArray, IntArray, codes
from vapbench.stats.clusters import Covariance, Interval, two_way_covariance
from vapbench.stats.newton import Solution, basis_of, components, maximise
from vapbench.stats.profile import Profile, separated
from vapbench.stats.strengths import Strengths
from vapbench.stats.votes import PairVotes

SEPARATION = "regularised; separation"
BY_TIES = "some methods are joined to the rest by ties alone"
PRIOR_SD = 2.0
"""Standard deviation of the normal prior that separated data get: theta differences of 4 are still plausible."""


@dataclass(frozen=True, eq=False)
class DavidsonPoint:
    """The fitted parameters."""

    strength: FloatArray
    """``(n_methods,)`` theta, summing to 0."""
    ties: float
    """nu: odds of a tie between equal methods are ``nu / 2``; 0 if nobody tied, infinite if everybody did."""
    side: float | None
    """delta: log-odds of left over right between equal methods; None if not fitted."""
    log_likelihood: float
    notes: tuple[str, ...] = ()
    """What a reader must know, such as ``regularised; separation``."""


@dataclass(frozen=True, eq=False)
class Davidson(Strengths):
    """A fit with its uncertainty: strengths and what follows from them, ties, side effect."""

    point: DavidsonPoint
    side: Interval | None
    """delta; None if not fitted."""
    votes: int
    diverging: tuple[tuple[int, int], ...] = ()
    """Pairs of methods, the better first, whose difference no finite number fits."""
    side_diverges: bool = False
    """Whether no finite side effect fits."""


def fit_davidson(votes: PairVotes, side_effect: bool = True) -> Davidson:
    """Fit the model to votes, with two-way cluster-robust (rater x item) covariance.

    Args:
        votes: pairwise votes.
        side_effect: fit delta; it is left out, with a note, where the design cannot tell it from strengths.

    Returns:
        The fit, of each piece of the comparison graph by itself. Data in which no finite strengths fit (some group of
        methods never loses to, or never ties with, the rest; or does so on one side) get a prior ``theta ~ N(0, 2^2)``,
        intervals by profile likelihood, and a note. No vote is ever invented for a cell.

    Raises:
        ArithmeticError: the fit does not converge.
    """
    counts = votes.counts()
    model, solution, notes = _solve(counts, side_effect)
    point = model.point(solution, notes)
    if model.degenerate:
        nothing = np.zeros((votes.n_methods,) * 2)
        _, raters = codes(votes.rater)
        _, items = codes(votes.item)
        return Davidson(
            point.strength,
            Covariance(nothing, nothing, (("raters", raters), ("items", items)), unseen="every vote is a tie"),
            point,
            None,
            len(votes),
            pieces=model.pieces,
        )
    covariance = _parameter_covariance(votes, model, solution)
    thetas = np.zeros((votes.n_methods, model.width))
    thetas[:, : model.strengths] = model.basis
    direction = model.direction
    diverging, endless = _diverging(model, direction), bool(model.side and direction is not None and direction[-1])
    side = None
    if model.side and point.side is not None:
        side = covariance.interval(point.side, np.eye(model.width)[-1])
        if direction is not None:
            side = Interval(point.side, None, None, None, "no finite strengths fit, which gives no interval")
    why = "no finite strengths fit" if direction is not None else model.by_ties_alone(counts)
    profile = Profile(model.features, model.cells(counts[None])[0], why=why) if why else None
    return Davidson(
        point.strength,
        covariance.transformed(thetas),
        point,
        side,
        len(votes),
        diverging,
        endless,
        pieces=model.pieces,
        profile=profile,
        basis=None if profile is None else thetas,
    )


def _diverging(model: _Model, direction: FloatArray | None) -> tuple[tuple[int, int], ...]:
    """Pairs that were compared and that the likelihood drives apart, the better first."""
    if direction is None:
        return ()
    theta = model.basis @ direction[: model.strengths]
    met = dict.fromkeys((min(a, b), max(a, b)) for a, b in zip(*map(np.ndarray.tolist, model.pairs), strict=True))
    return tuple((a, b) if theta[a] > theta[b] else (b, a) for a, b in met if abs(theta[a] - theta[b]) > 1e-6)


@dataclass(frozen=True, eq=False)
class _Model:
    """Features of the ordered pairs that were shown, for :func:`maximise`."""

    pieces: tuple[IntArray, ...]
    basis: FloatArray
    """``(n, strengths)`` orthonormal, columns summing to 0 within every piece: theta = basis @ beta."""
    pairs: tuple[IntArray, IntArray]
    features: FloatArray
    """``(pairs, alternatives, P)``."""
    ties: bool
    """Whether ties occurred; if not, nu is 0 and the alternative does not exist."""
    side: bool
    precision: FloatArray | None
    start: FloatArray
    degenerate: bool
    """Whether every vote is a tie."""
    note: str = ""
    direction: FloatArray | None = None
    """``(P,)``: where no finite parameters fit, what grows without end."""

    @property
    def strengths(self) -> int:
        """How many of the parameters are strengths."""
        return int(self.basis.shape[1])

    @property
    def width(self) -> int:
        return int(self.features.shape[2])

    def cells(self, counts: FloatArray) -> FloatArray:
        """``(B, n, n, 3)`` counts as ``(B, pairs, alternatives)``."""
        cells = counts[:, self.pairs[0], self.pairs[1]]
        return cells if self.ties else cells[:, :, [0, 2]]

    def solve(self, counts: FloatArray) -> Solution:
        return maximise(self.features, self.cells(counts), self.start, precision=self.precision)

    def by_ties_alone(self, counts: FloatArray) -> str:
        """What to say where methods of one piece are joined by ties alone; empty where none are.

        Votes that all say the same have no spread to take an error from, so the likelihood itself must say how far
        they reach.
        """
        decided = len(components((counts[:, :, 0] + counts[:, :, 2]) > 0))
        return BY_TIES if decided > len(self.pieces) else ""

    def point(self, solution: Solution, notes: tuple[str, ...]) -> DavidsonPoint:
        n = len(self.basis)
        notes = (*notes, *filter(None, (self.note,)))
        if self.degenerate:
            return DavidsonPoint(np.zeros(n), math.inf, None, 0.0, (*notes, "every vote is a tie"))
        beta = solution.beta[0]
        strength = self.basis @ beta[: self.strengths]
        ties = math.exp(float(beta[self.strengths])) if self.ties else 0.0
        side = float(beta[-1]) if self.side else None
        return DavidsonPoint(strength, ties, side, float(solution.log_likelihood[0]), notes)


def _solve(counts: FloatArray, side_effect: bool) -> tuple[_Model, Solution, tuple[str, ...]]:
    if counts.ndim != 3 or counts.shape[0] != counts.shape[1] or counts.shape[2] != 3 or len(counts) < 2:
        raise ValueError(f"counts must have shape (n, n, 3) with at least two methods, got {counts.shape}")
    model = _model(counts, side_effect, regularised=False)
    solution = model.solve(counts[None])
    direction = None
    if not model.degenerate:
        if solution.converged[0] and not _suspect(model, counts, solution):
            return model, solution, tuple(filter(None, [model.by_ties_alone(counts)]))
        direction = separated(model.features, model.cells(counts[None])[0])
        if direction is None and not solution.converged[0]:
            direction = np.zeros(model.width)
    if direction is None:
        return model, solution, ()
    model = replace(_model(counts, side_effect, regularised=True), direction=direction)
    solution = model.solve(counts[None])
    if not solution.converged[0]:
        raise ArithmeticError("the Davidson model does not converge on these votes, even with a prior")
    return model, solution, (SEPARATION,)


def _suspect(model: _Model, counts: FloatArray, solution: Solution) -> bool:
    """Whether something that never happened is so unlikely that the solver may have stopped on an endless slope."""
    logits = model.features @ solution.beta[0]
    chance = np.exp(logits - logits.max(axis=1, keepdims=True))
    cells = model.cells(counts[None])[0]
    expected = cells.sum(axis=1, keepdims=True) * chance / chance.sum(axis=1, keepdims=True)
    return bool((expected[cells == 0] < 1e-2).any())


def _model(counts: FloatArray, side_effect: bool, regularised: bool) -> _Model:
    shown = counts.sum(axis=2) > 0
    left, right = (side.astype(np.int64) for side in np.nonzero(shown))
    ties, decisive = float(counts[:, :, 1].sum()), float(counts[:, :, [0, 2]].sum())
    pieces = tuple(components(shown))
    basis = basis_of(pieces)
    strengths = basis.shape[1]
    contrast = basis[left] - basis[right]
    side = side_effect
    if side:
        design = np.concatenate([contrast, np.ones((len(left), 1))], axis=1)
        side = bool(np.linalg.matrix_rank(design) > np.linalg.matrix_rank(contrast))
    mean, zero, one = (basis[left] + basis[right]) / 2, np.zeros((len(left), 1)), np.ones((len(left), 1))
    rows = {"left": [basis[left], zero, one / 2], "tie": [mean, one, zero], "right": [basis[right], zero, -one / 2]}
    columns = [0, *([1] if ties else []), *([2] if side else [])]
    names = ["left", "tie", "right"] if ties else ["left", "right"]
    features = np.stack([np.concatenate([rows[name][c] for c in columns], axis=1) for name in names], axis=1)
    start = np.zeros(features.shape[2])
    precision = np.zeros(features.shape[2])
    precision[:strengths] = 1 / PRIOR_SD**2
    if ties and decisive:
        start[strengths] = math.log(2 * ties / decisive)
    if side:
        precision[-1] = 1 / PRIOR_SD**2
    note = ""
    if side_effect and not (shown & shown.T).any():
        alone = "not fitted and cannot be told from strength" if not side else "told from strength by the model alone"
        note = f"no pair was shown both ways round: an advantage of one side is {alone}"
    return _Model(
        pieces,
        basis,
        (left, right),
        features,
        bool(ties),
        side,
        precision if regularised else None,
        start,
        not decisive,
        note,
    )


def _parameter_covariance(votes: PairVotes, model: _Model, solution: Solution) -> Covariance:
    """Sandwich: inverse information around the two-way clustered scores of the votes."""
    beta = solution.beta[0]
    logits = model.features @ beta
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    residuals = model.features - np.einsum("sk,skp->sp", probabilities, model.features)[:, None]
    inverse = np.linalg.inv(solution.information[0])
    influence = residuals @ inverse
    n = votes.n_methods
    row = np.zeros((n, n), dtype=np.int64)
    row[model.pairs] = np.arange(len(model.features))
    alternative = 1 - votes.outcome if model.ties else (1 - votes.outcome) // 2
    return two_way_covariance(influence[row[votes.left, votes.right], alternative], votes.rater, votes.item)
