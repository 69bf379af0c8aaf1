"""What the mini suite knows of its cases beyond their files: the effect in words, depth and optical flow.

Methods may ask for it where they say so, as a reference row ("how well does a perfect reader do?") or in place of an
estimator that full-size videos need.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from vapbench.core.case import Case
from vapbench.errors import ErrorKind, NotApplicable, UsageError
from vapbench.suites.mini.captions import clip_captions, naming_effects
from vapbench.suites.mini.cases import MiniCase, benchmark_cases, grammar_cases
from vapbench.suites.mini.conditions import CONDITIONS, condition
from vapbench.suites.mini.grammar.codes import GRAMMAR_VERSION
from vapbench.suites.mini.render import MiniClip, render_depth, render_flow
from vapbench.suites.mini.scenes import draw_scene
from vapbench.suites.mini.writer import DATA_VERSION, video_path


def plain_caption(case: Case) -> str:
    """The target's caption with the effect in plain words, where the case's names it by its code name.

    A caption that names none says as much in plain words.

    Raises:
        UsageError: the case is none of the mini suite's.
    """
    known = _known(case)
    names = CONDITIONS if known.condition in CONDITIONS else {each.condition for each in _grammar_cases().values()}
    in_words = {name: condition(name).description for name in names}
    return naming_effects(case.caption or "", draw_scene(known.target.scene), in_words)


def effect_captions(case: Case, other: str) -> tuple[str, str]:
    """The target's caption without its effect, and the same caption with another condition's effect.

    Args:
        case: one of the mini suite's.
        other: code name of the other condition.

    Raises:
        UsageError: the case is none of the mini suite's.
    """
    target = _known(case).target
    captions = clip_captions(target)
    return captions.scene, naming_effects(captions.benchmark, draw_scene(target.scene), {case.condition: other})


def rendered_depth(case: Case) -> npt.NDArray[np.float32]:
    """Depth of the case's reference as the renderer knows it: ``(T, H, W)`` float32 in 0..1, 1 nearest.

    Raises:
        UsageError: the case is none of the mini suite's.
        NotApplicable: its reference is no clip that the renderer made.
    """
    return render_depth(*_reference(case).resolve())


def rendered_flow(case: Case) -> npt.NDArray[np.float32]:
    """Forward flow of the case's reference as the renderer knows it: ``(T - 1, H, W, 2)`` pixels, (right, down).

    Raises:
        UsageError: the case is none of the mini suite's.
        NotApplicable: its reference is no clip that the renderer made.
    """
    return render_flow(*_reference(case).resolve())


def grammar_target(case: Case) -> MiniClip:
    """What the target of a case of the suite's next version was rendered from.

    Raises:
        NotApplicable: it is no such case.
    """
    known = _grammar_cases().get(case.id)
    if known is None:
        raise NotApplicable(
            f"{case.id} is no case on a condition of the mini suite's grammar, whose renderer is asked",
            field="condition",
        )
    return known.target


def renderer_version(case: Case) -> str:
    """The version of the renderer that answers for the case, for keys.

    Raises:
        UsageError: the case is none of the mini suite's.
    """
    known = _known(case)
    return f"mini-{DATA_VERSION}" if known.condition in CONDITIONS else f"mini-{DATA_VERSION}-{GRAMMAR_VERSION}"


def _reference(case: Case) -> MiniClip:
    """What the case's reference was rendered from: any clip of the suite, not only the one that belongs to it."""
    known = _known(case)
    named = "/".join(case.reference.video.path.parts[-2:])
    cases = _cases() if known.condition in CONDITIONS else _grammar_cases()
    clips = {video_path(spec): spec for each in cases.values() for spec in (each.target, each.reference)}
    if named not in clips:
        raise NotApplicable(
            f"the renderer did not make the reference {case.reference.video.path.name}", field="reference"
        )
    return clips[named]


def _known(case: Case) -> MiniCase:
    known = _cases().get(case.id) or _grammar_cases().get(case.id)
    if known is None:
        raise UsageError(
            f"{case.id} is no case of the mini suite, which alone knows plain captions, depth and flow: "
            "use --suite mini, or leave the parameter at its default.",
            ErrorKind.UNKNOWN,
            "case",
        )
    return known


@cache
def _cases() -> dict[str, MiniCase]:
    return {case.id: case for case in benchmark_cases()}


@cache
def _grammar_cases() -> dict[str, MiniCase]:
    return {case.id: case for case in grammar_cases()}
