r"""What makes a case hard: captions that say unlike things, subjects of unlike structure; and how each is measured.

**Caption mismatch** of what a method is shown: :math:`1 - |A \cap B| / |A \cup B|` of the words of the target's and the
reference's caption, in lower case; 0 for the same words, 1 for none in common.

**Structural dissimilarity** of target and reference: one less the cosine of their first frames' histograms of oriented
gradients (Dalal and Triggs, 2005: 9 directions, cells of 8 pixels, blocks of four cells) after both are resized to
64 x 64 and turned grey; 0 for the same edges in the same places, whatever their colours and brightness. It needs no
weights, and is of whole frames: it does not know which part of a frame is the subject.

How alignment falls with either is the slope of scores on it within a case, with an interval by condition: scores of one
case under several captions, or under several references of its condition. What cases differ by otherwise cancels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from vapbench.core.clip import Frames
from vapbench.core.video import read_first_frame
from vapbench.stats.arrays import FloatArray
from vapbench.stats.intervals import Estimate, clustered_mean

DISSIMILARITY_VERSION = 1
_SIDE, _CELL, _DIRECTIONS = 64, 8, 9


@dataclass(frozen=True)
class Point:
    """One output: how hard its case was, and its score."""

    x: float
    y: float
    group: Hashable
    """Points of one group are compared with each other."""
    cluster: str


@dataclass(frozen=True)
class Slope:
    """How a score changes, within cases, with a measure that goes from 0 to 1."""

    estimate: Estimate | None
    """Change of the score from 0 to 1 of the measure; None where the measure does not differ within any group."""
    n: int
    """Outputs of groups within which the measure differs."""
    low: float | None
    """Range of the measure in them."""
    high: float | None
    reason: str = ""


def caption_mismatch(target: str | None, reference: str | None) -> float:
    """How little two captions share: 0 the same words, 1 no word in common or none at all."""
    a, b = (set(re.findall(r"\w+", (text or "").casefold())) for text in (target, reference))
    return 1 - len(a & b) / len(a | b) if a | b else 1.0


def structural_dissimilarity(a: Frames, b: Frames) -> float:
    """How unlike the edges of two pictures ``(H, W, 3)`` uint8 RGB lie: 0 the same, about 1 nothing in common."""
    x, y = _gradients(a), _gradients(b)
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    return max(0.0, 1 - float(x @ y) / lengths) if lengths else 1.0


@lru_cache(maxsize=4096)
def dissimilarity_of(a: Path, b: Path) -> float:
    """The same of two files: images, or videos by their first frame.

    Raises:
        DataError: a file cannot be read.
    """
    return structural_dissimilarity(read_first_frame(a), read_first_frame(b))


def slope_of(points: Sequence[Point]) -> Slope:
    r"""Least-squares slope within groups, with an interval by cluster.

    Each point's value is :math:`\beta + n x_i (y_i - \beta x_i) / \sum_j x_j^2`, with :math:`x` and :math:`y` less
    their group's means: their mean is the slope :math:`\beta`, and their spread by cluster its sandwich variance.
    """
    if not points:
        return Slope(None, 0, None, None, "there is no score")
    centres: dict[Hashable, list[Point]] = {}
    for point in points:
        centres.setdefault(point.group, []).append(point)
    # A group of one x says nothing of the slope: its condition must not count as one that was looked at.
    telling = [point for point in points if len({other.x for other in centres[point.group]}) > 1]
    places = [point.x for point in telling or points]
    low, high = min(places), max(places)
    inner = [
        (point.x - math.fsum(p.x for p in group) / len(group), point.y - math.fsum(p.y for p in group) / len(group))
        for point in telling
        for group in [centres[point.group]]
    ]
    squares = math.fsum(x * x for x, _ in inner)
    if squares < 1e-12:
        return Slope(None, len(points), low, high, "it does not differ")
    beta = math.fsum(x * y for x, y in inner) / squares
    values = [beta + len(telling) * x * (y - beta * x) / squares for x, y in inner]
    return Slope(clustered_mean(values, [point.cluster for point in telling]), len(telling), low, high)


def _gradients(picture: Frames) -> FloatArray:
    """Histograms of gradients, ``(blocks x 4 x 9,)``, each block of unit length."""
    import cv2

    small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    down, right = np.gradient(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64))
    # A direction and its opposite are one: an edge is as much one from dark to light as the other way.
    turns = np.arctan2(down, right) / np.pi % 1 * _DIRECTIONS
    first, part = np.floor(turns).astype(int) % _DIRECTIONS, turns % 1
    strength = np.hypot(down, right)
    votes = np.zeros((_SIDE, _SIDE, _DIRECTIONS))
    rows, columns = np.indices(first.shape)
    votes[rows, columns, first] += strength * (1 - part)
    votes[rows, columns, (first + 1) % _DIRECTIONS] += strength * part
    count = _SIDE // _CELL
    cells = votes.reshape(count, _CELL, count, _CELL, _DIRECTIONS).sum(axis=(1, 3))
    blocks = np.concatenate([cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]], axis=-1)
    lengths = np.linalg.norm(blocks, axis=-1, keepdims=True)
    return np.where(lengths > 0, blocks / np.where(lengths > 0, lengths, 1), 0).ravel()
