from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.refusals import refuses
from vapbench.core.case import Case
from vapbench.core.clip import Clip
from vapbench.errors import ErrorKind, NotApplicable
from vapbench.methods import resolve


def generate(name: str, case: Case, seed: int = 0) -> Clip:
    method = resolve(name).method
    method.setup(torch.device("cpu"))
    made = method.generate(case, seed)
    assert isinstance(made, Clip)
    return made


@pytest.mark.parametrize("name", ["noise", "frozen", "copy-reference", "ground-truth"])
def test_floors_keep_the_suites_clip_spec(name: str, make_case: Callable[..., Case]) -> None:
    case = make_case(clip={"frames": 9, "fps": 12, "height": 16, "width": 24})
    clip = generate(name, case)
    assert clip.frames.shape == (9, 16, 24, 3)
    assert clip.fps == 12


def test_each_floor_is_what_it_says(make_case: Callable[..., Case]) -> None:
    case = make_case()
    assert np.array_equal(generate("ground-truth", case).frames, case.target.read().frames)  # type: ignore[union-attr]
    assert np.array_equal(generate("copy-reference", case).frames, case.reference.video.read().frames)
    frozen = generate("frozen", case).frames
    assert np.array_equal(frozen[0], frozen[-1])
    assert np.array_equal(frozen[0], case.image.first_frame())
    assert np.array_equal(generate("noise", case, 1).frames, generate("noise", case, 1).frames)
    assert not np.array_equal(generate("noise", case, 1).frames, generate("noise", case, 2).frames)


def test_without_a_target_the_ceiling_is_unscored(make_case: Callable[..., Case]) -> None:
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "target"):
        generate("ground-truth", make_case(target=None))
