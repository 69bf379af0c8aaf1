"""Small 3-D convolutions taken frame by frame: the same values and gradients, by torch's fast code."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from vapbench.models.convolutions import convolve_in_planes

CASES: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((1, 4, 5, 8, 8), {"kernel_size": 3}),
    ((1, 4, 5, 8, 8), {"kernel_size": 3, "padding": 1, "bias": False}),
    ((1, 4, 7, 9, 8), {"kernel_size": 3, "padding": 1, "stride": 2}),
    ((1, 4, 6, 8, 8), {"kernel_size": (3, 1, 1), "padding": (1, 0, 0)}),
    ((1, 4, 5, 8, 8), {"kernel_size": (1, 3, 3), "stride": (1, 2, 2)}),
    ((1, 4, 1, 8, 8), {"kernel_size": 1}),
    ((2, 4, 5, 8, 8), {"kernel_size": 3, "padding": 1}),
    ((1, 4, 5, 8, 8), {"kernel_size": 3, "padding": 1, "groups": 2}),
    ((1, 4, 5, 8, 8), {"kernel_size": 3, "padding": 1, "dilation": 2}),
    ((1, 4, 5, 8, 8), {"kernel_size": 3, "padding": 1, "padding_mode": "replicate"}),
]


@pytest.mark.parametrize(("shape", "arguments"), CASES)
def test_values_and_gradients_stay_the_same(shape: tuple[int, ...], arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    layer, clip = nn.Conv3d(4, 6, **arguments), torch.randn(shape, requires_grad=True)
    expected = layer(clip)
    inputs = [clip, *layer.parameters()]
    gradients = torch.autograd.grad(expected.square().sum(), inputs)
    convolve_in_planes(layer)
    made = layer(clip)
    torch.testing.assert_close(made, expected)
    torch.testing.assert_close(torch.autograd.grad(made.square().sum(), inputs), gradients, rtol=1e-4, atol=1e-4)


def test_a_small_clip_leaves_the_slow_code() -> None:
    layer, clip = nn.Conv3d(16, 16, 3, padding=1), torch.randn(1, 16, 5, 16, 16)
    assert "aten::slow_conv3d" in _operations(layer, clip)  # Where torch mends this, the module can go.
    convolve_in_planes(layer)
    assert "aten::slow_conv3d" not in _operations(layer, clip)


def test_bfloat16_is_left_to_autocast() -> None:
    layer, clip = nn.Conv3d(4, 4, 3), torch.randn(1, 4, 5, 8, 8)
    convolve_in_planes(layer)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(clip).dtype == torch.bfloat16


def _operations(layer: nn.Module, clip: torch.Tensor) -> set[str]:
    with torch.no_grad(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        layer(clip)
    return {event.key for event in profile.key_averages()}
