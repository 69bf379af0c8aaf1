"""What must not change a frame: order of cases, offloading, encodings that are kept.

Offloading moves weights to and from an accelerator. Its hooks, accelerate's, run on a CPU as well: ``sequential``
takes every weight out of the pipeline and gives each layer its own for the time of its call, so that whatever looks at
a weight at another time fails here as it would on a GPU. What cannot be tested without a GPU is the copying itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import cpu_offload

from tests.baselines.conftest import CONDITIONS
from tests.baselines.test_pipelines import CPU, frames, loaded
from vapbench.core.case import Case
from vapbench.methods import pipelines
from vapbench.suites import find_suite

PARITY = Path(__file__).parents[1] / "data" / "parity" / "vap"
VAP, VAP_WAN = PARITY / "cogvideox_pipeline" / "pipeline", PARITY / "wan_pipeline" / "pipeline"
# Those that are not slow hold the paths of both architectures; that of adapters has a short form below.
FAMILIES = (
    *("vace-depth", "vap"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("i2v", "i2v-wan", "lora", "vap-wan")),
)


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Load a method of a family; its checkpoint is made when it is first asked for."""

    def text(name: str) -> str:
        own = "frames=5,height=64,width=96"
        if name == "vap":
            return f"vap:weights={VAP},{own}"
        if name == "vap-wan":
            return f"vap-wan:weights={VAP_WAN},{own}"
        folder = request.getfixturevalue({"i2v-wan": "wan_i2v", "vace-depth": "wan_vace"}.get(name, "cogvideox_i2v"))
        adapters = f",adapters={request.getfixturevalue('adapters')}" if name == "lora" else ""
        return f"{name}:weights={folder}{adapters}" + (",source=rendered" if name == "vace-depth" else "")

    return lambda name: aligned(loaded(text(name)))


def aligned(method: Any) -> Any:
    """The method with its weights copied: CPU kernels differ in a last bit by how a file's bytes lie in memory."""
    for part in method.pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part._apply(torch.clone)
    return method


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    mini = find_suite("mini").cases(None)
    return [next(case for case in mini if case.condition == name) for name in CONDITIONS]


def place(pipeline: Any, offload: str, device: torch.device) -> None:
    """Do what diffusers does, which calls the device ``cpu:0``: there the hooks' parameters come out as tensors."""
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
        return
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            cpu_offload(part, device, offload_buffers=len(part._parameters) > 0)


@pytest.mark.parametrize("name", FAMILIES)
def test_neither_offloading_nor_the_order_changes_a_frame(
    name: str, make: Callable[[str], Any], cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, moved = make(name), make(name)
    wanted = [frames(plain, case) for case in cases]
    assert not np.array_equal(wanted[0], wanted[1])
    monkeypatch.setattr(pipelines, "place", place)
    for offload in ("model", "sequential"):
        # ``setup`` refuses it on a CPU, where it would gain nothing.
        moved.offload = offload
        moved.pipeline.remove_all_hooks()
        place(moved.pipeline, offload, CPU)
        # The other way round: nothing of another case is left behind.
        for index in (1, 0):
            assert np.array_equal(frames(moved, cases[index]), wanted[index])
        on_meta = any(weight.is_meta for weight in moved.pipeline.transformer.parameters())
        assert on_meta == (offload == "sequential")


def test_adapters_are_exchanged_while_layers_visit_the_device(
    make: Callable[[str], Any], cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, moved = make("lora"), make("lora")
    monkeypatch.setattr(pipelines, "place", place)
    moved.offload = "sequential"
    place(moved.pipeline, "sequential", CPU)
    before = frames(moved, cases[0])
    wanted = frames(plain, cases[1])
    assert np.array_equal(frames(moved, cases[1]), wanted) and not np.array_equal(before, wanted)
    assert any(weight.is_meta for weight in moved.pipeline.transformer.parameters())


@pytest.mark.parametrize("name", FAMILIES)
def test_videos_are_encoded_once_for_all_seeds(name: str, make: Callable[[str], Any], cases: list[Case]) -> None:
    method = make(name)
    calls: list[int] = []
    method.pipeline.vae.encoder.register_forward_hook(lambda *_: calls.append(1))
    first = [frames(method, cases[0], seed) for seed in range(2)]
    once = len(calls)
    # A seed more, and the first again after another case: the encoder is not asked.
    second = frames(method, cases[0], 2)
    assert len(calls) == once
    frames(method, cases[1])
    again = len(calls)
    assert np.array_equal(frames(method, cases[0], 0), first[0])
    assert len(calls) == again > once
    # What is kept is not what the seed decides.
    assert np.array_equal(frames(make(name), cases[0], 2), second)
    assert not np.array_equal(first[0], first[1])


def test_the_oldest_encodings_make_room(make: Callable[[str], Any], cases: list[Case]) -> None:
    method = make("i2v")
    encode = method.pipeline.vae.encode
    pictures = [torch.full((1, 3, 1, 64, 64), level / 20) for level in range(17)]
    with torch.no_grad():
        posteriors = [encode(picture).latent_dist.mean for picture in pictures]
        calls: list[int] = []
        method.pipeline.vae.encoder.register_forward_hook(lambda *_: calls.append(1))
        assert torch.equal(encode(pictures[16]).latent_dist.mean, posteriors[16])
        assert not calls
        assert torch.equal(encode(pictures[0]).latent_dist.mean, posteriors[0])
        assert len(calls) == 1
