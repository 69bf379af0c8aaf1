"""Code names: the parameters, both ways, and no hint of them in the letters."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.refusals import refuses
from vapbench.errors import DataError, ErrorKind, UsageError
from vapbench.suites.mini.conditions import CATEGORIES, CONDITIONS, condition, draw_variation
from vapbench.suites.mini.grammar.codes import code_of, is_code, semantics_of
from vapbench.suites.mini.grammar.drawing import draw
from vapbench.suites.mini.grammar.parameters import Camera, Concept, Motion, Style
from vapbench.suites.mini.grammar.split import all_training_conditions, zero_shot_conditions
from vapbench.suites.mini.scenes import seeded

EVERY = [*all_training_conditions(), *(s for category in CATEGORIES for s in zero_shot_conditions(category))]


def test_every_condition_is_read_back_from_its_code() -> None:
    drawn = [draw(category, seeded("test", index)) for category in CATEGORIES for index in range(300)]
    for semantics in (*EVERY, *drawn):
        assert semantics_of(code_of(semantics)) == semantics


def test_codes_are_different_path_safe_and_none_of_the_suites_own_names() -> None:
    codes = [code_of(semantics) for semantics in EVERY]
    assert len(set(codes)) == len(codes) > 600
    assert all(re.fullmatch(r"mini_([bdfgjklmnprstvwz][aeio]){5}", code) for code in codes)
    assert not any(is_code(name) for name in CONDITIONS)


def test_a_misspelt_code_is_refused_and_not_taken_for_another_condition() -> None:
    code = code_of(Camera(direction=0.25, distance=0.3))
    letters = "abdefgijklmnoprstvwz"
    changed = [code[:place] + letter + code[place + 1 :] for place in range(5, 15) for letter in letters]
    misspelt = [word for word in changed if word != code]
    # Eight bits check a code, so about one in 256 wrong ones would pass.
    assert sum(map(is_code, misspelt)) <= 2
    wrong = next(word for word in misspelt if not is_code(word))
    with refuses(UsageError, ErrorKind.UNKNOWN, "condition", wrong):
        semantics_of(wrong)
    with refuses(UsageError, ErrorKind.UNKNOWN, "condition", wrong):
        condition(wrong)


def test_neighbouring_conditions_have_names_unlike_each_other() -> None:
    near = [code_of(Camera(direction=0.25, distance=round(0.1 * step, 1)))[5:] for step in range(1, 10)]
    shared = [sum(a == b for a, b in zip(x, y, strict=True)) for x in near for y in near if x < y]
    assert max(shared) <= 7
    assert sum(shared) / len(shared) < 4


def test_parameters_that_do_nothing_or_lie_between_the_values_have_no_code() -> None:
    with refuses(UsageError, ErrorKind.INVALID, "code", "Camera("):
        code_of(Camera(direction=0.25, zoom=0.5))
    with refuses(UsageError, ErrorKind.INVALID, "code", "Camera.zoom of 0.51"):
        code_of(Camera(zoom=0.51))
    with refuses(DataError, ErrorKind.INVALID, "Camera.zoom", "1.5", "-1.0 to 1.0"):
        Camera(zoom=1.5)
    with refuses(DataError, ErrorKind.INVALID, "Style.texture", "'wool'", "plain, lines"):
        Style(texture="wool")  # type: ignore[arg-type]
    with refuses(DataError, ErrorKind.INVALID, "Style.hue"):
        Style(hue=1.0)


def test_a_code_is_a_condition_with_words_that_tell_every_parameter() -> None:
    move = Camera(direction=0.25, distance=0.3, roll=-0.1)
    assert condition(code_of(move)).description == (
        "the camera pans towards 90 degrees by 30 percent and rolls anticlockwise by 36 degrees"
    )
    assert condition(code_of(move)).category == "camera"
    words = [condition(code_of(semantics)).description for semantics in EVERY]
    assert len(set(words)) == len(words)
    # Full stops end sentences of captions, and numbers are words of a small vocabulary.
    assert all(re.fullmatch(r"[a-z0-9{} ]+", text) for text in words)
    assert len({word for text in words for word in text.split()}) < 200


def test_clips_of_a_condition_differ_by_scene_and_not_by_speed() -> None:
    variation = draw_variation(code_of(Motion(turn=0.5)), 3)
    assert (variation.speed, variation.amplitude) == (1.0, 1.0)
    assert draw_variation(code_of(Motion(turn=0.5)), 4) != variation


def test_the_canonical_form_says_nothing_of_what_is_not_there() -> None:
    assert Style(texture="plain", period=9.0, angle=0.5).canonical() == Style()
    assert Style(texture="dots", period=9.0, angle=0.5).canonical() == Style(texture="dots", period=9.0)
    assert Motion(direction=0.5, cycles=0.5, turn=1.0).canonical() == Motion(turn=1.0)
    assert Motion(direction=0.5, cycles=0.5, swell=0.4).canonical() == Motion(cycles=0.5, swell=0.4)
    assert Concept(outline="disc", lobes=7.0, hue=0.5).canonical() == Concept(outline="disc")
    star = Concept(outline="star", lobes=7.0, material="glow", hue=0.5)
    assert star.canonical() == star
    assert replace(star, material="own").canonical().hue == 0.0
