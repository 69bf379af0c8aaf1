"""dynamic_degree against the vectors made with VBench's own code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.metrics.conftest import CPU, TinyWeights, moving_clip, view
from tests.refusals import refuses
from vapbench.core.clip import Clip
from vapbench.errors import ErrorKind, NotApplicable, UsageError, WeightsError
from vapbench.metrics import resolve
from vapbench.metrics.base import Metric, weights_of
from vapbench.metrics.dynamic_degree import (
    RaftDynamicDegree,
    is_dynamic,
    may_turn,
    motion_threshold,
    pairs_needed,
    sampling_interval,
)
from vapbench.metrics.features.flow import DisFlow, RaftFlow, normalise
from vapbench.metrics.features.precision import exact_float32


@pytest.fixture(scope="module")
def expected(vectors: Path) -> dict[str, Any]:
    return dict(json.loads((vectors / "raft" / "expected.json").read_text()))


@pytest.fixture(scope="module")
def rules(vectors: Path) -> dict[str, Any]:
    return dict(json.loads((vectors / "raft" / "rules.json").read_text()))


@pytest.fixture(scope="module")
def tensors(vectors: Path) -> dict[str, torch.Tensor]:
    return load_file(vectors / "raft" / "vectors.safetensors")


@pytest.fixture(scope="module")
def quirky(tiny: TinyWeights) -> Metric:
    metric, _ = resolve(f"{tiny.spec('dynamic_degree[raft]')},vbench_quirks=true")
    metric.setup(CPU)
    return metric


def test_pairs_needed(rules: dict[str, Any]) -> None:
    assert {kept: pairs_needed(int(kept)) for kept in rules["count_num_by_K"]} == rules["count_num_by_K"]


def test_thresholds(rules: dict[str, Any]) -> None:
    found = {size: motion_threshold(*map(int, size.split("x"))) for size in rules["threshold_by_hw"]}
    assert found == rules["threshold_by_hw"]


def test_sampling(rules: dict[str, Any]) -> None:
    for fps, wanted in rules["interval_and_K_by_fps_and_N"].items():
        interval = sampling_interval(float(fps))
        assert interval == wanted.pop("interval"), fps
        for length, kept in wanted.items():
            assert len(range(0, int(length.split("=")[1]), interval)) == kept, (fps, length)


def test_decisions(rules: dict[str, Any]) -> None:
    for row in rules["check_move_480x720"]:
        assert row["count_num"] == pairs_needed(row["K"])
        assert is_dynamic(row["scores"], row["threshold"], row["count_num"]) is row["dynamic"], row


def test_decisions_on_the_vectors(expected: dict[str, Any]) -> None:
    for name, row in expected.items():
        if not name.startswith("_"):
            decided = is_dynamic(row["top5pct_magnitude_per_pair"], row["threshold"], row["count_num"])
            assert decided is row["dynamic"], name


def test_padding(tensors: dict[str, torch.Tensor]) -> None:
    found = normalise(tensors["frames"][:2].permute(0, 3, 1, 2))
    assert torch.equal(found, 2 * (tensors["padded_input_pair0"].float() / 255) - 1)


@pytest.mark.parametrize("name", [pytest.param("fps8", marks=pytest.mark.slow), "fps30", "k2_static", "k1"])
def test_raft_scores(name: str, quirky: Metric, expected: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    _check_case(quirky, expected[name], tensors["frames"])


@pytest.mark.parametrize(
    "name",
    [
        *("k2_motion", "k3", "k2_from_2frames_fps16"),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("fps12", "fps16", "fps20", "fps24", "k6_fps8", "static13")
        ),
    ],
)
def test_raft_scores_of_more_cases(name: str, quirky: Metric, all_vectors: Path) -> None:
    row = json.loads((all_vectors / "raft" / "expected.json").read_text())[name]
    _check_case(quirky, row, load_file(all_vectors / "raft" / "vectors.safetensors")["frames"])


def _check_case(metric: Metric, row: dict[str, Any], frames: torch.Tensor) -> None:
    clip = Clip(frames[row["frame_indices_in_frames_tensor"]].numpy(), row["fps_tag"])
    scored = metric.score(view(clip), None)  # type: ignore[arg-type]
    assert scored.value == float(row["dynamic"])
    assert scored.parts["magnitudes"] == pytest.approx(row["top5pct_magnitude_per_pair"], rel=1e-4)
    assert scored.parts["threshold"] == row["threshold"]
    assert (scored.parts["interval"], scored.parts["need"]) == (row["interval"], row["count_num"])


@pytest.mark.parametrize("batch", [None, 1, 2])
def test_raft_flow_whatever_the_batch(batch: int | None, tiny: TinyWeights, tensors: dict[str, torch.Tensor]) -> None:
    flow = RaftFlow(tiny.raft, CPU)
    frames = tensors["frames"][:3].permute(0, 3, 1, 2)
    with exact_float32(CPU):
        found = torch.cat(list(flow(frames, batch)))
    assert len(found) == 2
    torch.testing.assert_close(found[:1], tensors["fps8_flow_up_pairs_0"], rtol=0, atol=1e-4)


def test_raft_flow_that_leaves_the_frame(
    tiny: TinyWeights, tensors: dict[str, torch.Tensor], expected: dict[str, Any]
) -> None:
    flow = RaftFlow(tiny.raft, CPU)
    last = flow.model.update_block.flow_head.conv2
    with exact_float32(CPU):
        last.weight.mul_(32)
        last.bias.mul_(32)
        found = torch.cat(list(flow(tensors["frames"][:5:4].permute(0, 3, 1, 2))))
    torch.testing.assert_close(found, tensors["bigflow_fps30_flow_up_pair_0"], rtol=0, atol=5e-3)


def test_raft_flow_of_more_pairs(tiny: TinyWeights, all_vectors: Path) -> None:
    tensors = load_file(all_vectors / "raft" / "vectors.safetensors")
    with exact_float32(CPU):
        found = torch.cat(list(RaftFlow(tiny.raft, CPU)(tensors["frames"][::4].permute(0, 3, 1, 2), 2)))
    torch.testing.assert_close(found, tensors["fps30_flow_up_pairs_all"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("magnitudes", "unsure"),
    [([12.0] * 6, False), ([11.3] * 6, True), ([11.2] * 6, True), ([9.0] * 6, False), ([12.0, 11.3, 9.0], True)],
)
def test_which_decisions_a_percent_could_turn(magnitudes: list[float], unsure: bool) -> None:
    assert may_turn(magnitudes, threshold=11.25, need=2) is unsure


@pytest.mark.slow
def test_a_close_decision_is_made_again_exactly(
    tiny: TinyWeights, build: Callable[[str], Metric], tensors: dict[str, torch.Tensor]
) -> None:
    """Within 1 %, two pairs of the vectors' frames lie on either side of the threshold; two must move."""
    clip = Clip(tensors["frames"][::2].numpy(), 8)
    fast, _ = resolve(f"{tiny.spec('dynamic_degree[raft]')},precision=fast")
    fast.setup(CPU)
    exact, found = (metric.score(view(clip), None) for metric in (build("dynamic_degree[raft]"), fast))  # type: ignore[arg-type]
    assert found.parts["computed_again_exactly"] is True
    assert found.parts["magnitudes"] == exact.parts["magnitudes"]
    assert found.value == exact.value == 0


