"""The base models and VACE, through the same code as at full size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.refusals import refuses
from vapbench import depth_to_rgb, rendered_depth
from vapbench.core.case import Case
from vapbench.core.clip import Clip, Frames
from vapbench.errors import ErrorKind, UsageError, WeightsError
from vapbench.methods import resolve
from vapbench.methods.base import Method
from vapbench.suites import find_suite

CLIP = {"frames": 13, "fps": 8, "height": 64, "width": 64}
CPU = torch.device("cpu")


def loaded(text: str) -> Method:
    method = resolve(f"{text},steps=2,dtype=float32").method
    method.setup(CPU)
    return method


def frames(method: Method, case: Case, seed: int = 0) -> Frames:
    made = method.generate(case, seed)
    assert isinstance(made, Clip)
    return made.frames


@pytest.fixture(scope="module")
def mini() -> list[Case]:
    return find_suite("mini").cases(None)


@pytest.fixture
def text_of(cogvideox_i2v: Path, wan_i2v: Path, wan_vace: Path) -> Callable[[str], str]:
    folders = {"i2v": cogvideox_i2v, "i2v-wan": wan_i2v}

    def text(name: str) -> str:
        return f"{name}:weights={folders.get(name, wan_vace)}" + (",source=rendered" if "vace" in name else "")

    return text


NAMES = (
    *("i2v", "i2v-wan", "vace-depth"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("vace-original", "vace-flow")),
)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_and_the_case_alone_decide_the_frames(
    name: str, text_of: Callable[[str], str], mini: list[Case]
) -> None:
    one, two = mini[0], mini[30]
    method, other = loaded(text_of(name)), loaded(text_of(name))
    first, second = frames(method, one), frames(method, two)
    assert first.shape == (13, 64, 64, 3)
    # The other way round, in a process that has made something else before.
    assert np.array_equal(frames(other, two), second)
    assert np.array_equal(frames(other, one), first)
    assert not np.array_equal(frames(method, one, seed=1), first)
    assert not np.array_equal(first, second)


def test_the_control_is_the_reference_its_depth_or_its_flow(text_of: Callable[[str], str], mini: list[Case]) -> None:
    case = next(case for case in mini if case.condition == "mini_rodeka")
    made = {}
    for name in ("vace-original", "vace-depth", "vace-flow"):
        method = loaded(text_of(name))
        made[name] = method.control_video(case, case.clip)  # type: ignore[attr-defined]
    assert np.array_equal(made["vace-original"], case.reference.video.read().frames)
    depth, flow = made["vace-depth"], made["vace-flow"]
    assert (depth == depth[..., :1]).all()
    # The renderer's own scale, 1 nearest, as the tiny model was trained on; estimates are brought to 0..1 first.
    assert np.array_equal(depth, depth_to_rgb(rendered_depth(case)))
    assert np.array_equal(flow[0], flow[1])
    assert len(flow) == 13


def test_the_control_steers_and_its_strength_counts(text_of: Callable[[str], str], mini: list[Case]) -> None:
    case = mini[0]
    swapped = case.model_copy(update={"references": mini[20].references})
    method = loaded(text_of("vace-original"))
    assert not np.array_equal(frames(method, case), frames(method, swapped))
    without = loaded(f"{text_of('vace-original')},strength=0")
    assert np.array_equal(frames(without, case), frames(without, swapped))


def test_the_schedules_shift_is_the_methods_and_the_negative_prompt_counts(
    text_of: Callable[[str], str], mini: list[Case]
) -> None:
    method = loaded(text_of("vace-original"))
    assert method.pipeline.scheduler.config.flow_shift == 16.0  # type: ignore[attr-defined]
    own = loaded(f"{text_of('vace-original')},shift=none")
    assert own.pipeline.scheduler.config.flow_shift == 3.0  # type: ignore[attr-defined]
    assert not np.array_equal(frames(method, mini[0]), frames(own, mini[0]))
    for name in ("i2v-wan", "vace-original"):
        without = loaded(f"{text_of(name)},negative_prompt=")
        assert not np.array_equal(frames(loaded(text_of(name)), mini[0]), frames(without, mini[0]))


def test_the_base_within_a_vap_folder_is_the_base(cogvideox_i2v: Path, vap_around_it: Path, mini: list[Case]) -> None:
    alone, within = (frames(loaded(f"i2v:weights={folder}"), mini[0]) for folder in (cogvideox_i2v, vap_around_it))
    assert np.array_equal(alone, within)


def test_a_copied_index_does_not_hide_the_expert_beside_the_base(
    cogvideox_i2v: Path, vap_around_it: Path, mini: list[Case], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(vap_around_it, copy)
    shutil.copy(cogvideox_i2v / "model_index.json", copy)
    alone, within = (frames(loaded(f"i2v:weights={folder}"), mini[0]) for folder in (cogvideox_i2v, copy))
    assert np.array_equal(alone, within)


def test_plain_captions_are_the_mini_suites_and_enter_the_key(cogvideox_i2v: Path, mini: list[Case]) -> None:
    text = f"i2v:weights={cogvideox_i2v},captions=plain"
    told = resolve(text).method
    (caption,) = told.inputs(mini[0])
    assert "balloon" in str(caption)
    assert resolve(f"i2v:weights={cogvideox_i2v}").method.inputs(mini[0]) == []
    method = loaded(text)
    assert frames(method, mini[0]).shape == (13, 64, 64, 3)
    with refuses(UsageError, ErrorKind.UNKNOWN, "case", "--suite mini"):
        told.inputs(mini[0].model_copy(update={"id": "vidu_x--a--b"}))


def test_captions_are_encoded_once_per_run(cogvideox_i2v: Path, mini: list[Case]) -> None:
    method = loaded(f"i2v:weights={cogvideox_i2v}")
    encoder, calls = method.pipeline.text_encoder, []  # type: ignore[attr-defined]
    encoder.register_forward_hook(lambda *_: calls.append(1))
    for seed in range(3):
        frames(method, mini[0], seed)
    assert len(calls) == 2  # the caption and the empty one


def test_tiles_change_memory_and_little_else(cogvideox_i2v: Path, mini: list[Case]) -> None:
    whole, tiled = (loaded(f"i2v:weights={cogvideox_i2v}{extra}") for extra in ("", ",tiling=true"))
    assert tiled.pipeline.vae.use_tiling  # type: ignore[attr-defined]
    assert frames(tiled, mini[0]).shape == frames(whole, mini[0]).shape


@pytest.mark.slow
def test_compiling_changes_time_and_hardly_a_frame(cogvideox_i2v: Path, mini: list[Case]) -> None:
    plain, compiled = (loaded(f"i2v:weights={cogvideox_i2v}{extra}") for extra in ("", ",compile=true"))
    assert compiled.pipeline.transformer._compiled_call_impl is not None  # type: ignore[attr-defined]
    apart = frames(plain, mini[0]).astype(int) - frames(compiled, mini[0])
    assert abs(apart).max() <= 2


@pytest.mark.parametrize(
    ("break_it", "kind", "part"),
    [
        (lambda part: part.unlink(), ErrorKind.MISSING, "model_index.json"),
        (lambda part: shutil.rmtree(part), ErrorKind.MISSING, "text_encoder"),
        (lambda part: part.unlink(), ErrorKind.MISSING, "vae/diffusion_pytorch_model.safetensors"),
        (lambda part: _cut(part), ErrorKind.DAMAGED, "transformer/diffusion_pytorch_model.safetensors"),
    ],
)
def test_half_a_download_is_named(
    break_it: Callable[[Path], object], kind: ErrorKind, part: str, cogvideox_i2v: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "half"
    shutil.copytree(cogvideox_i2v, folder)
    break_it(folder / part)
    with refuses(WeightsError, kind, Path(part).name, part):
        loaded(f"i2v:weights={folder}")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_another_pipelines_folder_is_refused(wan_vace: Path) -> None:
    with refuses(WeightsError, ErrorKind.CONFLICT, "weights", "WanVACEPipeline", "CogVideoXImageToVideo"):
        loaded(f"i2v:weights={wan_vace}")


def test_the_estimator_is_part_of_what_the_method_is(wan_vace: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"name": name}))
    identities = [
        resolve(f"vace-depth:weights={wan_vace},depth_model={tmp_path / name}").method.identity() for name in "ab"
    ]
    assert identities[0] != identities[1]


def test_flow_without_raft_says_how_to_fetch_it(wan_vace: Path) -> None:
    with refuses(WeightsError, ErrorKind.MISSING, "weights", "vapbench data weights fetch raft-large"):
        resolve(f"vace-flow:weights={wan_vace}").method.identity()
