"""Structure in colours: what control models were trained to read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.utils import flow_to_image

import vapbench
from tests.refusals import refuses
from vapbench import depth_to_rgb, flow_to_rgb, unit_depth
from vapbench.core.control import SMALLEST_FLOW
from vapbench.errors import ErrorKind


def test_flow_has_the_colours_of_an_independent_implementation() -> None:
    flow = np.random.default_rng(0).normal(scale=3.0, size=(4, 16, 24, 2)).astype(np.float32)
    frames = flow_to_rgb(flow)
    assert frames.shape == (5, 16, 24, 3)
    assert frames.dtype == np.uint8
    for shown, vectors in zip(frames[1:], flow, strict=True):
        expected = flow_to_image(torch.from_numpy(vectors).permute(2, 0, 1)).permute(1, 2, 0).numpy()
        assert np.abs(shown.astype(int) - expected).max() <= 1


def test_the_first_frame_repeats_the_second_for_want_of_a_flow() -> None:
    flow = np.random.default_rng(1).normal(size=(2, 8, 8, 2))
    frames = flow_to_rgb(flow)
    assert np.array_equal(frames[0], frames[1])


def test_stillness_is_white_and_its_noise_is_not_amplified() -> None:
    assert (flow_to_rgb(np.zeros((3, 8, 8, 2))) == 255).all()
    noise = np.full((1, 8, 8, 2), SMALLEST_FLOW / 100)
    assert flow_to_rgb(noise).min() > 245


def test_nearest_is_white() -> None:
    depth = np.array([[[0.0, 0.5, 1.0, 1.5]]])
    assert depth_to_rgb(depth)[0, 0, :, 0].tolist() == [0, 128, 255, 255]
    assert depth_to_rgb(depth).shape == (1, 1, 4, 3)


@pytest.mark.parametrize("depth", [np.zeros((4, 4)), np.full((1, 4, 4), np.nan)])
def test_depth_of_another_form_is_refused(depth: np.ndarray) -> None:
    with refuses(vapbench.DataError, ErrorKind.INVALID, "depth"):
        depth_to_rgb(depth)


@pytest.mark.parametrize("flow", [np.zeros((2, 4, 4)), np.zeros((0, 4, 4, 2)), np.full((1, 4, 4, 2), np.inf)])
def test_flow_of_another_form_is_refused(flow: np.ndarray) -> None:
    with refuses(vapbench.DataError, ErrorKind.INVALID, "flow"):
        flow_to_rgb(flow)


def test_estimated_depth_gets_a_scale_for_each_frame() -> None:
    depth = np.linspace(3.0, 7.0, 24).reshape(2, 3, 4)
    shown = depth_to_rgb(unit_depth(depth))
    assert [(frame.min(), frame.max()) for frame in shown] == [(0, 255), (0, 255)]
    assert np.array_equal(shown[0], shown[1])
    assert not unit_depth(np.ones((2, 3, 4))).any()
