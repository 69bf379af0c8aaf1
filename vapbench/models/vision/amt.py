"""AMT-S: the frame half-way between two (Li et al. 2023, "AMT: All-Pairs Multi-Field Transforms").

Written from the paper and from measurements; parameter names are those of the public checkpoint ``amt-s.pth``
(2,990,543 parameters). Flows point from the wanted frame to either neighbour, x first, in pixels of the resolution
they are at.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, interpolate, leaky_relu

from vapbench.models.vision.correlation import AllPairs, Volumes, grid
from vapbench.models.vision.instance_norm import InstanceNorm

_CHANNELS = (20, 32, 44, 56)
_SIDE_CHANNELS = 20
_FIELDS = 3
_LEVELS, _RADIUS = 4, 3
_FEATURES = 84


@dataclass(frozen=True)
class Flows:
    """Flow ``(n, 2 k, h, w)`` from the wanted frame to the first and to the second one."""

    first: Tensor
    second: Tensor

    def __add__(self, other: Flows) -> Flows:
        return Flows(self.first + other.first, self.second + other.second)

    @property
    def joined(self) -> Tensor:
        """Both along the channels."""
        return torch.cat([self.first, self.second], dim=1)

    @classmethod
    def split(cls, joined: Tensor) -> Flows:
        """Undo :attr:`joined`. Positions stay in float32 whatever the networks use."""
        return cls(*joined.float().chunk(2, dim=1))

    def resized(self, factor: float) -> Flows:
        """The same motion at ``factor`` times the resolution."""
        return Flows(factor * _resize(self.first, factor), factor * _resize(self.second, factor))


@dataclass(frozen=True)
class Interpolated:
    """What the network says of a pair."""

    frame: Tensor
    """``(n, 3, H, W)`` float in 0..1."""
    flows: tuple[Flows, ...]
    """At 1/8, 1/4, 1/2 (as each decoder leaves them, refined) and full resolution (three fields)."""


class AmtS(nn.Module):
    """The small AMT."""

    def __init__(self) -> None:
        super().__init__()
        one, two, three, four = _CHANNELS
        self.feat_encoder = _FeatureEncoder()
        self.encoder = _PyramidEncoder()
        self.decoder4 = _Decoder(2 * four + 1, 2 * four, three + 4)
        self.decoder3 = _Decoder(3 * three + 4, 3 * three, two + 4)
        self.decoder2 = _Decoder(3 * two + 4, 3 * two, one + 4)
        self.decoder1 = _Decoder(3 * one + 4, 3 * one, 8 * _FIELDS)
        self.update4 = _Update(three, 1)
        self.update3 = _Update(two, 2)
        self.update2 = _Update(one, 4)
        self.comb_block = nn.Sequential(_conv(3 * _FIELDS, 6 * _FIELDS), nn.PReLU(6 * _FIELDS), _conv(6 * _FIELDS, 3))

    def forward(
        self,
        first: Tensor,
        second: Tensor,
        time: float = 0.5,
        budget: int | None = None,
        volumes: tuple[Volumes, Volumes] | None = None,
    ) -> Interpolated:
        """Interpolate between frames.

        Args:
            first: ``(n, 3, H, W)`` float in 0..1, sides multiples of 16. Below 128 the original gives NaN (its
                coarsest correlation is one cell wide), so nothing can be compared with it.
            second: the same of the later frames.
            time: when, between 0 and 1.
            budget: bytes the correlation may take.
            volumes: of the pair before in either direction, see :class:`AllPairs`.

        Returns:
            The frames at ``time``.
        """
        mean = torch.cat([first, second], dim=2).mean(dim=(1, 2, 3), keepdim=True)
        first, second = first - mean, second - mean
        correlation = _Correlation(self.feat_encoder(first), self.feat_encoder(second), time, budget, volumes)
        pyramids = self.encoder(first), self.encoder(second)

        coarse = [pyramid[3] for pyramid in pyramids]
        when = torch.full_like(coarse[0][:, :1], time)
        out = self.decoder4(torch.cat([*coarse, when], dim=1))
        flows, features = Flows.split(out[:, :4]), out[:, 4:]
        flows4, features = self.update4(flows, features, correlation)
        flows, features = self._refine(self.decoder3, features, pyramids, 2, flows4)
        flows3, features = self.update3(flows, features, correlation)
        flows, features = self._refine(self.decoder2, features, pyramids, 1, flows3)
        flows2, features = self.update2(flows, features, correlation)

        out = self.decoder1(_aligned(features, pyramids, 0, flows2))
        steps, masks, residuals = out.split([4 * _FIELDS, _FIELDS, 3 * _FIELDS], dim=1)
        coarser = flows2.resized(2)
        flows1 = Flows.split(steps) + Flows(
            coarser.first.repeat(1, _FIELDS, 1, 1), coarser.second.repeat(1, _FIELDS, 1, 1)
        )
        frame = self._merge(first, second, flows1, masks.sigmoid(), residuals, mean)
        return Interpolated(frame, (flows4, flows3, flows2, flows1))

    @staticmethod
    def _refine(
        decoder: nn.Module, features: Tensor, pyramids: tuple[list[Tensor], list[Tensor]], level: int, flows: Flows
    ) -> tuple[Flows, Tensor]:
        out = decoder(_aligned(features, pyramids, level, flows))
        return Flows.split(out[:, :4]) + flows.resized(2), out[:, 4:]

    def _merge(
        self, first: Tensor, second: Tensor, flows: Flows, masks: Tensor, residuals: Tensor, mean: Tensor
    ) -> Tensor:
        """Blend the neighbours under each flow field; average the fields, and add what the combining block finds."""
        fields = []
        for field in range(_FIELDS):
            to_first, to_second = (flow[:, 2 * field : 2 * field + 2] for flow in (flows.first, flows.second))
            mask, residual = masks[:, field : field + 1], residuals[:, 3 * field : 3 * field + 3]
            blend = mask * _warp(first, to_first) + (1 - mask) * _warp(second, to_second)
            fields.append(blend + mean + residual)
        average = torch.stack(fields).mean(dim=0)
        combined: Tensor = average + self.comb_block(torch.cat(fields, dim=1))
        return combined.clamp(0, 1)


class _Correlation:
    """Correlation in both directions, looked up where the flows through the wanted frame lead.

    On a straight path, the flow to the second frame over 1 - t is the way from the first to the second, and what
    remains of it from here is ``flow / t`` seen from the other side (the paper's linear-motion assumption).
    """

    def __init__(
        self,
        first: Tensor,
        second: Tensor,
        time: float,
        budget: int | None,
        volumes: tuple[Volumes, Volumes] | None,
    ) -> None:
        half = None if budget is None else budget // 2
        there, back = volumes or ({}, {})
        self._forward = AllPairs(first, second, levels=_LEVELS, radius=_RADIUS, budget=half, volumes=there)
        self._backward = AllPairs(second, first, levels=_LEVELS, radius=_RADIUS, budget=half, volumes=back)
        self._grid, self._time = grid(first), time

    def __call__(self, flows: Flows) -> Tensor:
        """``(n, 392, h, w)`` for flows at 1/8 resolution."""
        forward = self._forward.lookup(self._grid + flows.second / self._time)
        backward = self._backward.lookup(self._grid + flows.first / (1 - self._time))
        return torch.cat([forward, backward], dim=1)


class _FeatureEncoder(nn.Module):
    """Features for correlation at 1/8 resolution: RAFT's small encoder with instance normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, stride=2, padding=3)
        self.norm1 = InstanceNorm(32)
        self.layer1 = nn.Sequential(_Bottleneck(32, 32, 1), _Bottleneck(32, 32, 1))
        self.layer2 = nn.Sequential(_Bottleneck(32, 64, 2), _Bottleneck(64, 64, 1))
        self.layer3 = nn.Sequential(_Bottleneck(64, 96, 2), _Bottleneck(96, 96, 1))
        self.conv2 = nn.Conv2d(96, _FEATURES, 1)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.norm1(self.conv1(frames)).relu_()
        features: Tensor = self.conv2(self.layer3(self.layer2(self.layer1(x))))
        return features


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        narrow = planes // 4
        self.conv1 = nn.Conv2d(channels, narrow, 1)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(narrow, planes, 1)
        self.norm1, self.norm2 = InstanceNorm(narrow), InstanceNorm(narrow)
        self.norm3 = InstanceNorm(planes)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(channels, planes, 1, stride=stride), InstanceNorm(planes))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(self.conv1(x)).relu_()
        y = self.norm2(self.conv2(y)).relu_()
        y = self.norm3(self.conv3(y)).relu_()
        out: Tensor = y.add_(self.downsample(x))
        return out.relu_()


