"""The change of look: of a style, whatever the scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.metrics.conftest import CPU
from tests.metrics.test_camera_agreement import clip_of
from tests.refusals import refuses
from vapbench.core.case import Case, ClipSpec, Media, Reference
from vapbench.core.clip import Clip
from vapbench.core.video import write_lossless
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.metrics.base import Score
from vapbench.metrics.style_agreement import STILL, StyleAgreement
from vapbench.metrics.view import ClipView
from vapbench.suites.mini.render import FPS, FRAMES

STYLES = ("mini_dekavu", "mini_hurine", "mini_pemulo", "mini_jataro")


def agreement(output: Clip, reference: Clip, folder: Path) -> Score:
    path = folder / "reference.mkv"
    write_lossless(path, reference)
    spec = ClipSpec(frames=len(output), fps=output.fps, height=64, width=64)
    case = Case(id="a", condition="c", references=(Reference(video=Media(path=path)),), clip=spec)
    found = StyleAgreement().score(ClipView(output, case, CPU), case)
    assert found.value is not None and -1 <= found.value <= 1
    return found


@pytest.mark.parametrize("name", STYLES)
def test_a_style_on_another_scene_is_closer_than_another_style_on_the_same_scene(name: str, tmp_path: Path) -> None:
    output = clip_of(name, 50)
    own = agreement(output, clip_of(name, 51), tmp_path).value or 0
    assert own > 0.5
    for other in set(STYLES) - {name}:
        assert own > (agreement(output, clip_of(other, 50), tmp_path).value or 0)


def test_a_clip_that_keeps_its_look_agrees_with_nothing(tmp_path: Path) -> None:
    styled = clip_of("mini_pemulo", 50)
    frozen = Clip(styled.frames[:1].repeat(FRAMES, axis=0), FPS)
    assert agreement(frozen, styled, tmp_path).value == 0
    noted = agreement(styled, frozen, tmp_path)
    assert noted.value == 0 and noted.kind == STILL
    assert agreement(styled, clip_of("mini_pemulo", 51), tmp_path).kind == ""


def test_mirroring_changes_nothing_and_backwards_turns_it_around(tmp_path: Path) -> None:
    output, reference = clip_of("mini_pemulo", 50), clip_of("mini_pemulo", 51)
    usual = agreement(output, reference, tmp_path).value or 0
    assert agreement(Clip(output.frames[:, :, ::-1], FPS), reference, tmp_path).value == pytest.approx(usual, abs=0.01)
    assert (agreement(Clip(output.frames[::-1], FPS), reference, tmp_path).value or 0) < 0


def test_the_parts_name_what_changes(tmp_path: Path) -> None:
    frames = np.full((6, 32, 32, 3), 90, np.uint8)
    frames[3:] = 200
    brighter = Clip(frames, FPS)
    parts = agreement(brighter, brighter, tmp_path).parts
    assert max(parts["change"], key=lambda name: parts["change"][name]) == "brightness"


def test_one_frame_has_no_change(tmp_path: Path) -> None:
    clip = clip_of("mini_pemulo", 50)
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "frames"):
        agreement(Clip(clip.frames[:1], FPS), clip, tmp_path)
