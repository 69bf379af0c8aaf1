"""The benchmark split of the mini suite, and the proof that training never saw it.

Every condition has two cases: seen ones make the category tasks, held-out ones the task ``zero-shot``. Each
case has scenes of its own, and target and reference differ in the main subject's shape and colour, so that
nothing but the semantic carries over. The suite's next version has cases of its own, on conditions of the grammar.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from vapbench.errors import DataError, ErrorKind
from vapbench.suites.mini.captions import clip_captions
from vapbench.suites.mini.conditions import CATEGORIES, HELD_OUT, SEEN, Category, Condition, condition
from vapbench.suites.mini.grammar.codes import code_of
from vapbench.suites.mini.grammar.split import seen_conditions, zero_shot_conditions
from vapbench.suites.mini.render import MiniClip, render_scene
from vapbench.suites.mini.scenes import Scene, draw_scene, scene_number

CASES_PER_CONDITION = 2
_REFERENCES_AFTER = 1_000  # targets are test scenes 1000, 1001, ...; references are scenes 2000, 2001, ...
_GRAMMAR_FROM = 3_000  # the same from scene 4000 on


@dataclass(frozen=True)
class MiniCase:
    """One benchmark item as names and numbers; both clips can be rendered from it."""

    id: str
    """``<condition>--<target scene>--<reference scene>``, unique and safe in paths."""
    condition: str
    """Code name."""
    category: Category
    zero_shot: bool
    """Whether the condition is kept from training."""
    target: MiniClip
    """Ground truth; its frame 0 is the target first frame."""
    reference: MiniClip
    """The same condition on another scene, with another variation."""
    target_caption: str
    """Benchmark caption of the target."""
    reference_caption: str
    """Benchmark caption of the reference."""


def benchmark_cases() -> list[MiniCase]:
    """All cases: those of seen conditions by category, then the zero-shot ones."""
    return _cases((*SEEN, *HELD_OUT), first=0)


def grammar_cases() -> list[MiniCase]:
    """The cases of the suite's next version, on conditions of the grammar: seen ones by category, then zero-shot."""
    seen = [code_of(semantics) for category in CATEGORIES for semantics in seen_conditions(category)]
    unseen = [code_of(semantics) for category in CATEGORIES for semantics in zero_shot_conditions(category)]
    return _cases([condition(code) for code in (*seen, *unseen)], first=_GRAMMAR_FROM)


def _cases(conditions: Iterable[Condition], first: int) -> list[MiniCase]:
    cases: list[MiniCase] = []
    used: set[int] = set()
    for named in conditions:
        for _ in range(CASES_PER_CONDITION):
            target = draw_scene(scene_number("test", first + len(cases)))
            reference = _reference_for(target, used, first + _REFERENCES_AFTER)
            used.add(reference.number)
            cases.append(_case(named, target, reference))
    return cases


def training_clip(name: str, index: int) -> MiniClip:
    """The ``index``-th training scene under a seen condition, of the suite or of its grammar.

    Raises:
        UsageError: there is no such condition.
        DataError: the condition is held out, or the index is negative.
    """
    if condition(name).held_out:
        raise DataError(
            f"{name} is held out for zero-shot; its only clips are those of the benchmark.",
            ErrorKind.CONFLICT,
            "condition",
        )
    return _clip(name, scene_number("train", index))


def check_no_leak(train_scenes: int = 20_000, rendered: int = 500) -> None:
    """Prove that no scene of the benchmark is among the first training scenes.

    Args:
        train_scenes: how many training scenes to compare with by the hash of their data.
        rendered: how many of those to compare with by the hash of their rendered picture as well.

    Raises:
        DataError: a scene is in both; the message names it.
    """
    cases = benchmark_cases() + grammar_cases()
    numbers = sorted({spec.scene for case in cases for spec in (case.target, case.reference)})
    train = [draw_scene(scene_number("train", index)) for index in range(train_scenes)]
    find_leak([draw_scene(number) for number in numbers], train, rendered)


def find_leak(test: Iterable[Scene], train: Iterable[Scene], rendered: int) -> None:
    """Compare two sets of scenes by what they show.

    Args:
        test: scenes of the benchmark.
        train: scenes of training.
        rendered: how many of the training scenes to compare by picture as well as by data.

    Raises:
        DataError: a scene is in both sets; the message names it.
    """
    tested = list(test)
    by_content = {scene.content_hash(): scene for scene in tested}
    by_picture = {_picture_hash(scene): scene for scene in tested}
    for index, scene in enumerate(train):
        twin = by_content.get(scene.content_hash())
        if twin is None and index < rendered:
            twin = by_picture.get(_picture_hash(scene))
        if twin is not None:
            raise DataError(
                f"test {twin.name} is in the training data as {scene.name}; "
                "a benchmark on it would reward memory: change the split of scene numbers.",
                ErrorKind.CONFLICT,
                "scene",
            )


def _reference_for(target: Scene, used: set[int], index: int) -> Scene:
    while True:
        number = scene_number("test", index)
        scene = draw_scene(number)
        index += 1
        unlike = scene.main.shape != target.main.shape and scene.main.colour != target.main.colour
        if number not in used and unlike:
            return scene


def _case(named: Condition, target: Scene, reference: Scene) -> MiniCase:
    specs = [_clip(named.name, scene.number) for scene in (target, reference)]
    target_caption, reference_caption = (clip_captions(spec).benchmark for spec in specs)
    return MiniCase(
        id=f"{named.name}--{target.name}--{reference.name}",
        condition=named.name,
        category=named.category,
        zero_shot=named.held_out,
        target=specs[0],
        reference=specs[1],
        target_caption=target_caption,
        reference_caption=reference_caption,
    )


def _clip(name: str, scene: int) -> MiniClip:
    # The variation is drawn from the scene's number: another scene, another variation.
    return MiniClip(name, scene, variation=scene)


def _picture_hash(scene: Scene) -> str:
    return hashlib.sha256(render_scene(scene).tobytes()).hexdigest()
