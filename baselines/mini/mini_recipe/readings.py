"""Verdicts on clips of the grammar: how near what is read off them is to what they were meant to show."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np
import numpy.typing as npt

from vapbench.suites.mini.grammar.codes import semantics_of
from vapbench.suites.mini.grammar.distance import features, typical
from vapbench.suites.mini.grammar.reading import read
from vapbench.suites.mini.render import MiniClip
from vapbench.suites.mini.scenes import draw_scene

Features = npt.NDArray[np.float64]


def told_apart(found: Sequence[Features], specs: Sequence[MiniClip]) -> dict[str, float]:
    """How often clips are read as what they were meant to show, and how near it on average.

    Args:
        found: what is read off each clip, in the numbers of :func:`vapbench.suites.mini.grammar.distance.features`.
        specs: the clips as meant.

    Returns:
        ``all`` and each category: the share of clips that are read as nearer to the condition meant than to any other
        of the category that is asked for. ``score`` and ``score_<category>``: means of 100 where a clip shows exactly
        what it was meant to, 0 where it is as far from that as any two conditions are.
    """
    meant = [semantics_of(spec.condition) for spec in specs]
    asked = {spec.condition: truth for spec, truth in zip(specs, meant, strict=True)}
    right, scores = [], []
    for numbers, spec, truth in zip(found, specs, meant, strict=True):
        away = {
            code: float(np.linalg.norm(numbers - features(other))) / typical(truth.category)
            for code, other in asked.items()
            if other.category == truth.category
        }
        right.append(min(away, key=away.__getitem__) == spec.condition)
        scores.append(100 * max(0.0, 1 - away[spec.condition]))
    shares, means = {"all": float(np.mean(right))}, {"score": float(np.mean(scores))}
    for category in dict.fromkeys(truth.category for truth in meant):
        rows = [row for row, truth in enumerate(meant) if truth.category == category]
        shares[category] = float(np.mean([right[row] for row in rows]))
        means[f"score_{category}"] = float(np.mean([scores[row] for row in rows]))
    return {name: round(value, 4) for name, value in shares.items()} | {
        name: round(value, 1) for name, value in means.items()
    }


def fitted(
    clips: npt.NDArray[np.uint8], specs: Sequence[MiniClip], executor: Executor | None = None
) -> dict[str, float]:
    """The verdict of the reader that fits renders on clips ``(B, F, H, W, 3)`` uint8."""
    spread = map if executor is None else partial(executor.map, chunksize=4)
    return told_apart(list(spread(_fit, clips, specs)), specs)


def _fit(clip: npt.NDArray[np.uint8], spec: MiniClip) -> Features:
    return features(read(clip, draw_scene(spec.scene), semantics_of(spec.condition).category).semantics)