class _PyramidEncoder(nn.Module):
    """Context features at 1/2, 1/4, 1/8 and 1/16 resolution."""

    def __init__(self) -> None:
        super().__init__()
        for level, (taken, given) in enumerate(zip((3, *_CHANNELS), _CHANNELS, strict=False), start=1):
            self.add_module(f"pyramid{level}", nn.Sequential(_conv_prelu(taken, given, 2), _conv_prelu(given, given)))

    def forward(self, frames: Tensor) -> list[Tensor]:
        features = []
        for stage in self.children():
            frames = stage(frames)
            features.append(frames)
        return features


class _Decoder(nn.Module):
    """Convolution, residual block, and transposed convolution to twice the resolution."""

    def __init__(self, taken: int, width: int, given: int) -> None:
        super().__init__()
        self.convblock = nn.Sequential(
            _conv_prelu(taken, width), _SideBlock(width), nn.ConvTranspose2d(width, given, 4, stride=2, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.convblock(x)
        return out


class _SideBlock(nn.Module):
    """Residual block whose last channels pass two convolutions more (from IFRNet)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv3 = _conv_prelu(width, width), _conv_prelu(width, width)
        self.conv2, self.conv4 = (_conv_prelu(_SIDE_CHANNELS, _SIDE_CHANNELS) for _ in range(2))
        self.conv5 = _conv(width, width)
        self.prelu = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(self._aside(self.conv2, self.conv1(x)))
        y = self.conv5(self._aside(self.conv4, y))
        out: Tensor = self.prelu(x + y)
        return out

    @staticmethod
    def _aside(convolution: nn.Module, x: Tensor) -> Tensor:
        return torch.cat([x[:, :-_SIDE_CHANNELS], convolution(x[:, -_SIDE_CHANNELS:])], dim=1)


class _Update(nn.Module):
    """Corrects flows and features by the correlation found where the flows lead."""

    def __init__(self, features: int, factor: int) -> None:
        super().__init__()
        hidden, correlation, flow, joint = 76, 64, 20, 68
        self.convc1 = nn.Conv2d(2 * _LEVELS * (2 * _RADIUS + 1) ** 2, correlation, 1)
        self.convf1 = nn.Conv2d(4, 2 * flow, 7, padding=3)
        self.convf2 = _conv(2 * flow, flow)
        self.conv = _conv(correlation + flow, joint)
        self.gru = _head(joint + 4 + features, hidden, hidden)
        self.feat_head = _head(hidden, hidden, features)
        self.flow_head = _head(hidden, hidden, 4)
        self._factor = factor

    def forward(self, flows: Flows, features: Tensor, correlation: _Correlation) -> tuple[Flows, Tensor]:
        """Correct flows and features that are at ``factor`` times the correlation's resolution."""
        coarse, context = flows.resized(1 / self._factor), _resize(features, 1 / self._factor)
        flow = coarse.joined
        seen = leaky_relu(self.convc1(correlation(coarse)), 0.1)
        moved = leaky_relu(self.convf2(leaky_relu(self.convf1(flow), 0.1)), 0.1)
        joint = leaky_relu(self.conv(torch.cat([seen, moved], dim=1)), 0.1)
        hidden = self.gru(torch.cat([joint, flow, context], dim=1))
        step = Flows.split(self.flow_head(hidden)).resized(self._factor)
        return flows + step, features + _resize(self.feat_head(hidden), self._factor)


def _aligned(features: Tensor, pyramids: tuple[list[Tensor], list[Tensor]], level: int, flows: Flows) -> Tensor:
    """What a decoder reads: features, both frames' own brought to the wanted time, and the flows that did it."""
    warped = _warp(pyramids[0][level], flows.first), _warp(pyramids[1][level], flows.second)
    # Joined with float32 the features would become it, only to be rounded again by the decoder.
    return torch.cat([features, *(part.to(features.dtype) for part in (*warped, flows.joined))], dim=1)


def _warp(image: Tensor, flow: Tensor) -> Tensor:
    """Sample ``image`` at each pixel displaced by ``flow``, bilinearly; the border repeats."""
    height, width = flow.shape[-2:]
    scale = flow.new_tensor([2 / (width - 1), 2 / (height - 1)])
    position = (grid(flow) + flow).permute(0, 2, 3, 1) * scale - 1
    return grid_sample(image.to(flow.dtype), position, mode="bilinear", padding_mode="border", align_corners=True)


def _resize(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _conv(taken: int, given: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(taken, given, 3, stride=stride, padding=1)


def _conv_prelu(taken: int, given: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_conv(taken, given, stride), nn.PReLU(given))


def _head(taken: int, hidden: int, given: int) -> nn.Sequential:
    return nn.Sequential(_conv(taken, hidden), nn.LeakyReLU(0.1), _conv(hidden, given))
