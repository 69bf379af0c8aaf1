from __future__ import annotations

from pathlib import PurePath

import pytest

from vapbench.methods.finding import Cases, Place

CASES = Cases(["mini_a--s0--r0", "mini_a--s0--r0-2", "mini_b--scene-1--scene-2", "vidu_x--my-cat--r.1"])


@pytest.mark.parametrize(
    ("path", "case", "seed"),
    [
        ("mini_a--s0--r0.mp4", "mini_a--s0--r0", None),
        ("any/where/mini_a--s0--r0.mov", "mini_a--s0--r0", None),
        ("MINI_A--S0--R0.MP4", "mini_a--s0--r0", None),
        ("mini_a--s0--r0__s1.mp4", "mini_a--s0--r0", 1),
        ("mini_a--s0--r0__s12__0a1b2c3d.mp4", "mini_a--s0--r0", 12),
        ("mini_a--s0--r0__s-3__0a1b2c3d.mp4", "mini_a--s0--r0", -3),
        ("mini_a--s0--r0_seed0.mp4", "mini_a--s0--r0", 0),
        ("mini_a--s0--r0-seed-7.webm", "mini_a--s0--r0", 7),
        ("mini_a--s0--r0 Seed 7.webm", "mini_a--s0--r0", 7),
        ("mini_a--s0--r0.seed=7.webm", "mini_a--s0--r0", 7),
        ("mini_a--s0--r0-2.mp4", "mini_a--s0--r0-2", None),
        ("mini_a--s0--r0-2__s2.mp4", "mini_a--s0--r0-2", 2),
        ("vidu_x--my cat--r.1.mp4", "vidu_x--my-cat--r.1", None),
        ("mini_b/scene-1--scene-2.mp4", "mini_b--scene-1--scene-2", None),
        ("mini_b/scene-1--scene-2__s9.mp4", "mini_b--scene-1--scene-2", 9),
        ("mini_b/seed_9/scene-1--scene-2.mp4", "mini_b--scene-1--scene-2", 9),
        ("seed4/mini_b--scene-1--scene-2.mp4", "mini_b--scene-1--scene-2", 4),
        ("seed4/mini_b--scene-1--scene-2__s5.mp4", "mini_b--scene-1--scene-2", 5),
        ("mini_b--scene-1--scene-2/output.mp4", "mini_b--scene-1--scene-2", None),
        ("mini_b--scene-1--scene-2/003.mp4", "mini_b--scene-1--scene-2", 3),
        ("mini_b--scene-1--scene-2/video_s5.mp4", "mini_b--scene-1--scene-2", 5),
        ("mini_b--scene-1--scene-2/seed5/x.mp4", "mini_b--scene-1--scene-2", 5),
    ],
)
def test_a_name_says_case_and_seed(path: str, case: str, seed: int | None) -> None:
    assert CASES.place(PurePath(path)) == Place(case, seed)


@pytest.mark.parametrize(
    "path",
    [
        "a cat walks.mp4",
        "mini_a--s0--r0-1.mp4",
        "mini_a--s0--r0 (1).mp4",
        "mini_a--s0.mp4",
        "x_mini_a--s0--r0.mp4",
        "scene-1--scene-2.mp4",
        "vidu_x--猫--r.1.mp4",
        "seed4/x.mp4",
    ],
)
def test_what_may_be_something_else_is_no_case(path: str) -> None:
    assert CASES.place(PurePath(path)) is None


def test_the_nearest_case() -> None:
    assert CASES.nearest("x_mini_b--scene-1--scene-2") == "mini_b--scene-1--scene-2"
    assert CASES.nearest("猫") == ""


def test_ids_that_differ_in_case_alone_are_found_exactly_or_not_at_all() -> None:
    cases = Cases(["a--B--c", "a--b--c"])
    assert cases.find("a--B--c") == "a--B--c"
    assert cases.find("A--B--C") is None
