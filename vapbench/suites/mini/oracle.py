"""What the mini suite knows of its cases beyond their files: the effect in words, depth and optical flow.

Methods may ask for it where they say so, as a reference row ("how well does a perfect reader do?") or in place of an
estimator that full-size videos need.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from vapbench.core.case import Case
from vapbench.errors import UsageError
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.cases import MiniCase, benchmark_cases
from vapbench.suites.mini.render import render_depth, render_flow
from vapbench.suites.mini.writer import DATA_VERSION


def plain_caption(case: Case) -> str:
    """The target's caption with the effect in plain words, where the benchmark's names it by its code name.

    Raises:
        UsageError: the case is none of the mini suite's.
    """
    return clip_captions(_known(case).target).plain


def rendered_depth(case: Case) -> npt.NDArray[np.float32]:
    """Depth of the case's reference as the renderer knows it: ``(T, H, W)`` float32 in 0..1, 1 nearest.

    Raises:
        UsageError: the case is none of the mini suite's.
    """
    return render_depth(*_known(case).reference.resolve())


def rendered_flow(case: Case) -> npt.NDArray[np.float32]:
    """Forward flow of the case's reference as the renderer knows it: ``(T - 1, H, W, 2)`` pixels, (right, down).

    Raises:
        UsageError: the case is none of the mini suite's.
    """
    return render_flow(*_known(case).reference.resolve())


def renderer_version(case: Case) -> str:
    """The version of the renderer that answers for the case, for keys.

    Raises:
        UsageError: the case is none of the mini suite's.
    """
    _known(case)
    return f"mini-{DATA_VERSION}"


def _known(case: Case) -> MiniCase:
    known = _cases().get(case.id)
    if known is None:
        raise UsageError(
            f"{case.id} is no case of the mini suite, which alone knows plain captions, depth and flow: "
            "use --suite mini, or leave the parameter at its default."
        )
    return known


@cache
def _cases() -> dict[str, MiniCase]:
    return {case.id: case for case in benchmark_cases()}