def test_two_sampled_frames_are_unscored_without_the_quirk(build: Callable[[str], Metric]) -> None:
    clip = moving_clip(4, fps=16)
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "frames"):
        build("dynamic_degree[raft]").score(view(clip), None)  # type: ignore[arg-type]


def test_frames_too_small_for_raft_are_unscored(build: Callable[[str], Metric]) -> None:
    small = moving_clip(5, 120, 200)
    with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "size"):
        build("dynamic_degree[raft]").score(view(small), None)  # type: ignore[arg-type]
    assert build("dynamic_degree[dis]").score(view(small), None).value is not None  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(2, 9), (9, 5), (12, 12), (16, 24)])
def test_dis_takes_tiny_frames(size: tuple[int, int], build: Callable[[str], Metric]) -> None:
    clip = Clip(np.random.default_rng(0).integers(0, 255, (4, *size, 3), dtype=np.uint8), 8)
    assert build("dynamic_degree[dis]").score(view(clip), None).value is not None  # type: ignore[arg-type]


def test_frames_too_small_for_any_flow_are_unscored(build: Callable[[str], Metric]) -> None:
    clip = moving_clip(3, 8, 8)
    for name in ("dynamic_degree[dis]", "motion_smoothness[warp]"):
        with refuses(NotApplicable, ErrorKind.NOT_APPLICABLE, "size"):
            build(name).score(view(clip), None)  # type: ignore[arg-type]


def test_the_frame_rate_decides_what_is_sampled(build: Callable[[str], Metric]) -> None:
    metric = build("dynamic_degree[dis]")
    found = {fps: metric.score(view(moving_clip(9, fps=fps)), None).parts for fps in (8, 24)}  # type: ignore[arg-type]
    assert {fps: (parts["interval"], parts["frames"]) for fps, parts in found.items()} == {
        8: (1, 9),
        24: (3, 3),
    }
    assert {fps: parts["fps"] for fps, parts in found.items()} == {8: 8, 24: 24}


def test_dis_does_not_depend_on_the_thread_count() -> None:
    import cv2

    rng = np.random.default_rng(0)
    pairs = [
        tuple(moving_clip(2, 240, 360, step=9).frames),
        tuple(rng.integers(0, 255, (2, 200, 304, 3), np.uint8)),
    ]
    before = cv2.getNumThreads()
    try:
        for first, second in pairs:
            found = []
            for threads in (1, 2, 7):
                cv2.setNumThreads(threads)
                flow = DisFlow()
                found.append(flow(flow.grey(first), flow.grey(second)))
            assert all(np.array_equal(found[0], other) for other in found[1:])
    finally:
        cv2.setNumThreads(before)


def test_weights_enter_the_key(tiny: TinyWeights) -> None:
    assert weights_of(RaftDynamicDegree(weights=tiny.raft)) == (tiny.raft,)


def test_a_named_checkpoint_must_exist(tmp_path: Path) -> None:
    with refuses(UsageError, ErrorKind.MISSING, "weights"):
        RaftDynamicDegree(weights=tmp_path / "absent.pth")


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with refuses(WeightsError, ErrorKind.INVALID, "weights", "raft_large", tmp_path / "other.pth"):
        RaftDynamicDegree(weights=tmp_path / "other.pth").setup(CPU)
